//! Memory at rest and under click load, and the time to be ready with millions of clicks stored.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::click;
use super::frame::{Bench, Database};
use super::load::{self, Script};
use super::report::{Goal, Row};
use crate::steps;
use crate::stopwatch::Stopwatch;

/// Memory at rest that is promised.
const REST_KB_MAX: u64 = 40 * 1024;
/// Memory under click load that is promised.
const LOAD_KB_MAX: u64 = 200 * 1024;
/// The time to be ready that is promised.
const READY_MS_MAX: u64 = 500;
/// How many starts are timed.
const STARTS: usize = 5;
/// How long a server rests before its memory at rest is read.
const REST: Duration = Duration::from_secs(5);

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("memory", database)?;
    let installation = bench.install(&folder, database)?;
    let place = &installation.place;
    place.configure(&bench.configuration("http://127.0.0.1:9", "0s"))?;
    steps::say(&format!("storing {} clicks", bench.clicks));
    let watch = Stopwatch::start();
    let clicks = bench.clicks.to_string();
    steps::capture(&mut place.command(&["seed", "--campaign", "summer", "--clicks", &clicks]))?;
    let seeding = watch.elapsed();

    let mut ready = Vec::new();
    for _ in 1..STARTS {
        let server = place.serve("")?;
        ready.push(server.ready_after);
        server.stop()?;
    }
    let server = place.serve("")?;
    ready.push(server.ready_after);
    ready.sort_unstable();
    thread::sleep(REST);
    let rest_kb = server.resident_kb()?;
    let script = Script { path: click::PATH, lines: None, run: 1 };
    let load = load::run(&folder, server.address, &script, bench.seconds)?;
    let load_kb = server.resident_peak_kb()?;
    server.stop()?;

    let row = |name: &str, unit: &str, measured, goal, details: &[(&str, u64)]| {
        Row::alone(name, database.name(), (measured, unit), goal, details)
    };
    let ready_ms = |place: usize| -> Result<u64> {
        Ok(u64::try_from(ready.get(place).context("no starts")?.as_millis())?)
    };
    Ok(vec![
        row("memory at rest", "kB", rest_kb, Goal::AtMost(REST_KB_MAX), &[]),
        row(
            "memory under clicks",
            "kB",
            load_kb,
            Goal::AtMost(LOAD_KB_MAX),
            &[("requests/s", load.per_second), ("p99 us", load.p99_us), ("errors", load.errors)],
        ),
        row(
            "ready",
            "ms",
            ready_ms(STARTS / 2)?,
            Goal::AtMost(READY_MS_MAX),
            &[
                ("clicks stored", bench.clicks),
                ("stored in s", seeding.as_secs()),
                ("slowest ms", ready_ms(STARTS - 1)?),
            ],
        ),
    ])
}
