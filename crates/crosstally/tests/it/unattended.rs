//! Whatever the server does to deliveries by itself, because nobody looks, it says: a line in its log and a metric.

use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_testkit::client::{self, post_as};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::CONFIG;
use serde_json::{Value, json};

use crate::commands::program;
use crate::security_a::local_name;
use crate::security_e::Logged;

on_both! {
    /// Every hold, every end without arrival and the way back, with the real program.
    every_hold_and_every_end_is_logged_and_measured => told;
}

/// How long a wait may take that ends by itself; counts are taken every five seconds.
const PATIENCE: Duration = Duration::from_secs(40);

struct Case {
    slug: &'static str,
    /// What follows `slug` in its section.
    settings: String,
    /// What the log's line has besides the slug.
    log: &'static str,
    /// The metric's labels besides the slug; of a pause none.
    state: Option<&'static str>,
}

fn cases(sandbox: &str, own: &str) -> Result<Vec<Case>> {
    let url = |url: String| format!("kind = \"postback\"\nallow_private = true\nurl = \"{url}\"");
    let hostile = |kind: &str| url(format!("http://{sandbox}/hostile/{kind}?id={{event_id}}"));
    let name = local_name().context("a name of this machine that is not localhost")?;
    let meta = format!(
        "kind = \"meta\"\ndataset_id = \"1234567890\"\nendpoint = \"http://{sandbox}\"\nallow_private = true\naccess_token"
    );
    let held = |slug, settings, log| Case { slug, settings, log, state: None };
    let ended = |slug, settings, log, state| Case { slug, settings, log, state: Some(state) };
    Ok(vec![
        held("auth", format!("{meta} = \"expired-1\""), "dest_auth"),
        held("secret", format!("{meta} = {{ env = \"NOBODY_SETS_THIS\" }}"), "secret_missing"),
        held("gone", hostile("gone"), "dest_gone"),
        held(
            "forbidden",
            url(format!("http://{name}:9/p")).replace("allow_private = true\n", ""),
            "address_forbidden",
        ),
        held("own", url(format!("http://{own}/postback/acme?tid={{conversion_id}}")), "own_address"),
        ended("dead", hostile("error_text") + "\nsuccess_body_contains = \"OK\"", "deliveries=1", "dead"),
        ended("expired", hostile("ok") + "\nmax_age_days = 1", "deliveries=1", "expired"),
    ])
}

fn document(cases: &[Case]) -> Result<String> {
    let mut document = CONFIG.split_once("[[destination]]").context("a destination")?.0.to_owned();
    for case in cases {
        document.push_str(&format!("[[destination]]\nslug = \"{}\"\n{}\n\n", case.slug, case.settings));
    }
    let slugs: Vec<String> = cases.iter().map(|case| format!("\"{}\"", case.slug)).collect();
    document.push_str(&format!(
        "[[goal]]\nslug = \"sale\"\nrole = \"learning_signal\"\nwhen = \"status == 'approved'\"\n\
         event_name = \"Purchase\"\naction_source = \"system_generated\"\nsend_to = [{}]\n",
        slugs.join(", ")
    ));
    Ok(document)
}

/// What is not there yet of all that must be said.
fn untold(cases: &[Case], log: &str, metrics: &str) -> Vec<String> {
    let mut untold = Vec::new();
    for Case { slug, log: word, state, .. } in cases {
        let destination = format!("destination=\"{slug}\"");
        let is_it =
            |line: &&str| line.contains(" WARN ") && line.contains(&destination) && line.contains(word);
        // Exactly once, however many calls find out.
        if log.lines().filter(is_it).count() != 1 {
            untold.push(format!("log: {slug} {word}"));
        }
        let metric = match state {
            None => format!("crosstally_destination_paused{{destination=\"{slug}\"}} 1"),
            Some(state) => format!("crosstally_deliveries{{destination=\"{slug}\",state=\"{state}\"}} 1"),
        };
        if !metrics.lines().any(|line| line == metric) {
            untold.push(format!("metric: {metric}"));
        }
    }
    untold
}

#[expect(clippy::disallowed_methods, reason = "the real program runs by the real clock")]
async fn told(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let sandbox = program().sandbox(database.directory()).await?;
    let server = Logged::start(&database).await?;
    let made = program().run(
        &["token", "create", "--name", "t", "--json"],
        &database.flags(),
        database.directory(),
    )?;
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let token = made["token"].as_str().context("no token")?;
    let cases = cases(&sandbox.address.to_string(), &server.address.to_string())?;
    let applied = post_as(server.admin, "/api/v1/config/apply", token, &document(&cases)?).await?;
    assert_eq!(applied.status, 200, "{}", applied.text());
    // An event of some days ago: too old for one of them.
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let event = json!({
        "event": "Purchase", "transaction_id": "T1", "value": "1.00", "currency": "USD",
        "event_time": now_s - 3 * 86_400, "action_source": "system_generated", "user": {"email": "a@b.example"},
    });
    let booked = post_as(server.address, "/v1/events", token, &event.to_string()).await?;
    assert_eq!(booked.status, 200, "{}", booked.text());
    let mut missing = Vec::new();
    for _ in 0..PATIENCE.as_millis() / 100 {
        let metrics = client::get(server.admin, "/metrics").await?.text();
        missing = untold(&cases, &server.said()?, &metrics);
        if missing.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(missing, Vec::<String>::new(), "{}", server.said()?);
    // The way back is said as well.
    let resumed = post_as(server.admin, "/api/v1/destinations/gone/resume", token, "{}").await?;
    assert_eq!(resumed.status, 200, "{}", resumed.text());
    let log = server.said()?;
    let is_it = |line: &str| line.contains("destination=\"gone\"") && line.contains("resumed by hand");
    assert!(log.lines().any(is_it), "{log}");
    Ok(())
}
