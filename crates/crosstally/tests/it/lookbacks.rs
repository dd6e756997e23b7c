//! Look-backs: what Google took it judges later; it is asked, and what it says is written down.

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::ledger::printed;
use crate::replayed::retry;
use crate::reversals::{GOOGLE, call, config, deliveries, sent};

on_both! {
    /// Half an hour later it counts.
    what_was_taken_is_confirmed_later => confirmed;
    /// Or it does not: it is dead, said, and can be replayed.
    what_is_refused_later_is_dead_and_replayed => refused;
    /// Or it does not for now: six hours later it is sent once more by itself, and asked about again.
    what_passes_is_sent_once_more => passing;
    /// The sale that is sent once more was paid back in part meanwhile: what is left is told behind it again.
    what_is_left_is_told_again_behind_it => refunded;
    /// Of several in one call some are refused, and which is not told.
    what_is_refused_in_part_is_said_of_all => in_part;
    /// While Google works on it, it is asked again, and no longer than four days.
    what_is_never_told_stays_as_it_was_taken => never;
    /// What nobody can read is asked about again, and no longer than four days; the others are asked about.
    what_is_not_understood_holds_nothing_up => unclear;
    /// There may be more than are taken at once.
    a_round_goes_on_while_there_is_more => many;
    /// What was counted stays counted, whatever is said of sending it again.
    what_was_counted_once_stands => counted;
    /// A throttle ends the round; nothing is lost, and new events go on.
    trouble_with_asking_holds_nothing_up => trouble;
}

const HALF_AN_HOUR_MS: i64 = 31 * 60_000;
const SIX_HOURS_MS: i64 = 6 * 60 * 60_000;

async fn start(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(&GOOGLE.replace("ADJUSTMENTS", "false"), "\"google\"", "0s")).await?;
    Ok(server)
}

async fn sale(server: &TestServer, transaction: &str) -> Result<()> {
    let click = server.click("gclid=Abc-1").await?;
    call(server, &format!("click_id={click}&tid={transaction}&payout=12.34")).await
}

/// What Google says when it is asked.
async fn says(server: &TestServer, status: u16, body: &Value) -> Result<()> {
    let fault =
        json!({"kind": "status", "status": status, "body": body.to_string(), "dataset": "requestStatus"});
    server.fault(&fault).await
}

fn judged(word: &str, codes: &Value) -> Value {
    let status = json!({"destination": {"reference": "4242"}, "requestStatus": word,
        "errorInfo": {"errorCounts": codes}, "eventsIngestionStatus": {"recordCount": "2"}});
    json!({ "requestStatusPerDestination": [status] })
}

async fn confirmed(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "C1").await?;
    server.deliver().await?;
    server.advance(29 * 60_000);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"]);
    server.advance(2 * 60_000);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered delivered"]);
    assert_eq!(server.accepted().await?.len(), 1);
    server.stop().await;
    Ok(())
}

async fn refused(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "R1").await?;
    server.deliver().await?;
    let codes = json!([{"reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", "recordCount": "1"}]);
    says(&server, 200, &judged("FAILED", &codes)).await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google dead refused_later"]);
    let errors = server.api("/api/v1/deliveries/errors").await?.to_string();
    assert!(errors.contains("refused_later"), "{errors}");
    let trace = printed(&server, &["trace", "R1"])?;
    assert!(trace.contains("1 CLICK_NOT_FOUND"), "{trace}");
    server.no_faults().await?;
    retry(&server, "google").await?;
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"]);
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered delivered"]);
    server.stop().await;
    Ok(())
}

/// What says that they do not count for a reason that passes.
fn too_recent() -> Value {
    judged("FAILED", &json!([{"reason": "PROCESSING_ERROR_REASON_TOO_RECENT_CLICK", "recordCount": "1"}]))
}

async fn passing(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "L1").await?;
    server.deliver().await?;
    says(&server, 200, &too_recent()).await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google pending refused_later"]);
    let trace = printed(&server, &["trace", "L1"])?;
    assert!(trace.contains("1 TOO_RECENT_CLICK"), "{trace}");
    server.no_faults().await?;
    server.advance(SIX_HOURS_MS - 1_000);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google pending refused_later"], "not a second sooner");
    server.advance(1_000);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"]);
    let told = sent(&server, "google").await?;
    assert_eq!((told.len(), &told[0]), (2, &told[1]), "the same once more");
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered delivered"]);
    server.stop().await;
    Ok(())
}

