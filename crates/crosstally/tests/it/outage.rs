//! A platform that is away for days: what is still in time arrives once, on schedule; the rest is expired and visible.

use anyhow::{Context, Result};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crosstally_store::Outage;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{START, TestServer};
use serde_json::{Value, json};

use crate::commands::program;

on_both! {
    /// Three days down, a conversion an hour, three of them too old before it is back.
    three_days_down_lose_nothing_that_is_in_time => three_days;
    /// Whoever looks from a shell that has not the server's secrets is told what fails, as whoever has them.
    a_command_without_the_secrets_tells_what_fails => without_secrets;
}

async fn rows(server: &TestServer, state: &str) -> Result<Vec<Value>> {
    let list = server.api(&format!("/api/v1/deliveries?limit=500&state={state}")).await?;
    Ok(list.get("data").and_then(Value::as_array).cloned().unwrap_or_default())
}

async fn three_days(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "status", "status": 503})).await?;
    // Meta takes an event for seven days: these three have a day and a half left when the outage begins.
    for number in 0..3 {
        let click = server.click("fbclid=Old").await?;
        let at = START.plus_millis(-(5 * DAY_MS + DAY_MS / 2)).as_seconds();
        let call = format!("click_id={click}&tid=old{number}&payout=1.50&event_time={at}");
        assert_eq!(server.postback(&call).await?.status, 200);
    }
    for hour in 0..72 {
        let click = server.click("fbclid=AbC").await?;
        let reply = server.postback(&format!("click_id={click}&tid=T{hour}&payout=1.50")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        for _ in 0..6 {
            server.deliver().await?;
            server.advance(HOUR_MS / 6);
        }
        server.engine.expire_overdue().await?;
    }
    assert_eq!(server.accepted().await?.len(), 0);
    let expired = rows(&server, "expired").await?;
    assert_eq!(expired.len(), 3, "the old ones ran out of time");
    assert!(expired.iter().all(|row| row["code"] == "event_too_old"), "{expired:?}");

    server.no_faults().await?;
    // The longest wait of the schedule is a day and a fifth.
    for _ in 0..(30 * 6) {
        server.deliver().await?;
        server.advance(10 * MINUTE_MS);
    }
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 72);
    let duplicates = client::get(server.sandbox, "/_sandbox/duplicates").await?.json()?;
    assert_eq!(duplicates.get("data").and_then(Value::as_array).map(Vec::len), Some(0), "each was sent once");
    let delivered = rows(&server, "delivered").await?;
    assert_eq!((delivered.len(), rows(&server, "pending").await?.len()), (72, 0));
    for row in &delivered {
        // 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 4 h, 8 h, 12 h, 24 h, 24 h: no more than that in three days.
        let attempts = row["attempts"].as_u64().context("a number")?;
        assert!((1..=13).contains(&attempts), "{row}");
    }
    let errors = server.api("/api/v1/deliveries/errors").await?;
    assert_eq!(errors.pointer("/data/0/count"), Some(&json!(3)), "{errors}");
    server.stop().await;
    Ok(())
}

/// Notes it as failing, as its lane does.
async fn fail(server: &TestServer, slug: &str) -> Result<()> {
    let ready = server.engine.snapshot.load().destination(slug).context("a destination")?.clone();
    let outage = Outage {
        destination: slug.to_owned(),
        since: server.engine.clock.now(),
        reason: Reason::DestTimeout,
        detail: "no answer within 10 s".to_owned(),
        settings_digest: ready.digest.clone(),
    };
    Ok(server.engine.store.set_outage(slug.to_owned(), Some(outage)).await?)
}

async fn without_secrets(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    fail(&server, "meta-main").await?;
    let told = server.api("/api/v1/destinations").await?;
    assert_eq!(told["data"][0]["state"], "failing", "{told}");
    for environment in [vec![("META_TOKEN".to_owned(), "tok-good".to_owned())], Vec::new()] {
        let directory = server.database.directory().to_owned();
        // The testkit's own key of the installation.
        let key = directory.join("master.hex");
        std::fs::write(&key, "09".repeat(32))?;
        let mut flags = server.database.flags();
        flags.extend(["--master-key-file".to_owned(), key.display().to_string()]);
        let program = program().with_environment(environment);
        let run = move || program.run(&["destinations", "list", "--json"], &flags, &directory);
        let output = tokio::task::spawn_blocking(run).await??;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        assert_eq!((said[0]["state"].as_str(), output.status.code()), (Some("failing"), Some(6)), "{said}");
        assert_eq!(said[0]["detail"], told["data"][0]["detail"]);
    }
    Ok(())
}
