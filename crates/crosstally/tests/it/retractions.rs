//! Retractions: a sale that is rejected is taken out of Google's count, once and for good, and conversions never wait for that.

use anyhow::Result;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::ledger::printed;
use crate::replayed::retry;
use crate::reversals::{GOOGLE, call, config, deliveries, rows, sent, text};

on_both! {
    /// Sale, rejection, approval, rejection: one conversion, one retraction; what cannot be undone is said.
    a_rejected_sale_is_retracted_once_and_for_good => once;
    /// A part paid back restates, all of it retracts; a lead without a value is retracted as well.
    what_is_left_is_restated_and_nothing_left_is_retracted => left;
    /// Without the setting a rejection restates to nothing, as ever.
    without_the_setting_a_rejection_restates => restates;
    /// Google does not know the conversion yet: asked again, hour by hour.
    an_unknown_conversion_is_asked_for_again => unknown;
    /// A project that may not adjust: adjustments wait, conversions go on, and what to do is said.
    conversions_do_not_wait_for_retractions => held;
    /// Approved again before anything left: nothing is told.
    a_retraction_that_was_overtaken_is_not_sent => overtaken;
    /// The same if Google had turned it away before: it is not sent when Google would take it.
    a_retraction_that_waited_and_was_overtaken_is_not_sent => overtaken_later;
    /// The same if Google had refused it, and somebody sends it once more when the sale stands again.
    a_retraction_that_was_refused_and_overtaken_is_not_sent => overtaken_by_hand;
}

async fn start(kind: Kind) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    server.apply(&retracting()).await?;
    Ok(server)
}

fn retracting() -> String {
    let settings = "retractions = true\nads_endpoint = \"http://SANDBOX\"";
    config(&GOOGLE.replace("adjustments = ADJUSTMENTS", settings), "\"google\"", "0s")
}

/// A sale that Google has taken.
async fn sale(server: &TestServer, transaction: &str) -> Result<()> {
    let click = server.click("gclid=Abc-1").await?;
    call(server, &format!("click_id={click}&tid={transaction}&payout=12.34")).await?;
    server.deliver().await?;
    server.advance(60_000);
    Ok(())
}

/// A movement of it, delivered.
async fn moved(server: &TestServer, query: &str) -> Result<()> {
    call(server, query).await?;
    server.deliver().await?;
    server.advance(60_000);
    Ok(())
}

/// What the Google Ads API took.
async fn adjusted(server: &TestServer) -> Result<Vec<Value>> {
    let all = server.accepted().await?;
    Ok(all
        .into_iter()
        .filter(|row| row["platform"] == json!("google_ads"))
        .map(|row| row["event"].clone())
        .collect())
}

/// In which ways.
async fn types(server: &TestServer) -> Result<Vec<String>> {
    Ok(adjusted(server).await?.iter().map(|one| text(one, "/adjustmentType").to_owned()).collect())
}

async fn once(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "R1").await?;
    for _ in 0..2 {
        moved(&server, "tid=R1&status=rejected").await?;
    }
    let told = adjusted(&server).await?;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(text(&told[0], "/adjustmentType"), "RETRACTION");
    assert_eq!(text(&told[0], "/conversionAction"), "customers/1234567890/conversionActions/4242");
    let conversion = &sent(&server, "google").await?[0];
    assert_eq!(told[0]["orderId"], conversion["transactionId"]);
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified"; 2]);
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    // It cannot be brought back, which is said; and being rejected once more changes nothing over there.
    moved(&server, "tid=R1&status=approved&payout=12.34").await?;
    let lost = "google dead retraction_stands";
    assert!(deliveries(&server).await?.contains(&lost.to_owned()));
    let errors = server.api("/api/v1/deliveries/errors").await?.to_string();
    assert!(errors.contains("retraction_stands"), "{errors}");
    let trace = printed(&server, &["trace", "R1"])?;
    assert!(trace.contains("retraction_stands") && trace.contains("final"), "{trace}");
    moved(&server, "tid=R1&status=rejected&n=2").await?;
    moved(&server, "tid=R1&status=approved&payout=12.34&n=3").await?;
    let again = deliveries(&server).await?.iter().filter(|row| *row == lost).count();
    assert_eq!((again, adjusted(&server).await?.len(), server.accepted().await?.len()), (2, 1, 2));
    server.stop().await;
    Ok(())
}

async fn left(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "P1").await?;
    for query in [
        "tid=P1&status=reversed&payout=2.34",
        "tid=P1&status=reversed&payout=1.00&n=1",
        "tid=P1&status=rejected",
    ] {
        moved(&server, query).await?;
    }
    let told = adjusted(&server).await?;
    let each: Vec<_> = told
        .iter()
        .map(|one| (text(one, "/adjustmentType"), one["restatementValue"]["adjustedValue"].to_string()))
        .collect();
    let value = |text: &str| text.to_owned();
    let restated = [("RESTATEMENT", value("10.00")), ("RESTATEMENT", value("9.00"))];
    assert_eq!((&each[..2], each[2].0, each.len()), (&restated[..], "RETRACTION", 3));
    assert!(told.is_sorted_by(|a, b| text(a, "/adjustmentDateTime") < text(b, "/adjustmentDateTime")));
    server.apply(&retracting().replace("delay = \"0s\"", "delay = \"0s\"\nsend_value = \"none\"")).await?;
    sale(&server, "L1").await?;
    moved(&server, "tid=L1&status=rejected").await?;
    assert_eq!(text(&adjusted(&server).await?[3], "/adjustmentType"), "RETRACTION");
    moved(&server, "tid=L1&status=approved&payout=12.34&n=2").await?;
    assert!(deliveries(&server).await?.contains(&"google dead retraction_stands".to_owned()));
    server.stop().await;
    Ok(())
}

