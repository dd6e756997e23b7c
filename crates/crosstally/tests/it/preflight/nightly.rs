//! A pre-flight that is flown once a day by itself.

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::Value;

use super::CONFIG;
use super::shop::{Fault, Shop};
use crate::guarded::word;

on_both! {
    /// Once a day from its hour on, in the workspace's zone; what it found stands among the runs and in the metrics.
    preflight_is_flown_once_a_day_by_itself => nightly;
    /// A run that the store did not take is not the day's: it is flown again after ten minutes.
    preflight_that_broke_off_is_flown_again => broken_off;
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
