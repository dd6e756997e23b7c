//! From tracker to tracker: a generic postback destination calls the postback route of a second server.

use anyhow::{Context, Result};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::Value;

on_both! {
    /// What one server approves, the other one books, once, to the cent, under its own click.
    a_postback_destination_feeds_another_tracker => feeds;
    /// The other side answers 200 and means no: the event is dead and says why, and no secret is shown.
    a_polite_refusal_is_seen_by_its_body => refuses;
}

/// Two servers: the first sends to the second.
async fn pair(kind: Kind) -> Result<(TestServer, TestServer)> {
    let partner = TestServer::start(kind).await?;
    partner
        .apply(&CONFIG.replace(
            "slug = \"acme\"\npreset = \"generic\"\n",
            "slug = \"acme\"\npreset = \"generic\"\nauth = { token = { env = \"ACME_TOKEN\" } }\n",
        ))
        .await?;
    let ours = TestServer::start(kind).await?;
    let (before, _) = CONFIG.split_once("[[destination]]").context("a destination")?;
    let own = format!(
        r#"{before}
[[destination]]
slug = "network"
kind = "postback"
url = "http://{}/postback/acme?click_id={{sub1}}&tid={{transaction_id}}&status={{status}}&payout={{payout}}&currency={{currency}}&token={{secret}}"
secret = {{ env = "ACME_TOKEN" }}
success_body_contains = "recorded"
allow_private = true

[[goal]]
slug = "sale"
role = "funnel_fact"
when = "status == 'approved'"
event_name = "sale"
send_to = ["network"]
"#,
        partner.tracking
    );
    ours.apply(&own).await?;
    Ok((ours, partner))
}

fn rows(list: &Value) -> Vec<Value> {
    list.get("data").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

async fn feeds(kind: Kind) -> Result<()> {
    let (ours, partner) = pair(kind).await?;
    let theirs = partner.click("fbclid=AbC").await?;
    let click = ours.click(&format!("sub1={theirs}")).await?;
    for query in ["status=hold&payout=9.99", "status=approved&payout=12.34", "status=approved&payout=12.34"] {
        let reply = ours.postback(&format!("click_id={click}&tid=A%261&{query}")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        ours.deliver().await?;
    }
    let booked = rows(&partner.api("/api/v1/conversions").await?);
    assert_eq!(booked.len(), 1, "{booked:?}");
    let row = &booked[0];
    assert_eq!((word(row, "transaction_id"), word(row, "status")), ("A&1", "approved"), "{row}");
    assert!(row.to_string().contains("12.34") && row.to_string().contains(&theirs), "{row}");
    assert_eq!(rows(&partner.api("/api/v1/receipts").await?).len(), 1, "called once");
    let sent = rows(&ours.api("/api/v1/deliveries").await?);
    assert_eq!((sent.len(), word(&sent[0], "state")), (1, "delivered"), "{sent:?}");
    ours.stop().await;
    partner.stop().await;
    Ok(())
}

async fn refuses(kind: Kind) -> Result<()> {
    let (ours, partner) = pair(kind).await?;
    let click = ours.click("sub1=not-a-click-id").await?;
    ours.postback(&format!("click_id={click}&tid=R1&payout=5.00")).await?;
    ours.deliver().await?;
    let sent = rows(&ours.api("/api/v1/deliveries").await?);
    assert_eq!((word(&sent[0], "state"), word(&sent[0], "code")), ("dead", "dest_rejected"), "{sent:?}");
    let attempts = ours.api(&format!("/api/v1/deliveries/{}/attempts", word(&sent[0], "id"))).await?;
    let shown = attempts.to_string();
    assert!(shown.contains("quarantined"), "the partner's own words are on file: {shown}");
    assert!(shown.contains("***") && !shown.contains("acme-secret"), "the secret is masked: {shown}");
    let trace = ours.api(&format!("/api/v1/trace/{click}")).await?.to_string();
    assert!(trace.contains("dest_rejected") && !trace.contains("acme-secret"), "{trace}");
    ours.stop().await;
    partner.stop().await;
    Ok(())
}
