//! Postbacks with every step in one durable transaction: each has a transaction id of its own and is attributed to a
//! real click; each meets the goal, so each leaves a receipt, ledger entries, a goal event and an outbox row. Delivery
//! rests meanwhile. The limit is what nginx answers to the same requests without doing anything.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::frame::{Bench, Database};
use super::http::{self, Connection};
use super::load::{self, Script};
use super::program::Server;
use super::report::{Goal, Row};
use crate::machine;

/// What each postback asks for, as a Lua expression; `id` is a click id.
pub(crate) const PATH: &str = r#""/postback/acme?click_id=" .. id .. "&transaction_id=t" .. n .. "&status=approved&payout=12.34&currency=USD&token=bench-token""#;

/// How many different clicks the conversions come from.
const CLICKS: u64 = 20_000;
/// Connections that click.
const CLICKERS: u64 = 8;
/// Postbacks per second that are promised.
const PER_SECOND_MIN: u64 = 10_000;

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("postback", database)?;
    let installation = bench.install(&folder, database)?;
    installation.place.configure(&bench.configuration("http://127.0.0.1:9", "0s"))?;
    let server = installation.place.serve("collect,api,tasks")?;
    let ids = collect_clicks(server.address, &folder)?;
    check_one(server.address, &ids)?;
    let nginx = machine::find_program("nginx").map(|program| Server::nginx(&program, &folder)).transpose()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let script = Script { path: PATH, lines: Some(&ids), run: round + 1 };
        if let Some(nginx) = &nginx {
            theirs.push(load::run(&folder, nginx.address, &script, bench.seconds)?);
        }
        ours.push(load::run(&folder, server.address, &script, bench.seconds)?);
    }
    let peak_kb = server.resident_peak_kb()?;
    server.stop()?;
    let ours = load::median(ours)?;
    let of = database.name();
    let promised = |goal| if database == Database::Sqlite { goal } else { Goal::Shown };
    let mut speed = Row::alone(
        "postback",
        of,
        (ours.per_second, "requests/s"),
        promised(Goal::AtLeast(PER_SECOND_MIN)),
        &[("p50 us", ours.p50_us), ("p99 us", ours.p99_us), ("peak memory kB", peak_kb)],
    );
    if !theirs.is_empty() {
        speed = speed.against("nginx, no work", load::median(theirs)?.per_second);
    }
    Ok(vec![speed, Row::alone("postback errors", of, (ours.errors, "answers"), Goal::AtMost(0), &[])])
}

/// Clicks many times and writes the click ids, as the landing page would see them, into a file of lines.
pub(crate) fn collect_clicks(address: SocketAddr, folder: &Path) -> Result<PathBuf> {
    let clickers: Vec<_> = (0..CLICKERS)
        .map(|clicker| {
            let share = CLICKS / CLICKERS;
            thread::spawn(move || click_many(address, clicker * share..(clicker + 1) * share))
        })
        .collect();
    let mut ids = Vec::new();
    for clicker in clickers {
        let own: Vec<String> =
            clicker.join().map_err(|_| anyhow::anyhow!("a clicking thread panicked"))??;
        ids.extend(own);
    }
    let file = folder.join("click-ids");
    fs::write(&file, ids.join("\n")).context("cannot write the click ids")?;
    Ok(file)
}

fn click_many(address: SocketAddr, numbers: std::ops::Range<u64>) -> Result<Vec<String>> {
    let mut connection = Connection::open(address)?;
    let mut ids = Vec::new();
    for number in numbers {
        let answer = connection.get(&format!("/c/summer?fbclid=IwAR0real{number}&sub1=ad{number}"))?;
        let location =
            answer.location.filter(|_| answer.status == 302).context("a click was not redirected")?;
        let id = location.split(['?', '&']).find_map(|part| part.strip_prefix("cid="));
        ids.push(id.with_context(|| format!("no click id in {location}"))?.to_owned());
    }
    Ok(ids)
}

/// Before it counts thousands: one postback is recorded, and its repeat is a duplicate.
fn check_one(address: SocketAddr, ids: &Path) -> Result<()> {
    let ids = fs::read_to_string(ids).context("cannot read the click ids")?;
    let id = ids.lines().next().context("no click ids")?;
    let path = format!(
        "/postback/acme?click_id={id}&transaction_id=first&status=approved&payout=12.34&currency=USD&token=bench-token"
    );
    for expected in ["recorded", "duplicate"] {
        let answer = http::ask(address, "GET", &path)?;
        let body: serde_json::Value =
            serde_json::from_slice(&answer.body).context("the answer is not JSON")?;
        if answer.status != 200 || body["result"] != expected || body["conversion"].is_null() {
            bail!(
                "a postback should be {expected}, attributed to its click; the answer was {} {body}",
                answer.status
            );
        }
    }
    Ok(())
}
