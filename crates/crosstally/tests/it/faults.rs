//! The sandbox misbehaves: what is retried, what is held, what is dead is right and visible.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use crosstally_engine::delivery;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};
use tokio::sync::watch;

on_both! {
    /// 429 with Retry-After: tried again no sooner than asked, then delivered once.
    a_throttled_event_waits_as_long_as_asked => throttled;
    /// 500: tried again on the schedule, then delivered once.
    a_failing_platform_is_tried_again => failing;
    /// Three calls in a row that came to nothing: the destination is shown as failing until one comes to something.
    a_platform_that_keeps_failing_is_shown_as_failing => told_failing;
    /// The event was taken but the answer never came: sent again under the same id, accepted once.
    an_unknown_outcome_is_sent_again_under_the_same_id => unknown_outcome;
    /// The platform takes the event and then hangs: the call ends at its deadline, is sent again, accepted once.
    a_hanging_platform_is_left_at_the_deadline => hanging;
    /// An expired token holds everything; a new one lets it go.
    an_expired_token_holds_everything => expired_token;
    /// One bad event among 500: it alone is dead, the 499 arrive.
    one_bad_event_never_sinks_its_batch => one_bad;
    /// Older than the platform takes: expired and visible, never sent.
    what_is_too_old_expires => too_old;
    /// The destination is taken out of the configuration: its events wait, visibly.
    a_removed_destination_keeps_its_events => removed;
}

async fn conversions(server: &TestServer, count: usize) -> Result<()> {
    let click = server.click("fbclid=AbC").await?;
    for number in 0..count {
        let reply = server.postback(&format!("click_id={click}&tid=T{number}&payout=1.50")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    Ok(())
}

async fn deliveries(server: &TestServer) -> Result<Vec<Value>> {
    let list = server.api("/api/v1/deliveries?limit=500").await?;
    Ok(list.get("data").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

/// Nobody has to find out by the list of deliveries that a destination has been down for days.
async fn told_failing(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let shown = async || -> Result<(String, Value)> {
        let shown = server.api("/api/v1/destinations").await?;
        let row = &shown["data"][0];
        server.engine.measure_outbox().await?;
        let metrics = server.engine.metrics.render();
        let gauge = metrics.lines().find(|line| line.starts_with("crosstally_destination_failing"));
        let gauge = gauge.and_then(|line| line.split(' ').next_back()).unwrap_or("none");
        Ok((format!("{} {} {gauge}", word(row, "state"), word(row, "code")), row["since"].clone()))
    };
    server.fault(&json!({"kind": "status", "status": 500, "times": 5})).await?;
    conversions(&server, 1).await?;
    let until = async |wanted: &str| -> Result<Value> {
        for _ in 0..300 {
            let (word, since) = shown().await?;
            if word == wanted {
                return Ok(since);
            }
            server.advance(60_000);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("never {wanted}: {:?}", shown().await?.0))
    };
    let (stop, stopped) = watch::channel(false);
    let driving = async {
        let since = until("failing dest_server_error 1").await;
        let well = until("active  0").await;
        stop.send_replace(true);
        assert!(since?.is_string(), "since when");
        well.map(drop)
    };
    let (driven, ()) = tokio::join!(driving, delivery::run(server.engine.clone(), stopped));
    driven?;
    assert_eq!(server.accepted().await?.len(), 1);
    server.stop().await;
    Ok(())
}

async fn throttled(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "status", "status": 429, "retry_after": 120, "times": 1})).await?;
    conversions(&server, 1).await?;
    server.deliver().await?;
    let click = server.click("fbclid=Late").await?;
    server.postback(&format!("click_id={click}&tid=late&payout=1.50")).await?;
    let mut rows = deliveries(&server).await?;
    let until = server.engine.clock.now().plus_millis(120_000).to_string();
    assert_eq!(word(&rows[0], "due_at"), until, "nobody is sent before");
    assert_eq!(word(&rows[0], "state"), "pending");
    let row = rows.remove(1);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("pending", "dest_rate_limited"));
    let shown = server.api("/api/v1/destinations").await?;
    assert_eq!(
        (&shown["data"][0]["state"], &shown["data"][0]["until"]),
        (&json!("active"), &json!(until)),
        "{shown}"
    );
    server.advance(119_000);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 0, "sooner than the platform asked");
    server.advance(60_000);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 2);
    assert_eq!(server.api("/api/v1/destinations").await?["data"][0].get("until"), None);
    let row = deliveries(&server).await?.remove(1);
    assert_eq!(
        (word(&row, "state"), row.get("attempts").unwrap().to_string()),
        ("delivered", "2".to_owned())
    );
    server.stop().await;
    Ok(())
}

