//! What is kept of a call can be read again as it came: many receipts page by page, parts and cells that had no encoding of
//! their own, and money that waited, at the rate of its day.

use anyhow::{Context, Result};
use crosstally_core::ids::ClickId;
use crosstally_testkit::client::post_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::guarded::{Call, with_keys, word};

on_both! {
    /// 2,100 receipts: listed page by page, each once and newest first; found by a filter page by page, and read again.
    thousands_of_receipts_are_listed_and_read_again_page_by_page => pages;
    /// The parts of a multipart form and the cells of an import are text, also where the contract decodes twice, and are
    /// so again when the receipt is read again.
    parts_and_cells_are_read_again_as_they_came => encodings;
    /// What waited for its click is priced at the rate of the day that its contract names, not of the day on which the
    /// click appeared.
    what_waited_is_priced_at_the_rate_of_its_own_day => waited;
}

const LINES: usize = 700;
const CALLS: usize = 3;

async fn ask(server: &TestServer, path: &str, body: &Value) -> Result<Value> {
    let reply = post_as(server.admin, path, &server.token, &body.to_string()).await?;
    anyhow::ensure!(reply.status == 200, "{path}: {}", reply.text());
    reply.json()
}

fn rows(page: &Value) -> Result<&Vec<Value>> {
    page.get("data").and_then(Value::as_array).context("a list")
}

/// The receipts of all pages of a list.
async fn listed(server: &TestServer) -> Result<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api(&format!("/api/v1/receipts?partner=acme&limit=500{cursor}")).await?;
        ids.extend(rows(&page)?.iter().map(|row| word(row, "id").to_owned()));
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}

/// What reading all receipts with this code again comes to, page by page.
async fn read_again(server: &TestServer, apply: bool) -> Result<Vec<Value>> {
    let mut wanted = json!({
        "partner": "acme", "code": "status_unmapped", "set": { "status": "approved" }, "apply": apply
    });
    let mut all = Vec::new();
    loop {
        let page = ask(server, "/api/v1/receipts/replay", &wanted).await?;
        all.extend(rows(&page)?.iter().cloned());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => wanted["cursor"] = json!(next),
            None => return Ok(all),
        }
    }
}

async fn pages(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let mut came = Vec::new();
    for call in 0..CALLS {
        let body: String = (0..LINES)
            .map(|line| format!("{{\"tid\":\"P{call}-{line}\",\"status\":\"odd\",\"payout\":\"0.01\"}}\n"))
            .collect();
        let answer = Call::post("application/x-ndjson", body).send(&server).await?.json()?;
        let results = answer.get("results").and_then(Value::as_array).context("rows")?;
        came.extend(results.iter().map(|row| word(row, "receipt").to_owned()));
        server.advance(1_000);
    }
    assert_eq!(came.len(), CALLS * LINES);
    let newest_first: Vec<String> = came.iter().rev().cloned().collect();
    assert_eq!(listed(&server).await?, newest_first);
    for apply in [false, true] {
        let read = read_again(&server, apply).await?;
        let ids: Vec<&str> = read.iter().map(|row| word(row, "receipt")).collect();
        assert_eq!(ids, came, "in the order in which they came, each once");
        assert!(
            read.iter().all(|row| row["changed"] == true && row["is"][0] == "recorded"),
            "{:?}",
            read.first()
        );
    }
    assert!(read_again(&server, true).await?.is_empty(), "nothing waits any more");
    let sums = server.api("/api/v1/ledger").await?;
    assert_eq!(
        (&sums["data"][0]["confirmed"], &sums["data"][0]["conversions"]),
        (&json!("21.00"), &json!(2_100))
    );
    server.stop().await;
    Ok(())
}

