//! The project's own commands: `cargo xtask tidy|check|docs|test|web|chromium|fuzz|mutants|postgres|bench`.
//!
//! **Invariant**: knows the repository and the machine, never the inside of a crate: it sees the program only as its
//! users do, through its commands and its doors.

mod bench;
mod check;
mod chromium;
mod docs;
mod fuzz;
mod machine;
mod mutants;
mod oracle;
mod postgres;
mod project;
mod steps;
mod stopwatch;
mod test;
mod tidy;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything: format, tidy, lints, documentation, and all tests on both databases
    Test(test::Options),
    /// Run the quick checks: format, tidy, lints
    Check,
    /// Write the pages that are generated from data files
    Docs,
    /// Check the rules of the tree that the compiler does not check
    Tidy,
    /// Measure speed and memory against what was promised; prints a table, writes `bench.json`
    Bench(bench::Options),
    /// Run the fuzz targets, led by coverage; prints the inputs that were run, keeps those that broke something
    Fuzz(fuzz::Options),
    /// Put known faults into a copy of the tree, and see the tests catch them
    Mutants(mutants::Options),
    /// Build the browser script from `web/` into `crates/crosstally-ui/dist`, where it is committed
    Web {
        /// Build nothing: fail if what is committed is not what the source makes
        #[arg(long)]
        check: bool,
    },
    /// Run a command with a Chromium at hand, installed if need be, named by `CROSSTALLY_TEST_CHROMIUM`
    Chromium {
        /// The command, behind `--`
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run a command with a throw-away PostgreSQL beside it, named by `CROSSTALLY_TEST_POSTGRES`
    Postgres {
        /// Sync to disk, as in production
        #[arg(long)]
        durable: bool,
        /// The command, behind `--`
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            steps::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let project = Project::find()?;
    match arguments.command {
        Command::Test(options) => test::run(&project, &options)?,
        Command::Check => check::run(&project)?,
        Command::Docs => docs::run(&project.root)?,
        Command::Tidy => tidy::run(&project.root)?,
        Command::Bench(options) => bench::run(&project, &options)?,
        Command::Fuzz(options) => fuzz::run(&project, &options)?,
        Command::Mutants(options) => mutants::run(&project, &options)?,
        Command::Web { check: true } => web::check(&project)?,
        Command::Web { check: false } => web::build(&project)?,
        Command::Chromium { command } => {
            return Ok(ExitCode::from(chromium::run_beside(&project, &command)?));
        }
        Command::Postgres { durable, command } => {
            return Ok(ExitCode::from(test::run_beside_postgres(&command, durable)?));
        }
    }
    Ok(ExitCode::SUCCESS)
}
