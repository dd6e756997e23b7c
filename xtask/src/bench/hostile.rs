//! A healthy partner beside more than twenty hostile ones, all those that the sandbox plays: how long an event takes from
//! the call that reports it to its arrival at the healthy one, without and beside them. They take turns, and the turn counts
//! whose rise is the middle one: on a machine whose rounds are not equally fast, only neighbours compare. What is compared is
//! the slowest of a hundred: half of all events hardly notice a neighbour. Beside as many that behave is measured too, as
//! neighbours are work whether they are hostile or not. What the neighbours' own machines would do, the sandbox does at the
//! lowest priority.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::frame::{Bench, Database, Installation};
use super::http::{self, Connection};
use super::program::Server;
use super::receiver::{Arrivals, Receiver};
use super::report::{Goal, Limit, Row};
use crate::steps;
use crate::stopwatch::Stopwatch;

/// Events of the healthy partner in a round.
const EVENTS: u64 = 1_000;
/// The time between two of them: far from what the program can do, as this is about neighbours, not about load.
const EVERY: Duration = Duration::from_millis(10);
/// How long a new configuration may take to be in force, with room.
const TAKEN_UP: Duration = Duration::from_secs(3);
/// How long a round may take to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much the slowest of a hundred may rise, in percent of the same without.
const PERCENT_MAX: u64 = 120;
/// Rows of one page of the API.
const PAGE: usize = 500;

/// Who is beside the healthy partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nobody,
    Friends,
    Hostile,
}

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("hostile", database)?;
    let watch = Stopwatch::start();
    let (healthy, arrivals) = Receiver::start_noting(watch)?;
    let sandbox = Server::sandbox_elsewhere(&bench.binary, &folder)?;
    let kinds = kinds(sandbox.address)?;
    let installation = bench.install(&folder, database)?;
    let configure = |beside| {
        let text = configuration(bench, healthy.address, sandbox.address, &kinds, beside);
        installation.place.configure(&text)
    };
    configure(Beside::Nobody)?;
    let server = installation.place.serve("")?;
    let mut desk = Desk::open(&installation, &server, &kinds, watch, arrivals)?;
    let all = [Beside::Nobody, Beside::Friends, Beside::Hostile];
    let mut turns = Vec::new();
    for round in 0..usize::try_from(bench.rounds)? {
        let mut slowest = all.map(|_| 0);
        // Who begins changes, so that none is always the one on the longest history.
        for place in (0..all.len()).map(|place| (place + round) % all.len()) {
            configure(all[place])?;
            thread::sleep(TAKEN_UP);
            let p99 = desk.round()?;
            steps::say(&format!("beside {:?}: {p99} us", all[place]));
            slowest[place] = p99;
        }
        turns.push(slowest);
    }
    let peak_kb = server.resident_peak_kb()?;
    let still = desk.delivered_of_hostile(&kinds)?;
    if still > 0 {
        bail!("{still} events count as delivered to hostile partners");
    }
    server.stop()?;
    let [without, friends, with] = middle(turns)?;
    Ok(vec![Row {
        name: "beside hostile partners".to_owned(),
        database: database.name().to_owned(),
        unit: "us p99".to_owned(),
        measured: with,
        limit: Some(Limit { what: "the same without them".to_owned(), value: without }),
        goal: if database == Database::Sqlite {
            Goal::AtMostPercentOfLimit(PERCENT_MAX)
        } else {
            Goal::Shown
        },
        details: [
            ("us p99 beside as many that behave".to_owned(), friends),
            ("hostile".to_owned(), u64::try_from(kinds.len())?),
            ("events a round".to_owned(), EVENTS),
            ("peak memory kB".to_owned(), peak_kb),
        ]
        .into(),
    }])
}

fn middle(mut turns: Vec<[u64; 3]>) -> Result<[u64; 3]> {
    turns.sort_by_key(|[without, _, with]| with * 10_000 / without.max(&1));
    turns.get(turns.len() / 2).copied().context("no rounds")
}

/// The hostile partners that the sandbox plays.
fn kinds(sandbox: SocketAddr) -> Result<Vec<String>> {
    let answer = http::ask(sandbox, "GET", "/hostile")?;
    let all: Value = serde_json::from_slice(&answer.body).context("the list is not JSON")?;
    let all = all.as_object().context("the list is no object")?;
    Ok(all.keys().filter(|path| !path.ends_with("/ok")).cloned().collect())
}