async fn restates(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(&GOOGLE.replace("ADJUSTMENTS", "true"), "\"google\"", "0s")).await?;
    sale(&server, "Z1").await?;
    moved(&server, "tid=Z1&status=rejected").await?;
    let told = sent(&server, "google").await?;
    assert_eq!((told.len(), told[1]["conversionValue"].to_string()), (2, "0.00".to_owned()));
    assert!(adjusted(&server).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn unknown(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "U1").await?;
    // Google has forgotten it, or has not yet looked at it.
    server.forget().await?;
    moved(&server, "tid=U1&status=rejected").await?;
    let waits = "google pending unknown_there".to_owned();
    assert!(deliveries(&server).await?.contains(&waits), "{:?}", deliveries(&server).await?);
    server.advance(30 * 60_000);
    server.deliver().await?;
    assert_eq!(sent(&server, "google").await?.len(), 2, "not before an hour has passed");
    server.advance(90 * 60_000);
    server.deliver().await?;
    assert_eq!(sent(&server, "google").await?.len(), 3);
    server.stop().await;
    Ok(())
}

async fn held(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "H1").await?;
    server.fault(&json!({"kind": "permission", "platform": "google_ads"})).await?;
    moved(&server, "tid=H1&status=rejected").await?;
    sale(&server, "H2").await?;
    let states = [
        "google delivered accepted_unverified",
        "google delivered accepted_unverified",
        "google pending adjustments_held",
    ];
    assert_eq!(deliveries(&server).await?, states);
    let trace = printed(&server, &["trace", "H1"])?;
    assert!(trace.contains("apply for Explorer access"), "{trace}");
    server.no_faults().await?;
    server.advance(2 * 3_600_000);
    server.deliver().await?;
    server.deliver().await?;
    assert_eq!(adjusted(&server).await?.len(), 1);
    // By now Google has said that it counts both sales.
    let counted = "google delivered delivered";
    assert_eq!(deliveries(&server).await?, ["google delivered accepted_unverified", counted, counted]);
    server.stop().await;
    Ok(())
}

async fn overtaken(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "O1").await?;
    call(&server, "tid=O1&status=rejected").await?;
    server.advance(1_000);
    call(&server, "tid=O1&status=approved&payout=12.34").await?;
    server.deliver().await?;
    let listed = rows(&server.api("/api/v1/deliveries").await?);
    let withdrawn: Vec<_> = listed
        .iter()
        .filter(|row| text(row, "/state") == "cancelled")
        .map(|row| text(row, "/code"))
        .collect();
    assert_eq!((withdrawn.as_slice(), listed.len()), (&["stands_again"][..], 2));
    assert!(adjusted(&server).await?.is_empty());
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    let days = server.api("/api/v1/deliveries/days?days=7").await?;
    assert!(rows(&days).iter().all(|day| day["failed"] == json!(0)), "{days}");
    // Rejected for good after that: told once.
    moved(&server, "tid=O1&status=rejected&n=1").await?;
    assert_eq!(adjusted(&server).await?.len(), 1);
    server.stop().await;
    Ok(())
}

async fn overtaken_later(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "O2").await?;
    server.fault(&json!({"kind": "permission", "platform": "google_ads"})).await?;
    moved(&server, "tid=O2&status=rejected").await?;
    let held = deliveries(&server).await?;
    assert!(held.iter().any(|state| state == "google pending adjustments_held"), "{held:?}");
    moved(&server, "tid=O2&status=approved&payout=12.34&n=1").await?;
    server.no_faults().await?;
    for _ in 0..3 {
        server.advance(2 * 3_600_000);
        server.deliver().await?;
    }
    assert_eq!(types(&server).await?, ["RESTATEMENT"]);
    let states = deliveries(&server).await?;
    assert!(states.iter().any(|state| state == "google cancelled stands_again"), "{states:?}");
    assert!(!states.iter().any(|state| state.contains("dead")), "{states:?}");
    server.stop().await;
    Ok(())
}

async fn overtaken_by_hand(kind: Kind) -> Result<()> {
    let server = start(kind).await?;
    sale(&server, "O3").await?;
    server.fault(&json!({"kind": "status", "platform": "google_ads", "status": 400})).await?;
    moved(&server, "tid=O3&status=rejected").await?;
    server.no_faults().await?;
    moved(&server, "tid=O3&status=approved&payout=12.34&n=1").await?;
    let sold = "google delivered accepted_unverified";
    assert_eq!(deliveries(&server).await?, ["google dead dest_rejected", sold]);
    retry(&server, "google").await?;
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, ["google cancelled stands_again", sold]);
    assert_eq!(types(&server).await?, [] as [&str; 0]);
    // Rejected for good after that: told once.
    moved(&server, "tid=O3&status=rejected&n=2").await?;
    assert_eq!(types(&server).await?, ["RETRACTION"]);
    server.stop().await;
    Ok(())
}
