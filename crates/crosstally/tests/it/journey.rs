//! From an ad click to a proven event.

use anyhow::Result;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, START, TestServer};
use serde_json::Value;

on_both! {
    /// One click, one postback, one Purchase at Meta with everything that Meta asks for; the trace shows every hop.
    one_click_becomes_one_proven_purchase => proven_purchase;
    /// The same postback a hundred times at once: one conversion, one delivery, a hundred receipts.
    a_hundred_at_once_are_one_conversion => hundred_at_once;
    /// Lead, hold, approved with another payout, reversed: four movements and only the events that the goals ask for.
    four_movements_are_right_to_the_cent => four_movements;
    /// The network confirms by transaction id alone: the Purchase is still about the click of the lead.
    an_approval_without_its_click_keeps_the_click => late_approval;
    /// A hold window: nothing is sent before its end.
    a_delay_holds_the_event_back => delay_holds;
    /// The balance of receipts is exact over every verdict.
    the_balance_of_receipts_is_exact => balance;
    /// A postback without a transaction id is deduplicated by its click.
    without_a_transaction_id_the_click_dedupes => dedupe_by_click;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn proven_purchase(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=IwAR2F4-dbP_AbC&sub1=a%26b&utm_campaign=x").await?;
    assert_eq!(click.len(), 26);
    server.advance(90_000);
    let reply =
        server.postback(&format!("click_id={click}&status=approved&payout=12.34&currency=USD")).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json()?;
    assert_eq!(text(&answer, "/result"), "recorded");
    assert_eq!(answer.get("code"), Some(&Value::Null));
    let conversion = text(&answer, "/conversion").to_owned();
    server.deliver().await?;

    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    let event = accepted[0].get("event").unwrap();
    assert_eq!(text(event, "/event_name"), "Purchase");
    assert_eq!(event.pointer("/custom_data/value").unwrap().to_string(), "12.34");
    assert_eq!(text(event, "/custom_data/currency"), "USD");
    assert_eq!(
        event.get("event_time").unwrap().to_string(),
        ((START.as_millis() + 90_000) / 1000).to_string()
    );
    assert_eq!(text(event, "/action_source"), "website");
    assert_eq!(text(event, "/event_source_url"), "https://lander.example/p");
    assert_eq!(text(event, "/user_data/client_ip_address"), "127.0.0.1");
    assert_eq!(text(event, "/user_data/fbc"), format!("fb.1.{}.IwAR2F4-dbP_AbC", START.as_millis()));
    assert_eq!(text(event, "/event_id").len(), 32);

    for id in [click.as_str(), &conversion, text(&answer, "/receipt")] {
        let trace = server.api(&format!("/api/v1/trace/{id}")).await?;
        assert_eq!(text(&trace, "/click/id"), click, "{id}");
        assert_eq!(text(&trace, "/receipts/0/result"), "recorded");
        assert!(text(&trace, "/receipts/0/request/query").contains("payout=12.34"));
        assert_eq!(text(&trace, "/conversions/0/ledger/0/confirmed_delta"), "12.34");
        assert_eq!(text(&trace, "/receipts/0/goals/0/code"), "goal_met");
        assert_eq!(text(&trace, "/conversions/0/deliveries/0/delivery/state"), "delivered");
        assert_eq!(text(&trace, "/conversions/0/deliveries/0/attempts/0/outcome"), "delivered");
        assert!(text(&trace, "/conversions/0/deliveries/0/attempts/0/response").contains("events_received"));
        let all = trace.to_string();
        assert!(!all.contains("tok-good"), "the token is in the trace");
    }
    server.stop().await;
    Ok(())
}

async fn hundred_at_once(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let query = format!("click_id={click}&transaction_id=T1&status=approved&payout=12.34&currency=USD");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (address, path) = (server.tracking, format!("/postback/acme?{query}"));
        calls.spawn(async move { crosstally_testkit::client::get(address, &path).await });
    }
    let mut recorded = 0;
    let mut duplicates = 0;
    while let Some(reply) = calls.join_next().await {
        let reply = reply??;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json()?;
        match text(&answer, "/result") {
            "recorded" => recorded += 1,
            "duplicate" => {
                assert_eq!(text(&answer, "/code"), "same_content");
                duplicates += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((recorded, duplicates), (1, 99));
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1);
    let receipts = server.api("/api/v1/receipts?limit=500").await?;
    assert_eq!(receipts.get("data").and_then(Value::as_array).map(Vec::len), Some(100));
    let conversions = server.api("/api/v1/conversions").await?;
    assert_eq!(conversions.get("data").and_then(Value::as_array).map(Vec::len), Some(1));
    let deliveries = server.api("/api/v1/deliveries").await?;
    assert_eq!(deliveries.get("data").and_then(Value::as_array).map(Vec::len), Some(1));
    server.stop().await;
    Ok(())
}

async fn late_approval(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let (first, second) = (server.click("fbclid=First").await?, server.click("fbclid=Second").await?);
    // Ten days before, by the partner's word: longer than Meta takes events.
    let lead_at = START.as_millis() / 1000 - 10 * 86_400;
    server.postback(&format!("click_id={first}&tid=L1&status=lead&event_time={lead_at}")).await?;
    server.postback(&format!("click_id={first}&tid=L2&status=lead")).await?;
    server.advance(60_000);
    for query in ["tid=L1&payout=20".to_owned(), format!("tid=L2&payout=30&click_id={second}")] {
        let reply = server.postback(&query).await?.json()?;
        assert_eq!(text(&reply, "/result"), "updated", "{reply}");
    }
    server.deliver().await?;
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    for row in &accepted {
        let event = row.get("event").unwrap();
        assert!(text(event, "/user_data/fbc").ends_with(".First"), "{event}");
        assert_eq!(event.get("event_time").unwrap().to_string(), (START.as_millis() / 1000 + 60).to_string());
        assert_eq!(text(event, "/action_source"), "website");
    }
    // The second click's trace shows the call that named it.
    let trace = server.api(&format!("/api/v1/trace/{second}")).await?;
    assert!(trace.to_string().contains("tid=L2&payout=30"), "{trace}");
    assert!(trace.to_string().contains("first attributed to"), "{trace}");
    server.stop().await;
    Ok(())
}

async fn four_movements(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let lead = r#"
[[goal]]
slug = "lead"
role = "learning_signal"
when = "status == 'lead'"
event_name = "Lead"
send_to = ["meta-main"]
"#;
    server.apply(&format!("{CONFIG}{lead}")).await?;
    let click = server.click("fbclid=AbC").await?;
    let mut conversion = String::new();
    for (query, result) in [
        ("status=lead", "recorded"),
        ("status=hold&payout=10.00", "updated"),
        ("status=approved&payout=12.34", "updated"),
        ("status=reversed", "updated"),
    ] {
        let answer = server.postback(&format!("click_id={click}&tid=T1&{query}")).await?.json()?;
        assert_eq!(text(&answer, "/result"), result, "{query}: {answer}");
        text(&answer, "/conversion").clone_into(&mut conversion);
        server.advance(60_000);
        server.deliver().await?;
    }
    let ledger = server.api(&format!("/api/v1/conversions/{conversion}/ledger")).await?;
    let deltas: Vec<(&str, &str)> = ledger
        .get("data")
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .map(|entry| (text(entry, "/confirmed_delta"), text(entry, "/pending_delta")))
        .collect();
    assert_eq!(deltas, [("0.00", "0.00"), ("0.00", "10.00"), ("12.34", "-10.00"), ("-12.34", "0.00")]);
    let found = server.api(&format!("/api/v1/conversions/{conversion}")).await?;
    assert_eq!((text(&found, "/confirmed"), text(&found, "/pending")), ("0.00", "0.00"));
    let names: Vec<String> =
        server.accepted().await?.iter().map(|row| text(row, "/event/event_name").to_owned()).collect();
    assert_eq!(names, ["Lead", "Purchase"]);
    server.stop().await;
    Ok(())
}

async fn delay_holds(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server
        .apply(&CONFIG.replace("send_to = [\"meta-main\"]", "send_to = [\"meta-main\"]\ndelay = \"2h\""))
        .await?;
    let click = server.click("fbclid=AbC").await?;
    server.postback(&format!("click_id={click}&payout=1")).await?;
    server.advance(2 * 3_600_000 - 1);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 0);
    server.advance(2);
    server.deliver().await?;
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 1);
    let sent = accepted[0].pointer("/event/event_time").unwrap().to_string();
    assert_eq!(sent, START.as_seconds().to_string(), "the conversion's own time, never the time of sending");
    server.stop().await;
    Ok(())
}

