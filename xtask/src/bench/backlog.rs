//! A start after a long outage: a million deliveries wait, the program is started, and the time until the first of them
//! arrives is taken, from the start of the process.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::delivery::accepted;
use super::frame::{Bench, DATASET, Database};
use super::program::Server;
use super::report::{Goal, Row};
use crate::steps;
use crate::stopwatch::Stopwatch;

/// When the first is promised to have arrived.
const FIRST_MS_MAX: u64 = 5_000;
/// How long it is waited for, to say how late it was.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("backlog", database)?;
    let sandbox = Server::sandbox(&bench.binary, &folder)?;
    let installation = bench.install(&folder, database)?;
    let place = &installation.place;
    let configuration = bench.configuration(&format!("http://{}", sandbox.address), "0s");
    // Leads are seeded straight into the store, through all steps of a booking; nobody delivers meanwhile.
    // They have no value, without which the platform takes no purchase.
    let configuration = configuration.replace("status == 'approved' && value > 0", "status == 'lead'");
    place.configure(&configuration.replace("event_name = \"Purchase\"", "event_name = \"Lead\""))?;
    steps::say(&format!("booking {} leads", bench.pending));
    let pending = bench.pending.to_string();
    let seed = ["seed", "--campaign", "summer", "--clicks", "1000", "--partner", "acme", "--leads", &pending];
    steps::capture(&mut place.command(&seed))?;
    if accepted(sandbox.address, DATASET)? != 0 {
        bail!("events arrived while nothing should be delivered");
    }

    let watch = Stopwatch::start();
    let server = place.serve("")?;
    while accepted(sandbox.address, DATASET)? == 0 {
        if watch.elapsed() > PATIENCE {
            bail!("nothing arrived in {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
    let first_ms = u64::try_from(watch.elapsed().as_millis())?;
    thread::sleep(Duration::from_millis(FIRST_MS_MAX).saturating_sub(watch.elapsed()));
    let by_then = accepted(sandbox.address, DATASET)?;
    let details = [
        ("pending", bench.pending),
        ("ready ms", u64::try_from(server.ready_after.as_millis())?),
        ("arrived after 5 s", by_then),
        ("memory kB", server.resident_peak_kb()?),
    ];
    server.stop()?;
    Ok(vec![Row::alone("backlog", database.name(), (first_ms, "ms"), Goal::AtMost(FIRST_MS_MAX), &details)])
}