/// Every event goes to the healthy partner, and to one of the others that there are, each in its turn: all are at their
/// worst at the same time, and none of the events has more to do than its neighbour.
fn configuration(
    bench: &Bench,
    healthy: SocketAddr,
    sandbox: SocketAddr,
    kinds: &[String],
    beside: Beside,
) -> String {
    let base = bench.configuration("http://127.0.0.1:9", "0s");
    let head = base.split_once("[[destination]]").map_or(base.as_str(), |(head, _)| head);
    let (mut destinations, mut slugs) = (String::new(), Vec::new());
    let neighbours = kinds.iter().filter(|_| beside != Beside::Nobody).map(|path| match beside {
        // Those who behave have names of their own: what became of the hostile ones' events is counted by theirs.
        Beside::Friends => (sandbox, "/hostile/ok", format!("friend-{}", slug(path))),
        Beside::Nobody | Beside::Hostile => (sandbox, path.as_str(), slug(path)),
    });
    for (address, path, slug) in std::iter::once((healthy, "/ok", "ok".to_owned())).chain(neighbours) {
        // Writing to a string cannot fail.
        let _written = write!(
            destinations,
            "[[destination]]\nslug = \"{slug}\"\nkind = \"postback\"\nallow_private = true\n\
             url = \"http://{address}{path}?tid={{transaction_id}}\"\nsuccess_body_contains = \"OK\"\n\n"
        );
        slugs.push(format!("\"{slug}\""));
    }
    let goal = |slug: &str, when: &str, to: &str| {
        format!(
            "[[goal]]\nslug = \"{slug}\"\nrole = \"funnel_fact\"\nwhen = \"{when}\"\nevent_name = \"{slug}\"\n\
             send_to = [{to}]\n\n"
        )
    };
    let sale = goal("sale", "status == 'approved'", &slugs[0]);
    let noise = slugs[1..].iter().enumerate();
    let noise: String = noise
        .map(|(turn, slug)| goal(&format!("noise-{turn}"), &format!("event == 'noise-{turn}'"), slug))
        .collect();
    format!("{head}{destinations}{sale}{noise}")
}

fn slug(path: &str) -> String {
    path.trim_start_matches("/hostile/").replace('_', "-")
}

/// Who books, and looks at what became of it.
struct Desk {
    door: Connection,
    admin: SocketAddr,
    token: String,
    /// How many hostile partners take turns.
    turns: u64,
    booked: u64,
    watch: Stopwatch,
    arrivals: Arrivals,
}

impl Desk {
    fn open(
        installation: &Installation,
        server: &Server,
        kinds: &[String],
        watch: Stopwatch,
        arrivals: Arrivals,
    ) -> Result<Self> {
        let made = steps::capture(
            &mut installation.place.command(&["token", "create", "--name", "bench", "--json"]),
        )?;
        let made: Value = serde_json::from_str(&made).context("the token is not JSON")?;
        let token = made["token"].as_str().context("no token")?.to_owned();
        Ok(Self {
            door: Connection::open(server.address)?,
            admin: server.admin,
            token,
            turns: u64::try_from(kinds.len())?.max(1),
            booked: 0,
            watch,
            arrivals,
        })
    }

    /// Reports the events of one round, one every so often, and waits for the last to arrive; the slowest of a hundred, in
    /// microseconds.
    fn round(&mut self) -> Result<u64> {
        let began = self.watch.elapsed();
        let mut reported = Vec::new();
        for number in 0..EVENTS {
            let due = began + EVERY * u32::try_from(number)?;
            thread::sleep(due.saturating_sub(self.watch.elapsed()));
            self.booked += 1;
            let turn = number % self.turns;
            let path = format!(
                "/postback/acme?tid=h{}&status=approved&payout=1&event=noise-{turn}&token=bench-token",
                self.booked
            );
            reported.push((format!("GET /ok?tid=h{} HTTP/1.1", self.booked), self.watch.elapsed()));
            let answer = self.door.get(&path)?;
            if answer.status != 200 {
                bail!("a postback was answered {}", answer.status);
            }
        }
        let ended = self.watch.elapsed();
        loop {
            let took = |(line, at): &(String, Duration)| Some(self.arrivals.of(line)?.saturating_sub(*at));
            if let Some(mut took) = reported.iter().map(took).collect::<Option<Vec<_>>>() {
                took.sort_unstable();
                let slowest = took.get(took.len() * 99 / 100).context("no events")?;
                return Ok(u64::try_from(slowest.as_micros())?);
            }
            if self.watch.elapsed() - ended > PATIENCE {
                bail!("not all events arrived in {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn delivered_of_hostile(&self, kinds: &[String]) -> Result<usize> {
        let mut delivered = 0;
        for path in kinds {
            let page = self.page(&format!("state=delivered&destination={}", slug(path)))?;
            delivered += page["data"].as_array().context("no list")?.len();
        }
        Ok(delivered)
    }

    fn page(&self, query: &str) -> Result<Value> {
        let path = format!("/api/v1/deliveries?limit={PAGE}&{query}");
        // One of its own, as one from before the rounds would long be closed.
        let answer = Connection::open(self.admin)?.get_as(&path, &self.token)?;
        serde_json::from_slice(&answer.body).context("the answer is not JSON")
    }
}
