//! Refunds that wait for their sale, around everything that is read again: no money comes back, none is paid back twice,
//! and a preview says what is done.

use anyhow::Result;
use crosstally_testkit::client::post_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::waits::{look, nothing_changes, send, value_of, with};

on_both! {
    /// The sale was told twice before its refund was booked: the second time was a repeat and stays one.
    a_repeat_of_a_sale_stays_one_when_its_refund_had_waited => repeated;
    /// The sale is given another name after it was paid back: the refund waits for the next sale of the old one.
    a_refund_whose_sale_has_left_waits_for_the_next_one => bereft;
    /// Refunds wait for a sale that a repair books: the preview, the report and the ledger tell the same sum.
    a_repair_tells_the_money_of_the_refunds_that_waited => told;
    /// Two equal parts were paid back on one day: the second one was swallowed, and is made real.
    a_second_refund_in_the_same_words_is_made_real => real;
}

/// Reads receipts again; the answer.
async fn again(server: &TestServer, wanted: Value) -> Result<Value> {
    let reply = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &wanted.to_string()).await?;
    anyhow::ensure!(reply.status == 200, "{}", reply.text());
    reply.json()
}

async fn real(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with("reversal = \"amount\"")).await?;
    send(&server, "tid=T1&status=approved&payout=10", "recorded", "no_click_id").await?;
    server.advance(1_000);
    send(&server, "tid=T1&status=reversed&payout=4", "updated", "").await?;
    server.advance(1_000);
    let second = send(&server, "tid=T1&status=reversed&payout=4", "duplicate", "same_content").await?;
    let real = |apply: bool| json!({ "receipts": [second["receipt"]], "real": true, "apply": apply });
    let (preview, done) = (again(&server, real(false)).await?, again(&server, real(true)).await?);
    assert_eq!(preview["data"], done["data"]);
    assert_eq!(done["data"][0]["is"][0], "updated", "{done:#}");
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 200)));
    nothing_changes(&server).await?;
    // Whichever of the others is read again, it stays another one.
    server.advance(1_000);
    send(&server, "tid=T1&status=approved&payout=2&revenue=3", "updated", "").await?;
    let before = value_of(&server, "T1").await?;
    nothing_changes(&server).await?;
    assert_eq!(value_of(&server, "T1").await?, before);
    send(&server, "tid=T1&status=reversed&payout=4", "duplicate", "same_content").await?;
    server.stop().await;
    Ok(())
}

async fn told(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (status, payout, code) in
        [("paidd", 10, "status_unmapped"), ("reversed", 10, "sale_unknown"), ("paidd", 20, "status_unmapped")]
    {
        let query = format!("tid=T1&status={status}&payout={payout}");
        send(&server, &query, "quarantined", code).await?;
        server.advance(1_000);
    }
    let sum = |page: &Value| -> i64 {
        let rows = page["data"].as_array().unwrap().iter().flat_map(|row| row["money"].as_array().unwrap());
        rows.map(|row| row["confirmed"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap()).sum()
    };
    let repair = |apply: bool| json!({ "partner": "acme", "code": "status_unmapped", "set": { "status": "approved" }, "apply": apply });
    let preview = again(&server, repair(false)).await?;
    let done = again(&server, repair(true)).await?;
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 2000)));
    assert_eq!((sum(&preview), sum(&done)), (2000, 2000), "{preview:#}");
    nothing_changes(&server).await?;
    // A refund that stands in the same page is told once, with its sale.
    send(&server, "tid=T2&status=paidd&payout=5", "quarantined", "status_unmapped").await?;
    server.advance(1_000);
    send(&server, "tid=T2&status=reversed", "quarantined", "sale_unknown").await?;
    let all = |apply: bool| json!({ "partner": "acme", "result": "quarantined", "set": { "currency": "USD" }, "apply": apply });
    server.apply(&with("statuses = { paidd = \"approved\" }")).await?;
    let (preview, done) = (again(&server, all(false)).await?, again(&server, all(true)).await?);
    assert_eq!((sum(&preview), sum(&done)), (0, 0), "{preview:#} {done:#}");
    assert_eq!(value_of(&server, "T2").await?, Some(("reversed".into(), 0)));
    server.stop().await;
    Ok(())
}

async fn bereft(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let sale = send(&server, "tid=V1&status=approved&payout=10", "recorded", "no_click_id").await?;
    server.advance(1_000);
    send(&server, "tid=V1&status=reversed", "updated", "").await?;
    server.advance(1_000);
    let renamed = json!({ "receipts": [sale["receipt"]], "set": { "transaction_id": "V2" }, "apply": true });
    again(&server, renamed).await?;
    assert_eq!(value_of(&server, "V2").await?, Some(("approved".into(), 1000)));
    assert_eq!(look(&server, 3).await?, 0, "there is no sale to take back");
    send(&server, "tid=V1&status=approved&payout=20", "recorded", "no_click_id").await?;
    look(&server, 1).await?;
    assert_eq!(value_of(&server, "V1").await?, Some(("reversed".into(), 0)));
    assert_eq!(value_of(&server, "V2").await?, Some(("approved".into(), 1000)));
    nothing_changes(&server).await?;
    // It was the refund of one sale, not of the next one as well.
    send(&server, "tid=V1&status=approved&payout=30", "updated", "").await?;
    look(&server, 2).await?;
    assert_eq!(value_of(&server, "V1").await?, Some(("approved".into(), 3000)));
    server.stop().await;
    Ok(())
}

async fn repeated(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (name, other) in [("T1", ""), ("T2", "&n=2")] {
        send(&server, &format!("tid={name}&status=reversed&payout=10"), "quarantined", "sale_unknown")
            .await?;
        server.advance(1_000);
        let sale = format!("tid={name}&status=approved&payout=10");
        send(&server, &sale, "recorded", "no_click_id").await?;
        server.advance(10);
        send(&server, &format!("{sale}{other}"), "duplicate", "same_content").await?;
        assert_eq!(look(&server, 1).await?, 1);
        assert_eq!(value_of(&server, name).await?, Some(("reversed".into(), 0)));
    }
    again(&server, json!({ "partner": "acme", "result": "duplicate", "apply": true })).await?;
    nothing_changes(&server).await?;
    for name in ["T1", "T2"] {
        assert_eq!(value_of(&server, name).await?, Some(("reversed".into(), 0)), "{name}");
    }
    // What comes after the refund sells again.
    send(&server, "tid=T2&status=approved&payout=10&n=3", "updated", "").await?;
    assert_eq!(value_of(&server, "T2").await?, Some(("approved".into(), 1000)));
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}
