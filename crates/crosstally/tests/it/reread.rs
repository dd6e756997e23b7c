//! The trace and `receipts show` tell what is noteworthy about a receipt, and each time that it was read again.

use anyhow::Result;
use crosstally_testkit::client::{get_as, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::ledger::{both_ways, printed};

on_both! {
    /// A call that was repaired, and read again under another contract: who, when, why, what it said before and after.
    a_receipt_tells_each_time_that_it_was_read_again => again;
    /// A late approval and a stranger's call carry their labels, with what they mean.
    labels_are_told_with_their_sentences => labels;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn replay(server: &TestServer, body: Value) -> Result<()> {
    let reply = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Ok(())
}

fn fits(page: &str) {
    // What callers sent is shown as it came; everything that we say fits.
    let ours =
        page.lines().filter(|line| !["call", "sender", "query"].iter().any(|name| line.contains(name)));
    for line in ours {
        assert!(line.chars().count() <= 100, "{line}\n{page}");
    }
}

async fn again(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let odd = server.postback("tid=T1&status=paid%20out&payout=12.00").await?.json()?;
    assert_eq!(text(&odd, "/code"), "status_unmapped", "{odd}");
    let id = text(&odd, "/receipt").to_owned();
    server.advance(5_000);
    replay(&server, json!({ "receipts": [id], "set": { "status": "approved" }, "apply": true })).await?;
    server.advance(60_000);
    replay(&server, json!({ "receipts": [id], "set": { "payout": "15.00" }, "apply": true })).await?;
    let path = format!("/api/v1/receipts/{id}");
    let receipt = server.api(&path).await?;
    let revisions = receipt["revisions"].as_array().cloned().unwrap_or_default();
    assert_eq!(receipt["revision"].as_u64(), Some(revisions.len() as u64), "{receipt}");
    let first = &revisions[0];
    assert_eq!(
        (text(first, "/at"), text(first, "/cause")),
        ("2026-11-21T10:00:05.000Z", "repair"),
        "{first}"
    );
    assert_eq!((text(first, "/was/result"), text(first, "/was/code")), ("quarantined", "status_unmapped"));
    assert_eq!(
        (text(first, "/is/result"), &first["repair"]["set"]["status"]),
        ("recorded", &json!("approved")),
        "{first}"
    );
    assert_eq!(revisions.len(), 2, "{receipt}");
    assert_eq!(text(&revisions[1], "/is/result"), text(&receipt, "/result"));
    let own = server.api(&format!("{path}/revisions")).await?;
    assert_eq!(own["data"], receipt["revisions"]);
    let unknown =
        get_as(server.admin, "/api/v1/receipts/rcp_00000000000000000000000000/revisions", &server.token)
            .await?;
    assert_eq!(unknown.status, 404);
    let trace = server.api(&format!("/api/v1/trace/{id}")).await?;
    assert_eq!(trace["receipts"][0]["revisions"], receipt["revisions"], "{trace}");
    for words in [&["trace", id.as_str()][..], &["receipts", "show", id.as_str()]] {
        let page = printed(&server, words)?;
        for told in [
            "again     2026-11-21T10:00:05.000Z  repair by",
            "status=approved",
            "quarantined (status_unmapped) → recorded",
            "2026-11-21T10:01:05.000Z  repair by",
            "payout=15.00",
            "it had said:",
        ] {
            assert!(page.contains(told), "`{told}` is missing:\n{page}");
        }
        fits(&page);
    }
    let codes = both_ways(&server, &["receipts", "show", "rcp_00000000000000000000000000"])?;
    assert_eq!(codes.map(|output| output.status.code()), [Some(3); 2]);
    server.stop().await;
    Ok(())
}

async fn labels(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.postback("tid=T1&status=rejected&payout=12.00").await?;
    server.advance(60_000);
    let late = server.postback("tid=T1&status=approved&payout=12.00").await?.json()?;
    server
        .apply(&CONFIG.replace(
            "currency = \"USD\"\n\n[[destination]]",
            "currency = \"USD\"\nauth = { token = { env = \"ACME_TOKEN\" } }\n\n[[destination]]",
        ))
        .await?;
    let strange = server.postback("tid=T2&status=approved&payout=1").await?.json()?;
    assert_eq!(text(&strange, "/code"), "token_missing", "{strange}");
    for (answer, label, sentence) in [
        (&late, "late_approval", "The conversion was rejected before it was approved."),
        (&strange, "stranger", "The sender had not shown to be the partner"),
    ] {
        let id = text(answer, "/receipt");
        let trace = server.api(&format!("/api/v1/trace/{id}")).await?;
        let receipts = trace["receipts"].as_array().cloned().unwrap_or_default();
        assert!(receipts.iter().any(|one| one["id"] == id && one["labels"] == json!([label])), "{trace}");
        for words in [&["trace", id][..], &["receipts", "show", id]] {
            let page = printed(&server, words)?;
            assert!(page.contains(&format!("labels    {label}: {sentence}")), "{page}");
            assert!(!page.contains("again "), "{page}");
            fits(&page);
        }
    }
    server.stop().await;
    Ok(())
}
