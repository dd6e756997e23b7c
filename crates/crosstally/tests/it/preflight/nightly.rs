//! A pre-flight that is flown once a day by itself.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::Engine;
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::FixedSecrets;
use crosstally_store::{OpenOptions, Store};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::Value;
use tokio::net::TcpListener;

use super::CONFIG;
use super::shop::{Fault, Shop};
use crate::guarded::word;

on_both! {
    /// Once a day from its hour on, in the workspace's zone; what it found stands among the runs and in the metrics.
    preflight_is_flown_once_a_day_by_itself => nightly;
    /// A run that the store did not take is not the day's: it is flown again after ten minutes.
    preflight_that_broke_off_is_flown_again => broken_off;
    /// A flight in which this process's doors close is none: nothing is kept of it, and the next process flies.
    preflight_in_a_process_that_stops_is_left_to_the_next => stopped;
    /// A node without a door leaves the run to those that have one, and says after an hour that nobody flew.
    preflight_is_left_to_nodes_that_can_fly => doorless;
    /// Once a day also on the day of 25 hours, and what broke off before midnight is flown after it.
    preflight_days_begin_and_end_with_the_zone => edges;
}

const MONITOR: &str = r#"
[[preflight]]
slug = "nightly"
campaign = "summer"
at = "13:30"
actions = 3
postback = "https://track.example/postback/acme?token={token}&click_id={click_id}&tid={transaction_id}&status={status}&payout={payout}&currency={currency}"
allow_private = true
"#;

async fn runs(server: &TestServer) -> Result<Vec<Value>> {
    let list = server.api("/api/v1/tools/runs?tool=preflight_run").await?;
    list["data"].as_array().cloned().context("a list")
}

async fn nightly(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    // The test begins at 10:00 UTC, which is 12:00 in this zone.
    let config = CONFIG.replace("SHOP", &shop.address.to_string());
    let config = config.replace("timezone = \"UTC\"", "timezone = \"Africa/Cairo\"");
    server.apply(&format!("{config}{MONITOR}")).await?;
    assert_eq!(server.engine.fly_nightly().await?, 0, "it is noon");
    server.advance(89 * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 0, "13:29");
    server.advance(60_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "13:30");
    assert_eq!(server.engine.fly_nightly().await?, 0, "once a day");
    server.advance(9 * 3_600_000);
    assert_eq!(server.engine.fly_nightly().await?, 0, "still the same day");
    let first = runs(&server).await?;
    assert_eq!(first.len(), 1);
    assert_eq!(word(&first[0], "author"), "preflight nightly");
    // The sandbox tells the machine's time, which is not the test's: the clock is all that may be wrong.
    let id = word(&first[0], "id");
    let shown = server.api(&format!("/api/v1/tools/runs/{id}")).await?;
    let found = shown.pointer("/answer/defects").and_then(Value::as_array).context("defects")?;
    assert!(found.iter().all(|defect| word(defect, "code") == "clock_off"), "{shown:#}");
    assert!(!shown.to_string().contains("acme-secret"), "{shown:#}");
    shop.plant(Fault::Gone);
    server.advance(15 * 3_600_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "the next day");
    let second = runs(&server).await?;
    assert_eq!((second.len(), &second[0]["ok"]), (2, &serde_json::json!(false)));
    let shown = server.api(&format!("/api/v1/tools/runs/{}", word(&second[0], "id"))).await?;
    assert!(shown["answer"]["defects"].to_string().contains("lander_dead"), "{shown:#}");
    let metrics = client::get(server.admin, "/metrics").await?.text();
    assert!(metrics.contains("crosstally_preflight_passed{preflight=\"nightly\"} 0"), "{metrics}");
    server.stop().await;
    Ok(())
}

async fn broken_off(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    server.apply(&format!("{}{MONITOR}", CONFIG.replace("SHOP", &shop.address.to_string()))).await?;
    server.advance(4 * 3_600_000);
    server.database.run("ALTER TABLE tool_runs RENAME TO tool_runs_away").await?;
    assert_eq!(server.engine.fly_nightly().await?, 0, "it could not be kept");
    server.database.run("ALTER TABLE tool_runs_away RENAME TO tool_runs").await?;
    server.advance(9 * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 0, "another node may be at it");
    server.advance(2 * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "again");
    assert_eq!(runs(&server).await?.len(), 1);
    assert_eq!(server.engine.fly_nightly().await?, 0, "once a day");
    server.stop().await;
    Ok(())
}

