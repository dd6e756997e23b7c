//! `cargo xtask bench`: what was promised about speed and memory, as ratios to what the machine can do at best, measured
//! in the same call.

mod backlog;
mod bare;
mod click;
mod delivery;
mod duplicates;
mod facts;
mod frame;
mod hostile;
mod http;
mod load;
mod memory;
mod partner;
mod postback;
mod program;
mod receiver;
mod report;
mod rules;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::machine;
use crate::project::Project;
use crate::steps::{self, Steps, cargo};
use facts::Facts;
use frame::{Bench, Database};
use report::Row;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which rows; all by default
    #[arg(value_enum)]
    rows: Vec<Name>,
    /// On which databases; both by default
    #[arg(long, value_enum)]
    database: Vec<Database>,
    /// How long each run of the load generator takes
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// How often what is compared takes turns; the middle round counts
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// How many events are delivered, at least
    #[arg(long, default_value_t = 50_000)]
    events: u64,
    /// How many clicks are stored before the start is timed
    #[arg(long, default_value_t = 5_000_000)]
    clicks: u64,
    /// How many deliveries wait when a start after an outage is timed
    #[arg(long, default_value_t = 1_000_000)]
    pending: u64,
    /// How many receipts are stored before duplicates are timed
    #[arg(long, default_value_t = 10_000_000)]
    receipts: u64,
    /// Where these receipts are kept for the next call; booked there if they are not (embedded database only)
    #[arg(long, value_name = "DIR")]
    receipts_in: Option<PathBuf>,
}

/// A group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The durable click redirect against nginx.
    Click,
    /// The redirect by rules, with places and devices, against the plain one.
    Rules,
    /// Postbacks, all steps in one durable transaction.
    Postback,
    /// Delivery to the sandbox.
    Delivery,
    /// Postbacks to partners, against a bare client; and beside a partner that never answers.
    Partner,
    /// A healthy partner beside more than twenty hostile ones.
    Hostile,
    /// A start with a million deliveries that wait.
    Backlog,
    /// Memory, and the time to be ready.
    Memory,
    /// Duplicates over a long history; on SQLite only, unless PostgreSQL is asked for.
    Duplicates,
}

/// Builds, measures, prints the table and writes `bench.json`.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let names = if options.rows.is_empty() { Name::value_variants() } else { &options.rows };
    let databases = if options.database.is_empty() { Database::value_variants() } else { &options.database };
    let skipped = usize::from(names.contains(&Name::Duplicates) && options.database.is_empty());
    let mut steps = Steps::new(2 + names.len() * databases.len() - skipped);
    let bench = steps.run("release build", || {
        steps::run(&mut cargo(
            &project.root,
            &["build", "--release", "--locked", "--package", "crosstally"],
        ))?;
        prepare(project, options)
    })?;
    let facts = steps.run("machine", || {
        if machine::find_program("wrk").is_none() {
            machine::install(&["wrk"], "wrk (the load generator)")?;
        }
        let facts = Facts::find(project, &bench.folder)?;
        steps::say(&facts.to_string());
        Ok(facts)
    })?;
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        for database in databases {
            // Millions of leads take minutes to book: by default only where a promise hangs on them.
            if *name == Name::Duplicates && *database == Database::Postgres && options.database.is_empty() {
                continue;
            }
            let title = format!("{name:?} on {}", database.name()).to_lowercase();
            rows.extend(steps.run(&title, || {
                let rows = match name {
                    Name::Click => click::run(&bench, *database),
                    Name::Rules => rules::run(&bench, *database),
                    Name::Postback => postback::run(&bench, *database),
                    Name::Delivery => delivery::run(&bench, *database),
                    Name::Partner => partner::run(&bench, *database),
                    Name::Hostile => hostile::run(&bench, *database),
                    Name::Backlog => backlog::run(&bench, *database),
                    Name::Memory => memory::run(&bench, *database),
                    Name::Duplicates => duplicates::run(&bench, *database),
                }?;
                for row in &rows {
                    steps::say(&row.to_string());
                }
                Ok(rows)
            })?);
        }
    }
    steps.close();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", report::table(&facts, &rows))?;
    let json = serde_json::to_string_pretty(&report::json(&facts, &rows))?;
    fs::write(project.root.join("bench.json"), json + "\n").context("cannot write bench.json")?;
    // The data of all rows takes gigabytes. After a failure it stays, with its logs.
    fs::remove_dir_all(&bench.folder).with_context(|| format!("cannot remove {}", bench.folder.display()))?;
    let missed = rows.iter().filter(|row| row.passes() == Some(false)).count();
    if missed > 0 {
        bail!("{missed} of {} rows missed their goal", rows.len());
    }
    Ok(())
}

/// An empty folder below the target folder: on the disk where a clone is, not in a temporary file system.
fn prepare(project: &Project, options: &Options) -> Result<Bench> {
    let folder = project.target.join("bench");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(Bench {
        binary: project.target.join("release/crosstally"),
        folder,
        seconds: options.seconds,
        rounds: options.rounds,
        events: options.events,
        clicks: options.clicks,
        pending: options.pending,
        receipts: options.receipts,
        receipts_in: options.receipts_in.clone(),
    })
}
