//! Delivery to the sandbox: many approved conversions are queued by a server that does not deliver; then one that does
//! is started, and the time until the sandbox has accepted them all is taken. The limit is the sandbox itself, sent
//! ready-made batches of the same size by four connections.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::frame::{Bench, DATASET, Database};
use super::http::{self, Connection};
use super::load::{self, Script};
use super::postback;
use super::program::Server;
use super::report::{Goal, Limit, Row};
use crate::stopwatch::{self, Stopwatch};

/// The dataset of the ready-made batches.
const LIMIT_DATASET: &str = "2222222222";
/// Events in one call: the most that Meta takes.
const BATCH: u64 = 1_000;
/// Connections that send ready-made batches.
const SENDERS: u64 = 4;
/// Events per second that are promised.
const PER_SECOND_MIN: u64 = 10_000;
/// How long the queue may take to empty.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("delivery", database)?;
    let sandbox = Server::sandbox(&bench.binary, &folder)?;
    let installation = bench.install(&folder, database)?;
    installation.place.configure(&bench.configuration(&format!("http://{}", sandbox.address), "0s"))?;

    let queueing = installation.place.serve("collect,api,tasks")?;
    let ids = postback::collect_clicks(queueing.address, &folder)?;
    let mut queued = 0;
    let mut run = 1;
    while queued < bench.events {
        // wrk counts the answers that it saw; those under way at its end are booked too, so the sandbox may see more.
        let script = Script { path: postback::PATH, lines: Some(&ids), run };
        let load = load::run(&folder, queueing.address, &script, 2)?;
        if load.errors > 0 || load.answers == 0 {
            bail!("{} postbacks failed and {} were answered while queueing", load.errors, load.answers);
        }
        queued += load.answers;
        run += 1;
    }
    queueing.stop()?;
    if accepted(sandbox.address, DATASET)? != 0 {
        bail!("events arrived while nothing should be delivered");
    }
    let limit = ready_made(sandbox.address)?;

    let watch = Stopwatch::start();
    let delivering = installation.place.serve("deliver,api")?;
    let mut arrived = 0;
    while arrived < queued {
        if watch.elapsed() > DRAIN_TIMEOUT {
            bail!("{arrived} of {queued} events arrived in {} s", DRAIN_TIMEOUT.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
        arrived = accepted(sandbox.address, DATASET)?;
    }
    let elapsed = watch.elapsed();
    let peak_kb = delivering.resident_peak_kb()?;
    delivering.stop()?;
    let refused = count(sandbox.address, DATASET, "refused_events")?;
    let duplicates = count(sandbox.address, DATASET, "duplicates")?;
    Ok(vec![Row {
        name: "delivery".to_owned(),
        database: database.name().to_owned(),
        unit: "events/s".to_owned(),
        measured: per_second(arrived, elapsed)?,
        limit: Some(Limit { what: "ready-made batches".to_owned(), value: limit }),
        goal: if database == Database::Sqlite { Goal::AtLeast(PER_SECOND_MIN) } else { Goal::Shown },
        details: BTreeMap::from([
            ("events".to_owned(), arrived),
            ("milliseconds".to_owned(), u64::try_from(elapsed.as_millis())?),
            ("refused".to_owned(), refused),
            ("duplicates".to_owned(), duplicates),
            ("peak memory kB".to_owned(), peak_kb),
        ]),
    }])
}

/// How fast the sandbox takes batches that cost nothing to make.
fn ready_made(address: SocketAddr) -> Result<u64> {
    const BATCHES: u64 = 25;
    let bodies: Vec<Vec<String>> = (0..SENDERS)
        .map(|sender| (0..BATCHES).map(|number| batch(sender * BATCHES + number)).collect())
        .collect();
    let watch = Stopwatch::start();
    let senders: Vec<_> = bodies
        .into_iter()
        .map(|bodies| {
            thread::spawn(move || -> Result<()> {
                let mut connection = Connection::open(address)?;
                for body in bodies {
                    let path = format!("/v26.0/{LIMIT_DATASET}/events?access_token=bench");
                    let answer = connection.call("POST", &path, body.as_bytes())?;
                    if answer.status != 200 {
                        bail!("the sandbox said {} {}", answer.status, String::from_utf8_lossy(&answer.body));
                    }
                }
                Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.join().map_err(|_| anyhow::anyhow!("a sending thread panicked"))??;
    }
    let elapsed = watch.elapsed();
    let events = SENDERS * BATCHES * BATCH;
    let taken = accepted(address, LIMIT_DATASET)?;
    if taken != events {
        bail!("the sandbox took {taken} of {events} ready-made events");
    }
    per_second(events, elapsed)
}

/// One call's body: events like those that the program makes of clicks and postbacks.
fn batch(number: u64) -> String {
    let time = stopwatch::unix_seconds();
    let events = (0..BATCH).fold(String::new(), |mut text, place| {
        let comma = if place == 0 { "" } else { "," };
        let id = number * BATCH + place;
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            r#"{comma}{{"event_name":"Purchase","event_time":{time},"event_id":"ready-{id}","action_source":"website","event_source_url":"https://lander.example/p","user_data":{{"client_ip_address":"192.0.2.1","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64) bench","fbc":"fb.1.{time}000.IwAR0real{id}","external_id":["b2c8a1f0b2c8a1f0b2c8a1f0b2c8a1f0b2c8a1f0b2c8a1f0b2c8a1f0b2c8a1f0"]}},"custom_data":{{"currency":"USD","value":12.34}}}}"#
        );
        text
    });
    format!(r#"{{"data":[{events}]}}"#)
}

fn per_second(events: u64, elapsed: Duration) -> Result<u64> {
    Ok(events * 1_000 / u64::try_from(elapsed.as_millis())?.max(1))
}

/// Events that the sandbox has taken.
pub(super) fn accepted(address: SocketAddr, dataset: &str) -> Result<u64> {
    count(address, dataset, "accepted")
}

/// One of the sandbox's counts for a dataset that may not have been seen yet.
fn count(address: SocketAddr, dataset: &str, name: &str) -> Result<u64> {
    let answer = http::ask(address, "GET", "/_sandbox/stats")?;
    let stats: serde_json::Value = serde_json::from_slice(&answer.body).context("the stats are not JSON")?;
    let rows = stats["datasets"].as_array().with_context(|| format!("no datasets in {stats}"))?;
    let row = rows.iter().find(|row| row["dataset"] == dataset);
    Ok(row.and_then(|row| row[name].as_u64()).unwrap_or(0))
}
