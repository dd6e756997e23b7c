//! The balance by the hour: in the API, on the terminal, as a metric, and found out when it does not hold.

use anyhow::{Context, Result};
use crosstally_core::verdict::Verdict;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use crate::ledger::printed;

on_both! {
    /// Rows by hour and day add up to the totals, whatever was repaired meanwhile.
    the_balance_by_the_hour_adds_up => by_the_hour;
    /// The metrics come from the store: a second process would show the same. A receipt that was counted and is not there
    /// is found.
    metrics_show_the_balance_and_whether_it_holds => metrics;
}

const HOUR_MS: i64 = 3_600_000;

/// Calls over three hours: recorded, duplicate, quarantined, refused; and one of a partner that nobody knows.
async fn calls(server: &TestServer) -> Result<String> {
    let click = server.click("fbclid=A").await?;
    for (hour, queries) in [
        vec![
            "tid=T1&status=approved&payout=1",
            "tid=T1&status=approved&payout=1",
            "tid=T2&status=odd&payout=2",
        ],
        vec!["tid=T1&status=reversed", "tid=T3&status=approved&payout=x"],
        vec!["tid=T4&status=hold&payout=4"],
    ]
    .into_iter()
    .enumerate()
    {
        for query in queries {
            server.postback(&format!("click_id={click}&{query}")).await?;
            server.advance(1_000);
        }
        if hour == 1 {
            client::get(server.tracking, "/postback/nobody?tid=1").await?;
        }
        server.advance(HOUR_MS);
    }
    let receipts = server.api("/api/v1/receipts?limit=500").await?;
    let odd =
        receipts["data"].as_array().context("rows")?.iter().find(|row| row["code"] == "status_unmapped");
    Ok(odd.and_then(|odd| odd["id"].as_str()).context("no odd one")?.to_owned())
}

fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or(u64::MAX)
}

/// Every line adds up, and all lines of a partner are its total.
fn add_up(found: &Value) {
    let rows = found["data"].as_array().unwrap();
    let totals = found["totals"].as_array().unwrap();
    for line in rows.iter().chain(totals) {
        let parts: u64 = Verdict::ALL.iter().map(|verdict| count(line, verdict.as_str())).sum();
        assert_eq!(count(line, "received"), parts, "{line}");
    }
    for total in totals {
        for name in ["received", "recorded", "updated", "duplicate", "quarantined", "refused", "test"] {
            let own = rows.iter().filter(|row| row["partner"] == total["partner"]);
            assert_eq!(own.map(|row| count(row, name)).sum::<u64>(), count(total, name), "{name}: {found}");
        }
    }
}

