//! Duplicates over a long history: with millions of receipts stored, a postback that came before is still answered at once.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::frame::{Bench, Database};
use super::http;
use super::load::{self, Script};
use super::report::{Goal, Row};
use crate::steps;
use crate::stopwatch::Stopwatch;

/// The time within which 99 of 100 duplicates are answered.
const P99_US_MAX: u64 = 15_000;
/// Clicks that the conversions come from.
const CLICKS: u64 = 1_000_000;

/// What each postback asks for, but for the number of its transaction.
const PATH: &str = "/postback/acme?event=Lead&status=lead&transaction_id=demo-";
const TOKEN: &str = "&token=bench-token";

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("duplicates", database)?;
    let mut installation = bench.install(&folder, database)?;
    let kept = bench.receipts_in.as_ref().filter(|_| database == Database::Sqlite);
    if let Some(kept) = kept {
        installation.place.data.clone_from(kept);
    }
    let place = &installation.place;
    let watch = Stopwatch::start();
    if kept.is_some_and(|kept| kept.join("crosstally.db").is_file()) {
        steps::say("the leads of an earlier call are there");
        read_once(&place.data.join("crosstally.db"))?;
    } else {
        place.configure(&bench.configuration("http://127.0.0.1:9", "0s"))?;
        steps::say(&format!("booking {} leads", bench.receipts));
        let (clicks, leads) = (CLICKS.to_string(), bench.receipts.to_string());
        let seed =
            ["seed", "--campaign", "summer", "--clicks", &clicks, "--partner", "acme", "--leads", &leads];
        steps::capture(&mut place.command(&seed))?;
    }
    let seeding = watch.elapsed();

    let server = place.serve("collect,api,tasks")?;
    for number in [1, bench.receipts] {
        check_one(server.address, number)?;
    }
    let path = format!(r#""{PATH}" .. math.random({}) .. "{TOKEN}""#, bench.receipts);
    let script = Script { path: &path, lines: None, run: 1 };
    let mut runs = Vec::new();
    for _ in 0..bench.rounds {
        runs.push(load::run(&folder, server.address, &script, bench.seconds)?);
    }
    server.stop()?;
    let load = load::median(runs)?;
    let goal = |goal| if database == Database::Sqlite { goal } else { Goal::Shown };
    let row = |name: &str, unit: &str, measured, goal, details: &[(&str, u64)]| {
        Row::alone(name, database.name(), (measured, unit), goal, details)
    };
    let details = [
        ("requests/s", load.per_second),
        ("p50 us", load.p50_us),
        ("receipts before", bench.receipts),
        ("booked or read in s", seeding.as_secs()),
    ];
    Ok(vec![
        row("duplicate p99", "us", load.p99_us, goal(Goal::AtMost(P99_US_MAX)), &details),
        row("duplicate errors", "answers", load.errors, Goal::AtMost(0), &[]),
    ])
}

/// Reads the file, so that as much of it is in memory as there would be after booking.
fn read_once(file: &Path) -> Result<()> {
    let mut file = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut piece = vec![0_u8; 4 << 20];
    while file.read(&mut piece).context("cannot read the receipts of an earlier call")? > 0 {}
    Ok(())
}

/// Before it counts thousands: a lead that is reported again is a duplicate.
fn check_one(address: SocketAddr, number: u64) -> Result<()> {
    let answer = http::ask(address, "GET", &format!("{PATH}{number}{TOKEN}"))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if body["result"] != "duplicate" {
        bail!("a lead that came before should be a duplicate; the answer was {} {body}", answer.status);
    }
    Ok(())
}
