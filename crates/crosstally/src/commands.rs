//! All commands, on one page.

mod capi;
mod click;
mod config;
mod deliveries;
mod destinations;
mod erase;
mod evidence;
mod fields;
mod fx;
mod hybrid;
mod import;
mod journeys;
mod ledger;
mod offers;
mod postback;
mod preflight;
mod receipts;
mod redirect;
mod sandbox;
mod seed;
mod token;
mod tools;
mod trace;
mod utm;

use anyhow::Result;
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::{settings, telemetry, wire};

/// Runs one command.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let json = cli.json;
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "crosstally", &mut std::io::stdout());
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async move {
        match cli.command {
            Command::Serve(flags) => {
                telemetry::start(json);
                wire::run(settings::serve(&flags)?).await
            }
            Command::Sandbox(flags) => sandbox::run(&flags).await,
            Command::Config(command) => config::run(command, json).await,
            Command::Token(command) => token::run(command, json).await,
            Command::Trace { id, at } => trace::run(&id, &at, json).await,
            Command::Capi(command) => capi::run(command, json).await,
            Command::Fx(command) => fx::run(command, json).await,
            Command::Postback(command) => postback::run(command, json).await,
            Command::Click(command) => click::execute(command, json).await,
            Command::Redirect(command) => redirect::execute(command, json).await,
            Command::Hybrid(command) => hybrid::run(command, json).await,
            Command::Offers(command) => offers::list_offers(command, json).await,
            Command::Landers(command) => offers::list_landers(command, json).await,
            Command::Utm(command) => utm::execute(command, json).await,
            Command::Preflight(command) => preflight::execute(command, json).await,
            Command::Journeys(command) => journeys::execute(command, json).await,
            Command::Runs(command) => tools::runs(command, json).await,
            Command::Erase(wanted) => erase::run(wanted, json).await,
            Command::Erasures(wanted) => erase::list(wanted, json).await,
            Command::Evidence(wanted) => evidence::make(wanted, json).await,
            Command::Verify(wanted) => evidence::check(&wanted, json),
            Command::Fields { at } => fields::run(&at, json).await,
            Command::Import(command) => import::run(command, json).await,
            Command::Deliveries(command) => deliveries::run(command, json).await,
            Command::Destinations(command) => destinations::run(command, json).await,
            Command::Ledger(wanted) => ledger::run(wanted, json).await,
            Command::Receipts(command) => receipts::run(command, json).await,
            Command::Seed { amount, place } => seed::run(&amount, &place, json).await,
            Command::Completions { .. } => Ok(()),
        }
    });
    // What still reads a file that hangs is nobody's to wait for.
    runtime.shutdown_background();
    done
}