async fn by_the_hour(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let odd = calls(&server).await?;
    let repair = json!({ "receipts": [odd], "set": { "status": "approved" }, "apply": true });
    client::post_as(server.admin, "/api/v1/receipts/replay", &server.token, &repair.to_string()).await?;
    let path = "/api/v1/receipts/balance";
    let plain = server.api(path).await?;
    let mut names: Vec<&String> = plain.as_object().context("an object")?.keys().collect();
    names.sort();
    assert_eq!(names, ["data", "next_cursor"], "the answer without parameters stays as it was");
    let hours = server.api(&format!("{path}?by=hour")).await?;
    add_up(&hours);
    assert_eq!(hours["totals"], plain["data"], "{hours}");
    let first = &hours["data"][0];
    assert_eq!(first["start"], "2026-11-21T10:00:00.000Z");
    // The repaired one counts in the hour in which it came.
    assert_eq!(
        (count(first, "received"), count(first, "recorded"), count(first, "duplicate")),
        (3, 2, 1),
        "{hours}"
    );
    let of_acme = hours["data"].as_array().context("rows")?.iter().filter(|row| row["partner"] == "acme");
    assert_eq!(of_acme.count(), 3, "{hours}");
    let days = server.api(&format!("{path}?by=day")).await?;
    add_up(&days);
    assert_eq!(days["data"][0]["start"], "2026-11-21T00:00:00.000Z");
    // A range holds whole hours.
    let second = server
        .api(&format!("{path}?by=hour&partner=acme&from=2026-11-21T11:20:00Z&to=2026-11-21T11:40:00Z"))
        .await?;
    assert_eq!(
        (&second["from"], &second["to"]),
        (&json!("2026-11-21T11:00:00.000Z"), &json!("2026-11-21T12:00:00.000Z"))
    );
    assert_eq!(second["data"].as_array().map(Vec::len), Some(1), "{second}");
    assert_eq!(count(&second["data"][0], "received"), 2, "{second}");
    // Page by page.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api(&format!("{path}?by=hour&limit=2{cursor}")).await?;
        assert_eq!(page["totals"], plain["data"]);
        paged.extend(page["data"].as_array().context("rows")?.clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::Array(paged), hours["data"]);
    for (wrong, named) in [
        ("by=week", "not `week`"),
        ("from=never", "`from` is not a time"),
        ("limit=3", "has pages"),
        ("by=day&cursor=x", "the cursor"),
    ] {
        let reply = client::get_as(server.admin, &format!("{path}?{wrong}"), &server.token).await?;
        assert!(reply.status == 400 && reply.text().contains(named), "{wrong}: {}", reply.text());
    }
    let table = printed(&server, &["receipts", "balance", "--by", "hour"])?;
    assert!(table.contains("2026-11-21 10:00  acme") && table.contains("all "), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let plain_table = printed(&server, &["receipts", "balance"])?;
    assert!(plain_table.starts_with("partner"), "{plain_table}");
    let told: Value =
        serde_json::from_str(&printed(&server, &["receipts", "balance", "--by", "hour", "--json"])?)?;
    assert_eq!((&told["data"], &told["totals"]), (&hours["data"], &hours["totals"]));
    server.stop().await;
    Ok(())
}

/// The value of a metric.
fn metric(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn shown(server: &TestServer) -> Result<String> {
    server.engine.measure_balance().await?;
    Ok(client::get(server.admin, "/metrics").await?.text())
}

async fn metrics(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    calls(&server).await?;
    let text = shown(&server).await?;
    let of_acme = |verdict: &str| format!("crosstally_receipts{{partner=\"acme\",verdict=\"{verdict}\"}}");
    let parts: Vec<u64> =
        Verdict::ALL.iter().filter_map(|verdict| metric(&text, &of_acme(verdict.as_str()))).collect();
    assert_eq!(parts.len(), 6, "{text}");
    let received = metric(&text, "crosstally_receipts_received{partner=\"acme\"}");
    assert_eq!((received, parts.iter().sum::<u64>()), (Some(6), 6), "{text}");
    assert_eq!(metric(&text, &of_acme("duplicate")), Some(1));
    assert!(!text.contains("nobody"), "strangers make up no labels: {text}");
    assert_eq!(metric(&text, "crosstally_receipts_received{partner=\"(others)\"}"), Some(1), "{text}");
    assert_eq!(metric(&text, "crosstally_receipts_unbalanced"), Some(0), "{text}");
    let hour = server.engine.last_settled_hour();
    let checked = server.engine.check_hour(hour).await?;
    assert!(checked.counted > 0 && checked.unbalanced == 0, "{checked:?}");
    let until = metric(&text, "crosstally_receipts_checked_until_seconds");
    assert_eq!(until, u64::try_from(hour.as_seconds() + 3_600).ok(), "{text}");
    // A call whose receipt is lost behind the store's back, in the hour that is now running.
    server.postback("tid=T9&status=approved&payout=9").await?;
    let lost = "DELETE FROM receipts WHERE received_at = (SELECT max(received_at) FROM receipts)";
    server.database.run(lost).await?;
    server.advance(HOUR_MS + 61_000);
    let text = shown(&server).await?;
    assert_eq!(metric(&text, "crosstally_receipts_unbalanced"), Some(1), "{text}");
    // It is said until it is mended.
    assert_eq!(metric(&shown(&server).await?, "crosstally_receipts_unbalanced"), Some(1));
    server.stop().await;
    Ok(())
}
