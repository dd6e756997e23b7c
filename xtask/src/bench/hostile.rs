//! A healthy partner beside more than twenty hostile ones, all those that the sandbox plays: how long an event takes from
//! its booking to its delivery at the healthy one, without and beside them. The two take turns, and the middle round of each
//! counts. What is compared is the slowest of a hundred: half of all events hardly notice a neighbour.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::frame::{Bench, Database, Installation};
use super::http::{self, Connection};
use super::program::Server;
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

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("hostile", database)?;
    // Two, as connections are kept and shared by host.
    let healthy = Server::sandbox(&bench.binary, &folder)?;
    let hostile = Server::sandbox(&bench.binary, &folder)?;
    let kinds = kinds(hostile.address)?;
    let installation = bench.install(&folder, database)?;
    let places = (healthy.address, hostile.address);
    let alone = configuration(bench, places, &[]);
    let beside = configuration(bench, places, &kinds);
    installation.place.configure(&alone)?;
    let server = installation.place.serve("")?;
    let mut desk = Desk::open(&installation, &server, &kinds)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        // Who begins changes, so that neither is always the one on the longer history.
        for is_beside in [round % 2 == 0, round % 2 != 0] {
            installation.place.configure(if is_beside { &beside } else { &alone })?;
            thread::sleep(TAKEN_UP);
            let p99 = desk.round()?;
            if is_beside { with.push(p99) } else { without.push(p99) }
        }
    }
    let peak_kb = server.resident_peak_kb()?;
    let still = desk.delivered_of_hostile(&kinds)?;
    if still > 0 {
        bail!("{still} events count as delivered to hostile partners");
    }
    server.stop()?;
    let (without, with) = (middle(without)?, middle(with)?);
    Ok(vec![Row {
        name: "beside hostile partners".to_owned(),
        database: database.name().to_owned(),
        unit: "ms p99".to_owned(),
        measured: with,
        limit: Some(Limit { what: "the same without them".to_owned(), value: without }),
        goal: if database == Database::Sqlite {
            Goal::AtMostPercentOfLimit(PERCENT_MAX)
        } else {
            Goal::Shown
        },
        details: [
            ("hostile".to_owned(), u64::try_from(kinds.len())?),
            ("events a round".to_owned(), EVENTS),
            ("peak memory kB".to_owned(), peak_kb),
        ]
        .into(),
    }])
}

fn middle(mut rounds: Vec<u64>) -> Result<u64> {
    rounds.sort_unstable();
    steps::say(&format!("rounds: {rounds:?} ms"));
    rounds.get(rounds.len() / 2).copied().context("no rounds")
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
fn configuration(bench: &Bench, (healthy, hostile): (SocketAddr, SocketAddr), kinds: &[String]) -> String {
    let base = bench.configuration("http://127.0.0.1:9", "0s");
    let head = base.split_once("[[destination]]").map_or(base.as_str(), |(head, _)| head);
    let (mut destinations, mut slugs) = (String::new(), Vec::new());
    let all = kinds.iter().map(|path| (hostile, path.as_str()));
    for (address, path) in std::iter::once((healthy, "/hostile/ok")).chain(all) {
        let slug = slug(path);
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
    admin: Connection,
    token: String,
    /// How many hostile partners take turns.
    turns: u64,
    booked: u64,
}

impl Desk {
    fn open(installation: &Installation, server: &Server, kinds: &[String]) -> Result<Self> {
        let made = steps::capture(
            &mut installation.place.command(&["token", "create", "--name", "bench", "--json"]),
        )?;
        let made: Value = serde_json::from_str(&made).context("the token is not JSON")?;
        let token = made["token"].as_str().context("no token")?.to_owned();
        Ok(Self {
            door: Connection::open(server.address)?,
            admin: Connection::open(server.admin)?,
            token,
            turns: u64::try_from(kinds.len())?.max(1),
            booked: 0,
        })
    }

    /// Books the events of one round, one every so often, and waits for the last; the slowest of a hundred, in
    /// milliseconds.
    fn round(&mut self) -> Result<u64> {
        let watch = Stopwatch::start();
        for number in 0..EVENTS {
            let due = EVERY * u32::try_from(number)?;
            thread::sleep(due.saturating_sub(watch.elapsed()));
            self.booked += 1;
            let turn = number % self.turns;
            let path = format!(
                "/postback/acme?tid=h{}&status=approved&payout=1&event=noise-{turn}&token=bench-token",
                self.booked
            );
            let answer = self.door.get(&path)?;
            if answer.status != 200 {
                bail!("a postback was answered {}", answer.status);
            }
        }
        let watch = Stopwatch::start();
        loop {
            let times = self.delivered("ok", usize::try_from(EVENTS)?)?;
            if let Some(mut times) = times {
                times.sort_unstable();
                let place = times.len() * 99 / 100;
                return times.get(place).copied().context("no events");
            }
            if watch.elapsed() > PATIENCE {
                bail!("not all events arrived in {} s", PATIENCE.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// From booking to delivery, in milliseconds, of the last so many events; `None` if one is not there yet.
    fn delivered(&mut self, destination: &str, count: usize) -> Result<Option<Vec<u64>>> {
        let (mut times, mut cursor) = (Vec::new(), String::new());
        while times.len() < count {
            let page = self.page(&format!("destination={destination}{cursor}"))?;
            let rows = page["data"].as_array().context("no list")?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in rows.iter().take(count - times.len()) {
                if row["state"] != "delivered" {
                    return Ok(None);
                }
                let at = |name: &str| row[name].as_str().and_then(ms_of_day).context("no time");
                let (from, to) = (at("created_at")?, at("finished_at")?);
                times.push((to + DAY_MS - from) % DAY_MS);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None if times.len() < count => return Ok(None),
                None => {}
            }
        }
        Ok(Some(times))
    }

    fn delivered_of_hostile(&mut self, kinds: &[String]) -> Result<usize> {
        let mut delivered = 0;
        for path in kinds {
            let page = self.page(&format!("state=delivered&destination={}", slug(path)))?;
            delivered += page["data"].as_array().context("no list")?.len();
        }
        Ok(delivered)
    }

    fn page(&mut self, query: &str) -> Result<Value> {
        let path = format!("/api/v1/deliveries?limit={PAGE}&{query}");
        let answer = self.admin.get_as(&path, &self.token)?;
        serde_json::from_slice(&answer.body).context("the answer is not JSON")
    }
}

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// The time of day in a moment such as `2026-11-21T10:00:00.123Z`.
fn ms_of_day(moment: &str) -> Option<u64> {
    let (_, time) = moment.trim_end_matches('Z').split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let fraction: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moments_time_of_day() {
        assert_eq!(ms_of_day("2026-11-21T01:02:03.045Z"), Some(3_723_045));
        assert_eq!(ms_of_day("2026-11-21T01:02:03Z"), Some(3_723_000));
        assert_eq!(ms_of_day("2026-11-21T01:02:03.5Z"), Some(3_723_500));
        assert_eq!(ms_of_day("noon"), None);
    }
}
