//! The durable redirect of a campaign with paths, whose rules ask for place and device, against the one of a campaign with
//! one target: the same server, generator, connections and cores, in turns.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::frame::{Bench, Database};
use super::load::{self, Script};
use super::report::{Goal, Row};
use super::{click, http};

// One source for tests and benches; it knows nothing of the crate that it stands in.
#[path = "../../../crates/crosstally-testkit/src/mmdb.rs"]
#[expect(unreachable_pub, reason = "public where it stands")]
mod mmdb;

/// As the plain one's, of another campaign.
const PATH: &str = r#""/c/ruled?fbclid=IwAR0bench" .. n .. "xyz&sub1=ad" .. n .. "&utm_source=facebook""#;

/// Four rules, of which the generator meets the last: by its address, by what it runs on, and by a parameter.
const RULES: &str = r#"
[[offer]]
slug = "shop"
target = "https://lander.example/p?cid={click_id}&s={sub1}&g={country}"

[[path]]
slug = "phones"
when = { country = ["DE", "AT", "CH"], device = ["mobile", "tablet"], hour = "0-24" }
offers = { shop = 1 }

[[path]]
slug = "apps"
when = { browser = ["facebook", "instagram"], country = ["US"] }
offers = { shop = 1 }

[[path]]
slug = "cloud"
when = { asn = ["16509"], os = ["linux"], language = ["en"] }
offers = { shop = 1 }

[[path]]
slug = "here"
when = { country = ["ZZ"], os = ["!windows"], sub1 = ["!none"] }
offers = { shop = 70 }

[[path]]
slug = "rest"
offers = { shop = 1 }

[[campaign]]
slug = "ruled"
source = "facebook"
paths = ["phones", "apps", "cloud", "here", "rest"]
"#;

/// Measures.
pub(crate) fn run(bench: &Bench, database: Database) -> Result<Vec<Row>> {
    let folder = bench.folder("rules", database)?;
    let installation = bench.install(&folder, database)?;
    let places = folder.join("places.mmdb");
    let here = mmdb::place("ZZ", "Here", "The machine itself", 64_500);
    fs::write(&places, mmdb::file(&[("127.0.0.0".parse()?, 8, here)])).context("cannot write the places")?;
    let configuration = bench.configuration("http://127.0.0.1:9", "0s");
    installation.place.configure(&format!("{configuration}{RULES}"))?;
    let files = places.display().to_string();
    let server = installation.place.serve_with("collect,api,tasks", &["--geo-files", &files])?;
    let answer = http::ask(server.address, "GET", "/c/ruled?sub1=x")?;
    if answer.status != 302 || !answer.location.as_deref().unwrap_or_default().ends_with("&g=ZZ") {
        bail!("the rules did not lead the click: {} {:?}", answer.status, answer.location);
    }
    let mut rounds = Vec::new();
    for round in 0..bench.rounds {
        let script = |path| Script { path, lines: None, run: round };
        let plain = load::run(&folder, server.address, &script(click::PATH), bench.seconds)?;
        rounds.push((load::run(&folder, server.address, &script(PATH), bench.seconds)?, plain));
    }
    server.stop()?;
    let (ruled, plain) = load::median_pair(rounds)?;
    let goal = if database == Database::Sqlite { Goal::PercentOfLimit(85) } else { Goal::Shown };
    let details = [("p99 us", ruled.p99_us), ("plain p99 us", plain.p99_us)];
    let of = database.name();
    let speed = Row::alone("click by rules", of, (ruled.per_second, "requests/s"), goal, &details);
    Ok(vec![
        speed.against("plain redirect", plain.per_second),
        Row::alone("click by rules errors", of, (ruled.errors, "answers"), Goal::AtMost(0), &[]),
    ])
}