/// A further node on a server's database.
async fn node(server: &TestServer, name: &str) -> Result<Engine> {
    let secrets = [("META_TOKEN", "tok-good"), ("ACME_TOKEN", "acme-secret")];
    let secrets = secrets.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let spool = server.database.directory().join(name);
    Ok(Engine::build(Parts {
        store: Store::open(OpenOptions::at(server.database.location())).await?,
        clock: Arc::new(server.clock.clone()),
        random: Random::seeded(u64::try_from(name.len())?),
        secret_source: Arc::new(FixedSecrets(secrets)),
        master_key: Some([9; 32]),
        spool: &spool,
    })
    .await?)
}

async fn stopped(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let config = format!("{}{MONITOR}", CONFIG.replace("SHOP", &shop.address.to_string()));
    server.apply(&format!("{config}base = \"http://{}\"\n", listener.local_addr()?)).await?;
    server.advance(4 * 3_600_000);
    let closing = async {
        let (stream, _) = listener.accept().await?;
        server.engine.door.closes();
        anyhow::Ok(stream)
    };
    let (flown, _stream) = tokio::join!(server.engine.fly_nightly(), closing);
    assert_eq!(flown?, 0);
    assert_eq!(runs(&server).await?.len(), 0);
    assert_eq!(server.engine.fly_nightly().await?, 0, "nor does it begin one");
    server.apply(&config).await?;
    let next = node(&server, "next").await?;
    next.door.opens_at(server.tracking);
    assert_eq!(next.fly_nightly().await?, 1, "at once");
    assert_eq!(runs(&server).await?.len(), 1);
    server.stop().await;
    Ok(())
}

async fn doorless(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    server.apply(&format!("{}{MONITOR}", CONFIG.replace("SHOP", &shop.address.to_string()))).await?;
    let other = node(&server, "doorless").await?;
    server.advance(4 * 3_600_000);
    assert_eq!(other.fly_nightly().await?, 0, "it has no door");
    assert_eq!(server.engine.fly_nightly().await?, 1, "this one has");
    server.advance(24 * 3_600_000);
    assert_eq!(other.fly_nightly().await?, 0, "14:00, half an hour after its time");
    server.advance(31 * 60_000);
    assert_eq!(other.fly_nightly().await?, 1, "nobody has flown it");
    let kept = runs(&server).await?;
    assert_eq!((kept.len(), &kept[0]["ok"]), (2, &serde_json::json!(false)));
    let shown = server.api(&format!("/api/v1/tools/runs/{}", word(&kept[0], "id"))).await?;
    assert!(shown["answer"].to_string().contains("no tracking door"), "{shown:#}");
    server.stop().await;
    Ok(())
}

async fn edges(kind: Kind) -> Result<()> {
    let shop = Shop::open().await?;
    let server = TestServer::start(kind).await?;
    let config = format!("{}{MONITOR}", CONFIG.replace("SHOP", &shop.address.to_string()))
        .replace("timezone = \"UTC\"", "timezone = \"Europe/Berlin\"");
    server.apply(&config.replace("13:30", "00:05")).await?;
    // From 2026-11-21 10:00 UTC to 00:10 on 2027-10-31, the day on which the clocks there go back.
    server.advance(343 * 86_400_000 + (12 * 60 + 10) * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "00:10");
    server.advance(24 * 3_600_000 + 300_000);
    server.engine.forget_keys().await?;
    assert_eq!(server.engine.fly_nightly().await?, 0, "23:15 of the same day");
    server.advance(50 * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "00:05 of the next");
    // A minute before midnight the store takes nothing; ten minutes after it does.
    server.apply(&config.replace("13:30", "23:55")).await?;
    server.advance(47 * 3_600_000 + 53 * 60_000);
    server.database.run("ALTER TABLE tool_runs RENAME TO tool_runs_away").await?;
    assert_eq!(server.engine.fly_nightly().await?, 0, "23:58: it could not be kept");
    server.database.run("ALTER TABLE tool_runs_away RENAME TO tool_runs").await?;
    server.advance(11 * 60_000);
    assert_eq!(server.engine.fly_nightly().await?, 1, "00:09, for the day before");
    assert_eq!(server.engine.fly_nightly().await?, 0);
    server.stop().await;
    Ok(())
}