async fn encodings(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys("encoding = \"twice\"")).await?;
    // A `%2F` that the sender means, an escaped percent sign, a plus and an ampersand.
    let id = "A%2F1%252B+2&b=c";
    let part = |name: &str, value: &str| {
        format!("--xYz7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!("{}{}{}--xYz7--\r\n", part("tid", id), part("status", "odd"), part("payout", "1.50"));
    let sent = Call::post("multipart/form-data; boundary=xYz7", body).send(&server).await?.json()?;
    let cell = format!("I-{id}");
    let row = [["tid", &cell], ["status", "odd"], ["payout", "2.50"]];
    let imported =
        ask(&server, "/api/v1/imports/conversions", &json!({ "partner": "acme", "rows": [row] })).await?;
    for (came, wanted) in [(&sent, id), (&imported["data"][0], cell.as_str())] {
        assert_eq!((word(came, "result"), word(came, "code")), ("quarantined", "status_unmapped"), "{came}");
        let body =
            json!({ "receipts": [word(came, "receipt")], "set": { "status": "approved" }, "apply": true });
        for changed in [true, false] {
            let read = ask(&server, "/api/v1/receipts/replay", &body).await?;
            assert_eq!(
                (&read["data"][0]["is"][0], &read["data"][0]["changed"]),
                (&json!("recorded"), &json!(changed))
            );
        }
        let receipt = server.api(&format!("/api/v1/receipts/{}", word(came, "receipt"))).await?;
        let conversion = server.api(&format!("/api/v1/conversions/{}", word(&receipt, "conversion"))).await?;
        assert_eq!(word(&conversion, "transaction_id"), wanted, "{receipt}");
    }
    // The very same form again is known by its digest.
    let body =
        format!("{}{}{}--xYz7--\r\n", part("tid", id), part("status", "approved"), part("payout", "1.50"));
    let again = Call::post("multipart/form-data; boundary=xYz7", body).send(&server).await?.json()?;
    assert_eq!(word(&again, "result"), "duplicate", "{again}");
    server.stop().await;
    Ok(())
}

async fn waited(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let keyed =
        |key: &str| CONFIG.replace("preset = \"generic\"\n", &format!("preset = \"generic\"\n{key}\n"));
    for (date, rate) in [("2026-11-10", "1.5"), ("2026-11-21", "1.1"), ("2026-11-24", "1.9")] {
        let body = json!({ "date": date, "base": "EUR", "quote": "USD", "rate": rate });
        ask(&server, "/api/v1/fx", &body).await?;
    }
    // The tests' day is 2026-11-21; it happened on the 10th, or on the day on which it came.
    let mut receipts = Vec::new();
    for (key, old, more, dollars) in [
        ("fx = \"event\"", "old-1", "&event_time=1794312000", "15.00"),
        ("fx = \"received\"", "old-2", "&event_time=1794312000", "11.00"),
        ("fx = \"event\"", "old-3", "", "11.00"),
        ("fx = \"received\"", "old-4", "", "11.00"),
    ] {
        server.apply(&keyed(key)).await?;
        let query = format!("click_id={old}&tid={old}&payout=10.00&currency=EUR{more}");
        let answer = server.postback(&query).await?.json()?;
        assert_eq!(word(&answer, "code"), "click_id_malformed", "{answer}");
        receipts.push((key, old, word(&answer, "receipt").to_owned(), dollars));
    }
    server.advance(3 * 24 * 3_600_000);
    for (key, old, receipt, dollars) in receipts {
        server.apply(&keyed(key)).await?;
        let click = server.click("fbclid=1").await?;
        let click = ClickId::parse_unchecked(&click).map_err(|_| anyhow::anyhow!("{click}"))?;
        server.engine.store.add_aliases(vec![(old.into(), click)], server.engine.clock.now()).await?;
        // How soon waits are looked at again is another test's matter.
        for _ in 0..100 {
            if server.engine.match_waiting().await? > 0 {
                break;
            }
            server.advance(60_000);
        }
        let receipt = server.api(&format!("/api/v1/receipts/{receipt}")).await?;
        assert_eq!(word(&receipt, "result"), "recorded", "{receipt}");
        let conversion = server.api(&format!("/api/v1/conversions/{}", word(&receipt, "conversion"))).await?;
        assert_eq!(word(&conversion, "base_confirmed"), dollars, "{key} {old}: {conversion}");
    }
    server.stop().await;
    Ok(())
}
