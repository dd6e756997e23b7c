//! `cargo xtask test`: everything, from a fresh clone, with a PostgreSQL and SDK oracles of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::check;
use crate::chromium::{self, Browser};
use crate::machine;
use crate::oracle::{self, Judges};
use crate::postgres::{self, Durability, Postgres};
use crate::project::Project;
use crate::steps::{self, Steps, cargo};
use crate::web;

/// Which tests to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the tests of one database (`sqlite`, `postgres`), only those inside the crates (`unit`), or those whose name
    /// contains this word. Skips the checks before the tests, and says so
    #[arg(long, value_name = "sqlite|postgres|unit|NAME")]
    only: Option<String>,
    /// For the loop at the desk: no checks, no documentation, no crash runs, no SDK oracles, no Chromium, and says so
    #[arg(long)]
    quick: bool,
}

/// What the tests find in their environment.
struct Surroundings {
    postgres: Option<Postgres>,
    judges: Option<Judges>,
    browser: Option<Browser>,
}

/// Runs it all, or the part that was asked for.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.quick || options.only.is_some() {
        return run_part(project, options);
    }
    let mut run = Steps::new(check::FAST_STEPS + 7);
    check::fast(project, &mut run)?;
    run.run("documentation", || check::documentation(project))?;
    let judges = run.run("SDK oracles", || oracle::prepare(project))?;
    run.run("browser script", || web::check(project))?;
    let browser = run.run("Chromium", || chromium::prepare(project))?;
    let server = run.run("PostgreSQL", || Postgres::start(Durability::None))?;
    let surroundings = Surroundings { postgres: Some(server), judges: Some(judges), browser: Some(browser) };
    run.run("examples in the documentation", || {
        run_in(&surroundings, &mut cargo(&project.root, &["test", "--locked", "--workspace", "--doc"]))
    })?;
    run.run("tests", || run_in(&surroundings, &mut tests(&project.root, &Selection::All)))?;
    run.close();
    Ok(())
}

fn run_part(project: &Project, options: &Options) -> Result<()> {
    let selection = Selection::of(options);
    steps::say(&format!("only {}; `cargo xtask test` runs everything", selection.describe()));
    let mut run = Steps::new(2);
    let surroundings = run.run("surroundings", || {
        let postgres = selection.needs_postgres().then(|| Postgres::start(Durability::None)).transpose()?;
        let judges = selection.needs_oracle().then(|| oracle::prepare(project)).transpose()?;
        let browser = selection.needs_oracle().then(|| chromium::prepare(project)).transpose()?;
        Ok(Surroundings { postgres, judges, browser })
    })?;
    run.run("tests", || run_in(&surroundings, &mut tests(&project.root, &selection)))?;
    run.close();
    Ok(())
}

fn run_in(surroundings: &Surroundings, command: &mut Command) -> Result<()> {
    if let Some(server) = &surroundings.postgres {
        command.env(postgres::VARIABLE, server.url());
    }
    if let Some(judges) = &surroundings.judges {
        judges.name_in(command);
    }
    if let Some(browser) = &surroundings.browser {
        browser.name_in(command);
    }
    steps::run(command)
}

/// Which tests.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selection {
    All,
    /// All but the crash runs, the SDK oracles and those in Chromium.
    Quick,
    /// The tests inside the crates, without a database server.
    Unit,
    /// Those whose name contains a word.
    Named(String),
}

impl Selection {
    fn of(options: &Options) -> Self {
        match options.only.as_deref() {
            Some("unit") => Self::Unit,
            Some(word) => Self::Named(word.to_owned()),
            None if options.quick => Self::Quick,
            None => Self::All,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::All => "all tests".to_owned(),
            Self::Quick => "the tests, without the crash runs, the SDK oracles and Chromium".to_owned(),
            Self::Unit => "the tests inside the crates that need no server".to_owned(),
            Self::Named(word) => format!("the tests with `{word}` in their name"),
        }
    }

    fn needs_postgres(&self) -> bool {
        !matches!(self, Self::Unit) && *self != Self::Named("sqlite".to_owned())
    }

    fn needs_oracle(&self) -> bool {
        !matches!(self, Self::Unit | Self::Quick)
    }

    /// For cargo-nextest.
    fn nextest_arguments(&self) -> Vec<String> {
        let filter = |expression: &str| vec!["-E".to_owned(), expression.to_owned()];
        match self {
            Self::All => Vec::new(),
            Self::Quick => filter("not test(crash) and not test(oracle) and not test(chromium)"),
            Self::Unit => filter("(kind(lib) or kind(bin)) and not test(postgres)"),
            Self::Named(word) => vec![word.clone()],
        }
    }

    /// For `cargo test`: the targets, then what the test programs are told.
    fn cargo_arguments(&self) -> (Vec<&str>, Vec<&str>) {
        match self {
            // The examples in the documentation have a step of their own.
            Self::All => (vec!["--all-targets"], vec![]),
            Self::Quick => {
                (vec!["--all-targets"], vec!["--skip", "crash", "--skip", "oracle", "--skip", "chromium"])
            }
            Self::Unit => (vec!["--lib", "--bins"], vec!["--skip", "postgres"]),
            Self::Named(word) => (vec!["--all-targets"], vec![word]),
        }
    }
}

/// cargo-nextest where it is installed, else `cargo test`: the same tests either way.
fn tests(root: &Path, selection: &Selection) -> Command {
    if machine::find_program("cargo-nextest").is_some() {
        let mut command = cargo(root, &["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
        command.args(selection.nextest_arguments());
        return command;
    }
    let (targets, words) = selection.cargo_arguments();
    let mut command = cargo(root, &["test", "--locked", "--workspace", "--no-fail-fast"]);
    command.args(targets).arg("--").args(words);
    command
}

/// `cargo xtask postgres -- CMD`: hands on the command's exit code.
pub(crate) fn run_beside_postgres(command: &[std::ffi::OsString], durable: bool) -> Result<u8> {
    let durability = if durable { Durability::Full } else { Durability::None };
    let status = postgres::run_beside(command, durability)?;
    let code = status.code().context("the command was ended by a signal")?;
    Ok(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(only: Option<&str>, quick: bool) -> Selection {
        Selection::of(&Options { only: only.map(str::to_owned), quick })
    }

    #[test]
    fn only_what_needs_a_server_gets_one() {
        assert!(of(None, false).needs_postgres() && of(None, true).needs_postgres());
        assert!(of(Some("postgres"), false).needs_postgres());
        assert!(!of(Some("sqlite"), false).needs_postgres() && !of(Some("unit"), false).needs_postgres());
        assert!(of(None, false).needs_oracle() && !of(None, true).needs_oracle());
    }

    #[test]
    fn everything_means_everything_with_both_runners() {
        assert_eq!(Selection::All.nextest_arguments(), Vec::<String>::new());
        assert_eq!(Selection::All.cargo_arguments(), (vec!["--all-targets"], vec![]));
    }
}
