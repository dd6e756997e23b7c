//! Duplicates over a long history: with millions of receipts stored, a postback that came before is still answered at once.

use std::net::SocketAddr;

use anyhow::{Result, bail};

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
    let installation = bench.install(&folder, database)?;
    let place = &installation.place;
    place.configure(&bench.configuration("http://127.0.0.1:9", "0s"))?;
    steps::say(&format!("booking {} leads", bench.receipts));
    let watch = Stopwatch::start();
    let (clicks, leads) = (CLICKS.to_string(), bench.receipts.to_string());
    let seed = ["seed", "--campaign", "summer", "--clicks", &clicks, "--partner", "acme", "--leads", &leads];
    steps::capture(&mut place.command(&seed))?;
    let seeding = watch.elapsed();

    let server = place.serve("collect,api,tasks")?;
    check_one(server.address)?;
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
        ("booked in s", seeding.as_secs()),
    ];
    Ok(vec![
        row("duplicate p99", "us", load.p99_us, goal(Goal::AtMost(P99_US_MAX)), &details),
        row("duplicate errors", "answers", load.errors, Goal::AtMost(0), &[]),
    ])
}

/// Before it counts thousands: a lead that is reported again is a duplicate.
fn check_one(address: SocketAddr) -> Result<()> {
    let answer = http::ask(address, "GET", &format!("{PATH}1{TOKEN}"))?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if body["result"] != "duplicate" {
        bail!("a lead that came before should be a duplicate; the answer was {} {body}", answer.status);
    }
    Ok(())
}