async fn failing(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "server_error", "times": 3})).await?;
    conversions(&server, 1).await?;
    for _ in 0..6 {
        server.deliver().await?;
        server.advance(200_000);
    }
    assert_eq!(server.accepted().await?.len(), 1);
    let row = deliveries(&server).await?.remove(0);
    assert_eq!(
        (word(&row, "state"), row.get("attempts").unwrap().to_string()),
        ("delivered", "4".to_owned())
    );
    let attempts = server.api(&format!("/api/v1/deliveries/{}/attempts", word(&row, "id"))).await?;
    let first = attempts.pointer("/data/0").unwrap();
    assert_eq!(
        (word(first, "outcome"), first.get("status").unwrap().to_string()),
        ("retry", "500".to_owned())
    );
    server.stop().await;
    Ok(())
}

async fn unknown_outcome(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "reset_after_accept", "times": 1})).await?;
    conversions(&server, 1).await?;
    server.deliver().await?;
    server.advance(60_000);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1);
    let duplicates = client::get(server.sandbox, "/_sandbox/duplicates").await?.json()?;
    assert_eq!(duplicates.get("data").and_then(Value::as_array).map(Vec::len), Some(1));
    assert_eq!(word(&deliveries(&server).await?[0], "state"), "delivered");
    server.stop().await;
    Ok(())
}

async fn hanging(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "hang", "ms": 60_000, "accept": true, "times": 1})).await?;
    conversions(&server, 1).await?;
    server.deliver().await?;
    let row = deliveries(&server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("pending", "dest_timeout"));
    let path = format!("/api/v1/deliveries/{}/attempts", word(&row, "id"));
    let attempts = server.api(&path).await?;
    let attempt = attempts.pointer("/data/0").context("an attempt")?;
    assert_eq!((word(attempt, "outcome"), word(attempt, "code")), ("retry", "dest_timeout"), "{attempt}");
    server.advance(200_000);
    server.deliver().await?;
    assert_eq!(word(&deliveries(&server).await?.remove(0), "state"), "delivered");
    assert_eq!(server.accepted().await?.len(), 1, "the same id is accepted once");
    server.stop().await;
    Ok(())
}

async fn expired_token(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "expired_token"})).await?;
    conversions(&server, 3).await?;
    server.deliver().await?;
    for row in deliveries(&server).await? {
        assert_eq!((word(&row, "state"), word(&row, "code")), ("held", "dest_auth"), "{row}");
    }
    let destinations = server.api("/api/v1/destinations").await?;
    assert_eq!(destinations.pointer("/data/0/state").and_then(Value::as_str), Some("paused"));
    // While it is paused nothing is sent, and nothing counts against the schedule.
    conversions(&server, 1).await?;
    server.deliver().await?;
    server.no_faults().await?;
    let path = "/api/v1/destinations/meta-main/resume";
    let request = http::Request::post(path).header("authorization", format!("Bearer {}", server.token));
    let reply = client::send(server.admin, request.body(http_body_util::Full::default())?).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.deliver().await?;
    assert_eq!(
        server.accepted().await?.len(),
        3,
        "three conversions were reported, the fourth call repeated the first"
    );
    for row in deliveries(&server).await? {
        assert_eq!(word(&row, "state"), "delivered");
    }
    server.stop().await;
    Ok(())
}

async fn one_bad(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    conversions(&server, 500).await?;
    let bad = deliveries(&server).await?.into_iter().nth(123).unwrap();
    server.fault(&json!({"kind": "reject_event_id", "event_id": word(&bad, "event_id")})).await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 499);
    let rows = deliveries(&server).await?;
    let dead: Vec<&Value> = rows.iter().filter(|row| word(row, "state") == "dead").collect();
    assert_eq!(dead.len(), 1);
    assert_eq!((word(dead[0], "id"), word(dead[0], "code")), (word(&bad, "id"), "dest_rejected"));
    assert_eq!(rows.iter().filter(|row| word(row, "state") == "delivered").count(), 499);
    server.stop().await;
    Ok(())
}

async fn too_old(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "server_error"})).await?;
    conversions(&server, 1).await?;
    for _ in 0..30 {
        server.deliver().await?;
        server.advance(8 * 3_600_000);
    }
    server.no_faults().await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 0);
    let row = deliveries(&server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("expired", "event_too_old"), "{row}");
    server.stop().await;
    Ok(())
}

async fn removed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.fault(&json!({"kind": "server_error"})).await?;
    conversions(&server, 1).await?;
    server.deliver().await?;
    server.apply("[workspace]\nbase_currency = \"USD\"\ntimezone = \"UTC\"\n").await?;
    server.advance(3_600_000);
    server.deliver().await?;
    let row = deliveries(&server).await?.remove(0);
    assert_eq!((word(&row, "state"), word(&row, "code")), ("held", "destination_removed"));
    server.no_faults().await?;
    server.apply(crosstally_testkit::server::CONFIG).await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1);
    server.stop().await;
    Ok(())
}
