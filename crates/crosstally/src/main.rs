//! crosstally: self-hosted server-to-server conversion tracking in one binary.
//!
//! **Invariant**: the roof only reads flags, builds the floors in order, waits and drains. The page to read first is
//! `wire.rs`.

mod cli;
mod commands;
mod exit;
mod limits;
mod local;
mod remote;
mod settings;
mod show;
mod telemetry;
mod wire;

use std::process::ExitCode;

use clap::Parser;

// Every click makes a few dozen small pieces of memory on one thread and gives them back on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}