async fn balance(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    for (query, result) in [
        (format!("click_id={click}&tid=1&payout=1"), "recorded"),
        (format!("click_id={click}&tid=1&payout=2"), "updated"),
        (format!("click_id={click}&tid=1&payout=2"), "duplicate"),
        (format!("click_id={click}&tid=2&status=odd"), "quarantined"),
        ("tid=3&payout=x".to_owned(), ""),
    ] {
        let answer = server.postback(&query).await?.json()?;
        assert!(result.is_empty() || text(&answer, "/result") == result, "{query}: {answer}");
    }
    let balance = server.api("/api/v1/receipts/balance").await?;
    let line = balance.pointer("/data/0").unwrap();
    let count = |name: &str| line.get(name).and_then(Value::as_u64).unwrap();
    assert_eq!(count("received"), 5);
    let sum: u64 =
        ["recorded", "updated", "duplicate", "quarantined", "refused", "test"].map(count).iter().sum();
    assert_eq!(sum, 5);
    assert_eq!(count("refused"), 1);
    server.stop().await;
    Ok(())
}

async fn dedupe_by_click(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=AbC").await?;
    let call = async |query: &str| -> Result<String> {
        let answer = server.postback(&format!("click_id={click}&{query}")).await?.json()?;
        Ok(text(&answer, "/result").to_owned())
    };
    assert_eq!(call("payout=1").await?, "recorded");
    assert_eq!(call("payout=1").await?, "duplicate");
    assert_eq!(call("payout=1&event=Upsell").await?, "recorded");
    assert_eq!(call("payout=3").await?, "updated");
    server.stop().await;
    Ok(())
}