async fn refunded(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(&GOOGLE.replace("ADJUSTMENTS", "true"), "\"google\"", "0s")).await?;
    sale(&server, "B1").await?;
    server.deliver().await?;
    server.advance(20 * 60_000);
    call(&server, "tid=B1&status=reversed&payout=2.34").await?;
    server.deliver().await?;
    says(&server, 200, &too_recent()).await?;
    server.advance(11 * 60_000);
    server.deliver().await?;
    server.no_faults().await?;
    let states = ["google delivered accepted_unverified", "google pending refused_later"];
    assert_eq!(deliveries(&server).await?, states, "the refund is not asked about yet");
    assert_eq!(server.engine.follow_reversals().await?, 1);
    server.deliver().await?;
    assert_eq!(sent(&server, "google").await?.len(), 2, "what is left waits for what goes before it");
    for _ in 0..3 {
        server.advance(SIX_HOURS_MS / 2);
        server.deliver().await?;
    }
    let told = sent(&server, "google").await?;
    let told: Vec<_> = told.iter().map(|event| event["conversionValue"].to_string()).collect();
    assert_eq!(told, ["12.34", "12.34", "10.00", "10.00"], "each delivery with its attempts");
    assert_eq!(server.api("/api/v1/overstated").await?["data"], json!([]));
    server.stop().await;
    Ok(())
}

async fn in_part(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "P1").await?;
    sale(&server, "P2").await?;
    server.deliver().await?;
    let codes = json!([{"reason": "PROCESSING_ERROR_REASON_EVENT_TOO_OLD", "recordCount": "1"}]);
    says(&server, 200, &judged("PARTIAL_SUCCESS", &codes)).await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered refused_in_part"; 2]);
    let trace = printed(&server, &["trace", "P1"])?;
    assert!(trace.contains("of 2 events: 1 EVENT_TOO_OLD"), "{trace}");
    let errors = server.api("/api/v1/deliveries/errors").await?;
    let group = &errors["data"][0];
    let told = (&group["state"], &group["code"], &group["count"]);
    assert_eq!(told, (&json!("delivered"), &json!("refused_in_part"), &json!(2)), "{errors}");
    server.stop().await;
    Ok(())
}

async fn never(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "N1").await?;
    server.deliver().await?;
    says(&server, 200, &judged("PROCESSING", &json!([]))).await?;
    for _ in 0..6 {
        server.advance(49 * 3_600_000);
        server.deliver().await?;
    }
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"]);
    server.no_faults().await?;
    server.advance(49 * 3_600_000);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"], "nobody asks any more");
    server.stop().await;
    Ok(())
}

async fn unclear(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    for transaction in ["U1", "U2"] {
        sale(&server, transaction).await?;
        server.deliver().await?;
    }
    says(&server, 403, &json!({})).await?;
    for _ in 0..6 {
        server.advance(49 * 3_600_000);
        server.deliver().await?;
    }
    server.no_faults().await?;
    server.advance(49 * 3_600_000);
    server.deliver().await?;
    let states = deliveries(&server).await?;
    assert_eq!(states, ["google delivered accepted_unverified"; 2], "nobody asks any more, about neither");
    server.stop().await;
    Ok(())
}

async fn many(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    for number in 0..25 {
        sale(&server, &format!("M{number}")).await?;
        server.deliver().await?;
    }
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered delivered"; 25]);
    server.stop().await;
    Ok(())
}

async fn counted(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "S1").await?;
    server.deliver().await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered delivered"]);
    let again = json!({"destination": "google", "states": ["delivered"], "apply": true});
    let path = "/api/v1/deliveries/replay";
    let reply = client::post_as(server.admin, path, &server.token, &again.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(server.engine.work_on_jobs().await?, 1);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"]);
    let codes = json!([{"reason": "PROCESSING_ERROR_REASON_EVENT_TOO_OLD", "recordCount": "1"}]);
    says(&server, 200, &judged("FAILED", &codes)).await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered first_delivery_stands"]);
    assert_eq!(server.api("/api/v1/deliveries/errors").await?["data"], json!([]));
    server.stop().await;
    Ok(())
}

async fn trouble(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "T1").await?;
    server.deliver().await?;
    says(&server, 429, &json!({})).await?;
    server.advance(HALF_AN_HOUR_MS);
    server.deliver().await?;
    sale(&server, "T2").await?;
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"; 2]);
    server.no_faults().await?;
    server.advance(11 * 60_000);
    server.deliver().await?;
    let states = ["google delivered accepted_unverified", "google delivered delivered"];
    assert_eq!(deliveries(&server).await?, states);
    server.stop().await;
    Ok(())
}
