//! Postbacks to partners, one call each: many conversions are queued by a server that does not deliver; then one that does
//! is started, and the calls that a partner's server gets are counted. The limit is a bare client (`bare.rs`) that sends
//! the same calls over as many connections and keeps nothing. Then the same with one partner among fifty whose server never answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::bare;
use super::frame::{Bench, Database, Installation};
use super::load::{self, Script};
use super::postback;
use super::receiver::Receiver;
use super::report::{Goal, Limit, Row};
use crate::steps;
use crate::stopwatch::Stopwatch;

/// Partners of the second row, of which one never answers.
const PARTNERS: u64 = 50;
/// How long the queue may take to empty.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);
/// The part of the bare client's speed that is promised, in percent.
const PERCENT_MIN: u64 = 50;
/// How much of its speed a healthy neighbour may lose to a dead one, in percent of the same without.
const BESIDE_DEAD_PERCENT_MIN: u64 = 80;

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let promised = |goal| if database == Database::Sqlite { goal } else { Goal::Shown };
    let row = |name: &str, measured, what: &str, limit, goal, details: &[(&str, u64)]| Row {
        name: name.to_owned(),
        database: database.name().to_owned(),
        unit: "calls/s".to_owned(),
        measured,
        limit: Some(Limit { what: what.to_owned(), value: limit }),
        goal: promised(goal),
        details: details.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<BTreeMap<_, _>>(),
    };
    let (one, bare) = against_bare(bench, database)?;
    let (sockets, one_by_one) = (bare::sockets(bench.events)?, bare::one_by_one(bench.events / 10)?);
    let healthy: Vec<String> = (0..PARTNERS).map(|number| format!("partner-{number}")).collect();
    let healthy: Vec<&str> = healthy.iter().map(String::as_str).collect();
    let without = drain(bench, database, "partners", &healthy[1..], None)?;
    let beside = drain(bench, database, "partners-dead", &healthy[1..], Some("partner-0"))?;
    Ok(vec![
        row(
            "partner",
            one.per_second,
            "a bare client",
            bare,
            Goal::PercentOfLimit(PERCENT_MIN),
            &[
                &one.details()[..],
                &[("bare sockets calls/s", sockets), ("bare client one by one calls/s", one_by_one)],
            ]
            .concat(),
        ),
        row(
            "beside a dead partner",
            beside.per_second,
            "the same without it",
            without.per_second,
            Goal::PercentOfLimit(BESIDE_DEAD_PERCENT_MIN),
            &beside.details(),
        ),
    ])
}

/// The middle round of those in which a queue is emptied between two runs of the bare client: on a machine whose rounds are
/// not equally fast, only neighbours compare.
fn against_bare(bench: &Bench, database: Database) -> Result<(Drained, u64)> {
    let mut before = bare::client(bench.events)?;
    let mut rounds = Vec::new();
    for round in 0..bench.rounds {
        let one = drain(bench, database, &format!("partner-{round}"), &["partner-0"], None)?;
        let after = bare::client(bench.events)?;
        let bare = u64::midpoint(before, after);
        steps::say(&format!("{} calls/s, a bare client {bare}", one.per_second));
        rounds.push((one, bare));
        before = after;
    }
    rounds.sort_by_key(|(one, bare)| one.per_second * 10_000 / bare.max(&1));
    let middle = rounds.len() / 2;
    rounds.into_iter().nth(middle).context("no rounds")
}

/// What came of emptying a queue.
struct Drained {
    per_second: u64,
    calls: u64,
    milliseconds: u64,
    peak_kb: u64,
}

impl Drained {
    fn details(&self) -> [(&'static str, u64); 3] {
        [("calls", self.calls), ("milliseconds", self.milliseconds), ("peak memory kB", self.peak_kb)]
    }
}

/// Queues conversions whose goal goes to all of these partners, and to the dead one if there is one; then delivers.
fn drain(
    bench: &Bench,
    database: Database,
    name: &str,
    partners: &[&str],
    dead: Option<&str>,
) -> Result<Drained> {
    let folder = bench.folder(name, database)?;
    let receiver = Receiver::start()?;
    let silent = Receiver::start_silent()?;
    let installation = bench.install(&folder, database)?;
    let all: Vec<(&str, SocketAddr)> = partners
        .iter()
        .map(|slug| (*slug, receiver.address))
        .chain(dead.map(|slug| (slug, silent.address)))
        .collect();
    installation.place.configure(&configuration(bench, &all))?;
    let each = u64::try_from(partners.len())?;
    let queued = queue(&installation, &folder, bench.events.div_ceil(each))? * each;
    if receiver.calls() != 0 {
        bail!("calls arrived while nothing should be delivered");
    }
    let watch = Stopwatch::start();
    let delivering = installation.place.serve("deliver,api")?;
    while receiver.calls() < queued {
        if watch.elapsed() > DRAIN_TIMEOUT {
            bail!("{} of {queued} calls arrived in {} s", receiver.calls(), DRAIN_TIMEOUT.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let milliseconds = u64::try_from(watch.elapsed().as_millis())?.max(1);
    let peak_kb = delivering.resident_peak_kb()?;
    delivering.stop()?;
    let calls = receiver.calls();
    Ok(Drained { per_second: calls * 1_000 / milliseconds, calls, milliseconds, peak_kb })
}

/// Books at least this many conversions; how many there are.
fn queue(installation: &Installation, folder: &Path, least: u64) -> Result<u64> {
    let queueing = installation.place.serve("collect,api,tasks")?;
    let ids = postback::collect_clicks(queueing.address, folder)?;
    // A second over all connections books ten thousand and more.
    let connections = if least < 10_000 { 2 } else { load::CONNECTIONS };
    let (mut queued, mut run) = (0, 1);
    while queued < least {
        let script = Script { path: postback::PATH, lines: Some(&ids), run };
        let load = load::run_over(folder, queueing.address, &script, 1, connections)?;
        if load.errors > 0 || load.answers == 0 {
            bail!("{} postbacks failed and {} were answered while queueing", load.errors, load.answers);
        }
        queued += load.answers;
        run += 1;
    }
    queueing.stop()?;
    Ok(queued)
}

fn configuration(bench: &Bench, partners: &[(&str, SocketAddr)]) -> String {
    let base = bench.configuration("http://127.0.0.1:9", "0s");
    let (head, goal) = base.split_once("[[destination]]").unwrap_or((&base, ""));
    let goal = goal.split_once("[[goal]]").map_or("", |(_, goal)| goal);
    let (mut destinations, mut slugs) = (String::new(), Vec::new());
    for (slug, address) in partners {
        // Writing to a string cannot fail.
        let _written = write!(
            destinations,
            "[[destination]]\nslug = \"{slug}\"\nkind = \"postback\"\nallow_private = true\n\
             url = \"http://{address}/pb?cid={{click_id}}&tid={{transaction_id}}&sum={{payout}}&cur={{currency}}\"\n\n"
        );
        slugs.push(format!("\"{slug}\""));
    }
    let goal = goal.replace("[\"meta-main\"]", &format!("[{}]", slugs.join(", ")));
    format!("{head}{destinations}[[goal]]{goal}")
}
