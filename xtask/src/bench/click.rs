//! The durable click redirect against nginx answering a fixed redirect: the same generator, connections and cores, in
//! turns.

use anyhow::Result;

use super::frame::{Bench, Database};
use super::load::{self, Script};
use super::program::Server;
use super::report::{Goal, Row};
use crate::machine;

/// What each click asks for, as a Lua expression.
pub(crate) const PATH: &str =
    r#""/c/summer?fbclid=IwAR0bench" .. n .. "xyz&sub1=ad" .. n .. "&utm_source=facebook""#;

/// What the redirect is measured against.
const NGINX: &str = "nginx return 302";

/// The p99 that is promised.
const P99_US_MAX: u64 = 20_000;

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let nginx = machine::find_program("nginx").map_or_else(
        || {
            machine::install(&["nginx-light"], "nginx (the limit of the click row)")?;
            machine::find_program("nginx")
                .ok_or_else(|| anyhow::anyhow!("nginx was installed but is not found"))
        },
        Ok,
    )?;
    let folder = bench.folder("click", database)?;
    let installation = bench.install(&folder, database)?;
    installation.place.configure(&bench.configuration("http://127.0.0.1:9", "0s"))?;
    let nginx = Server::nginx(&nginx, &folder)?;
    let server = installation.place.serve("collect,api,tasks")?;
    let mut rounds = Vec::new();
    for round in 0..bench.rounds {
        let script = Script { path: PATH, lines: None, run: round };
        let limit = load::run(&folder, nginx.address, &script, bench.seconds)?;
        rounds.push((load::run(&folder, server.address, &script, bench.seconds)?, limit));
    }
    let peak_kb = server.resident_peak_kb()?;
    server.stop()?;
    let (ours, theirs) = load::median_pair(rounds)?;
    let of = database.name();
    let promised = |goal| if database == Database::Sqlite { goal } else { Goal::Shown };
    let speed = Row::alone(
        "click",
        of,
        (ours.per_second, "requests/s"),
        promised(Goal::PercentOfLimit(50)),
        &[("p50 us", ours.p50_us), ("nginx p50 us", theirs.p50_us), ("peak memory kB", peak_kb)],
    );
    let late = Row::alone("click p99", of, (ours.p99_us, "us"), promised(Goal::AtMost(P99_US_MAX)), &[]);
    Ok(vec![
        speed.against(NGINX, theirs.per_second),
        late.against(NGINX, theirs.p99_us),
        Row::alone("click errors", of, (ours.errors, "answers"), Goal::AtMost(0), &[]),
    ])
}
