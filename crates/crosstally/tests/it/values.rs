//! Which value an event carries: from which status on, and what is expected before.

use anyhow::Result;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::ledger::printed;

on_both! {
    /// Before the status that the goal names, an event carries no amount; with it, the exact one.
    an_amount_is_sent_from_its_status_on => from_status;
    /// The expected part of the amount, by what was measured, and the rule where too little was.
    the_expected_value_is_measured_and_marked => expected;
}

fn goal(value: &str) -> String {
    CONFIG
        .replace(
            "when = \"status == 'approved' && value > 0\"",
            &format!("when = \"status == 'lead'\"\n{value}"),
        )
        .replace("event_name = \"Purchase\"", "event_name = \"Lead\"")
}

/// The value of the newest event that was sent, and its basis.
async fn sent(server: &TestServer, transaction: &str) -> Result<(Option<String>, Option<String>)> {
    server.deliver().await?;
    let trace = server.api(&format!("/api/v1/trace/{transaction}")).await?;
    let event = &trace["conversions"][0]["events"][0]["event"];
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    let accepted = server.accepted().await?;
    let arrived = accepted.last().map(|row| row["event"]["custom_data"]["value"].clone()).unwrap_or_default();
    let told = text("value");
    assert_eq!(arrived.is_null(), told.is_none(), "{arrived} {told:?}");
    assert!(told.is_none() || told == Some(arrived.to_string()), "{arrived} {told:?}");
    Ok((told, text("value_basis")))
}

async fn lead(server: &TestServer, transaction: &str, payout: &str) -> Result<()> {
    let click = server.click("fbclid=A").await?;
    let query = format!("click_id={click}&tid={transaction}&status=lead&payout={payout}");
    let reply = server.postback(&query).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Ok(())
}

async fn from_status(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for (number, (policy, value, basis)) in [
        ("", Some("12.34"), None),
        ("value_at = \"lead\"", Some("12.34"), None),
        ("value_at = \"hold\"", None, Some("none of 12.34 before hold")),
        ("value_at = \"approval\"", None, Some("none of 12.34 before approval")),
    ]
    .into_iter()
    .enumerate()
    {
        server.apply(&goal(policy)).await?;
        lead(&server, &format!("V{number}"), "12.34").await?;
        let (told, why) = sent(&server, &format!("V{number}")).await?;
        assert_eq!((told.as_deref(), why.as_deref()), (value, basis), "{policy}");
    }
    server.stop().await;
    Ok(())
}

async fn expected(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(CONFIG).await?;
    // Seven decided: three approved, two rejected, two reversed; one is still open.
    for (number, words) in [
        "approved",
        "approved",
        "approved",
        "rejected",
        "rejected",
        "approved reversed",
        "approved reversed",
        "hold",
    ]
    .into_iter()
    .enumerate()
    {
        for word in words.split(' ') {
            server.postback(&format!("tid=D{number}&status={word}&payout=5")).await?;
        }
    }
    let policy = |at_least: u32, more: &str| {
        goal(&format!(
            "value_at = \"approval\"\nexpected = {{ within = \"90d\", at_least = {at_least}{more} }}"
        ))
    };
    for (number, (policy, value, basis)) in [
        (policy(7, ""), Some("5.29"), "expected 0.4285 of 12.34 over 7 decided"),
        (policy(8, ""), None, "none of 12.34: 7 decided, 8 needed"),
        (policy(8, ", otherwise = \"full\""), Some("12.34"), "full 12.34: 7 decided, 8 needed"),
        // Nothing was decided of this campaign.
        (policy(1, ", per = \"campaign\""), None, "none of 12.34: 0 decided, 1 needed"),
    ]
    .into_iter()
    .enumerate()
    {
        server.apply(&policy).await?;
        lead(&server, &format!("E{number}"), "12.34").await?;
        let (told, why) = sent(&server, &format!("E{number}")).await?;
        assert_eq!((told.as_deref(), why.as_deref()), (value, Some(basis)), "{policy}");
    }
    let told = printed(&server, &["trace", "E0"])?;
    assert!(told.contains("value_basis: expected 0.4285 of 12.34 over 7 decided"), "{told}");
    // What was decided is measured anew after a minute, and forgotten after the span.
    server.postback("tid=D7&status=approved&payout=5").await?;
    server.advance(61_000);
    server.apply(&policy(8, "")).await?;
    lead(&server, "F0", "10").await?;
    assert_eq!(sent(&server, "F0").await?.1.as_deref(), Some("expected 0.5000 of 10.00 over 8 decided"));
    server.advance(91 * 86_400_000);
    lead(&server, "F1", "10").await?;
    let trace: Value = server.api("/api/v1/trace/F1").await?;
    let basis = &trace["conversions"][0]["events"][0]["event"]["value_basis"];
    assert_eq!(basis, &json!("none of 10.00: 0 decided, 8 needed"));
    server.stop().await;
    Ok(())
}
