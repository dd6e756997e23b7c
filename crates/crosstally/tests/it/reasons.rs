//! Reason codes that no other journey makes happen.

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::Value;

on_both! {
    /// Calls that the door turns away with a code and a receipt.
    calls_that_break_the_rules_of_the_door => door;
    /// Labels that a booked call carries.
    booked_calls_carry_their_labels => labels;
    /// A conversion out of the contract's time, one with too many movements, a goal met before.
    limits_of_a_conversion => limits;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

fn with(terms: &str) -> String {
    CONFIG.replace(
        "currency = \"USD\"\n\n[[destination]]",
        &format!("currency = \"USD\"\n{terms}\n\n[[destination]]"),
    )
}

async fn door(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let request = http::Request::builder()
        .method("PUT")
        .uri("/postback/acme?tid=1")
        .body(http_body_util::Full::default())?;
    let reply = client::send(server.tracking, request).await?;
    assert_eq!((reply.status, text(&reply.json()?, "/code")), (405, "method_not_allowed"));
    // Within the limit of the request line, beyond that of the query.
    let long = format!("tid=1&{}", "a=1&".repeat(15_500));
    let reply = server.postback(&long).await?;
    assert_eq!((reply.status, text(&reply.json()?, "/code")), (400, "query_too_large"), "{}", reply.text());
    server.stop().await;
    Ok(())
}

async fn labels(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let of = async |answer: &Value| -> Result<Vec<String>> {
        let receipt = server.api(&format!("/api/v1/receipts/{}", text(answer, "/receipt"))).await?;
        let labels = receipt["labels"].as_array().cloned().unwrap_or_default();
        Ok(labels.iter().filter_map(|label| label.as_str().map(str::to_owned)).collect())
    };
    server.advance(500);
    let first =
        server.postback(&format!("click_id={click}&tid=T1&status=rejected&payout=1")).await?.json()?;
    assert_eq!(of(&first).await?, ["too_fast"]);
    server.advance(60_000);
    let other = server.click("fbclid=B").await?;
    server.advance(60_000);
    let late = server.postback(&format!("click_id={other}&tid=T1&status=approved&payout=1")).await?.json()?;
    assert_eq!(text(&late, "/result"), "updated");
    assert_eq!(of(&late).await?, ["late_approval", "click_changed"]);
    server.apply(&with("late_approvals = false")).await?;
    server.postback(&format!("click_id={other}&tid=T2&status=rejected&payout=1")).await?;
    server.advance(1_000);
    let kept = server.postback(&format!("click_id={other}&tid=T2&status=approved&payout=2")).await?.json()?;
    assert_eq!((text(&kept, "/result"), text(&kept, "/code")), ("quarantined", "transition_refused"));
    server.stop().await;
    Ok(())
}

async fn limits(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with("max_delay = \"30d\"")).await?;
    let click = server.click("fbclid=A").await?;
    server.advance(31 * 86_400_000);
    let late = server.postback(&format!("click_id={click}&tid=T1&payout=1")).await?.json()?;
    assert_eq!((text(&late, "/result"), text(&late, "/code")), ("quarantined", "event_too_late"));
    let click = server.click("fbclid=B").await?;
    server.postback(&format!("click_id={click}&tid=T2&payout=1")).await?;
    let more = server.postback(&format!("click_id={click}&tid=T2&payout=2")).await?.json()?;
    let receipt = server.api(&format!("/api/v1/receipts/{}", text(&more, "/receipt"))).await?;
    assert_eq!(text(&receipt, "/goals/0/code"), "goal_already_met", "{receipt}");
    let mut last = Value::Null;
    for number in 3..=1_002 {
        last = server.postback(&format!("click_id={click}&tid=T2&payout={number}")).await?.json()?;
    }
    assert_eq!(
        (text(&last, "/result"), text(&last, "/code")),
        ("quarantined", "too_many_movements"),
        "{last}"
    );
    server.stop().await;
    Ok(())
}
