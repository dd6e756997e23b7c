//! The ledger as it was known: every answer of the past can be had again.

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::{Context, Result};
use crosstally_testkit::client::{self, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::program;

on_both! {
    /// Random calls, rates and repairs; after each the answers are kept. At the end, each is had again with its time.
    every_answer_of_the_past_can_be_had_again => past;
    /// What happened in a day, as it was known that evening and as it is known today.
    a_day_as_it_was_known_then_and_as_it_is_known_now => day;
    /// Times that are none, ranges without room, words that are not known: each is told.
    questions_that_make_no_sense_are_told => nonsense;
    /// `crosstally ledger`, on a data directory and on a running server.
    the_command_says_what_the_api_says => command;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// Runs the program on the server's own data, and on its admin listener.
pub(crate) fn both_ways(server: &TestServer, words: &[&str]) -> Result<[Output; 2]> {
    let directory = server.database.directory();
    let key = directory.join("master.key");
    std::fs::write(&key, "09".repeat(32))?;
    let mut here = server.database.flags();
    here.extend(["--master-key-file".to_owned(), key.display().to_string()]);
    let there =
        ["--url".to_owned(), format!("http://{}", server.admin), "--token".to_owned(), server.token.clone()];
    Ok([program().run(words, &here, directory)?, program().run(words, &there, directory)?])
}

/// What the program prints either way, which must be the same.
pub(crate) fn printed(server: &TestServer, words: &[&str]) -> Result<String> {
    let [here, there] = both_ways(server, words)?.map(|output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    assert_eq!(here, there, "{words:?}");
    Ok(here)
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// All conversions by id, without what only names them: that is always told as it is known now.
async fn conversions(server: &TestServer) -> Result<BTreeMap<String, Value>> {
    let found = server.api("/api/v1/conversions?limit=500").await?;
    let rows = found["data"].as_array().context("no rows")?;
    Ok(rows.iter().map(|row| (text(row, "/id").to_owned(), stripped(row))).collect())
}

fn stripped(conversion: &Value) -> Value {
    let mut row = conversion.clone();
    if let Some(row) = row.as_object_mut() {
        for name in ["as_of", "event_id", "external_id", "labels"] {
            row.remove(name);
        }
    }
    row
}

async fn past(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    // Yen have no rate until the middle of it.
    let config =
        CONFIG.replace("currency = \"USD\"\n\n[[destination]]", "currency = \"JPY\"\n\n[[destination]]");
    server.apply(&config).await?;
    let clicks = [server.click("fbclid=A").await?, server.click("fbclid=B").await?];
    let mut dice = Dice(11);
    let mut kept: Vec<(String, BTreeMap<String, Value>, Value)> = Vec::new();
    let words = ["lead", "hold", "approved", "approved", "rejected", "reversed", "odd"];
    let mut odd = Vec::new();
    for round in 0..60 {
        server.advance(i64::try_from(dice.roll(90_000))? + 1);
        let word = words[usize::try_from(dice.roll(7))?];
        let (click, id) = (&clicks[usize::try_from(dice.roll(2))?], dice.roll(6));
        let happened = 1_795_200_000 + dice.roll(50_000);
        let currency = if id == 5 { "&currency=USD" } else { "" };
        let query = format!(
            "click_id={click}&tid=T{id}&status={word}&payout={}{currency}&event_time={happened}",
            dice.roll(900) + 100
        );
        let answer = server.postback(&query).await?.json()?;
        if text(&answer, "/code") == "status_unmapped" {
            odd.push(text(&answer, "/receipt").to_owned());
        }
        if round == 30 {
            let rate = json!({ "date": "2026-11-20", "base": "USD", "quote": "JPY", "rate": "155.5" });
            let reply = post_as(server.admin, "/api/v1/fx", &server.token, &rate.to_string()).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        if round % 9 == 8
            && let Some(receipt) = odd.pop()
        {
            let repair = json!({ "receipts": [receipt], "set": { "status": "approved" }, "apply": true });
            post_as(server.admin, "/api/v1/receipts/replay", &server.token, &repair.to_string()).await?;
        }
        let now = server.engine.clock.now().to_string();
        kept.push((now, conversions(&server).await?, server.api("/api/v1/ledger").await?["data"].clone()));
    }
    let last = &kept.last().context("kept").map(|(_, known, _)| known)?;
    assert!(last.len() == 6 && last.values().any(|one| one["fx_pending"] == false), "{last:#?}");
    assert!(kept.iter().any(|(_, known, _)| known.values().any(|one| one["fx_pending"] == true)));
    for (time, known, sums) in &kept {
        for id in last.keys() {
            let path = format!("/api/v1/conversions/{id}?as_of={time}");
            let reply = client::get_as(server.admin, &path, &server.token).await?;
            match known.get(id) {
                Some(known) => {
                    let was = reply.json()?;
                    assert_eq!(text(&was, "/as_of"), time);
                    assert_eq!(&stripped(&was), known, "{id} as of {time}");
                }
                None => assert_eq!(reply.status, 404, "{id} as of {time}: {}", reply.text()),
            }
        }
        let was = server.api(&format!("/api/v1/ledger?as_of={time}")).await?;
        assert_eq!(&was["data"], sums, "as of {time}");
    }
    server.stop().await;
    Ok(())
}

async fn send(server: &TestServer, query: &str, expected: &str) -> Result<String> {
    let answer = server.postback(query).await?.json()?;
    assert_eq!(text(&answer, "/result"), expected, "{query}: {answer}");
    Ok(text(&answer, "/conversion").to_owned())
}

async fn day(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    // The tests begin on 2026-11-21 at 10:00.
    let early =
        format!("click_id={click}&tid=T1&status=approved&payout=10.00&event_time=2026-11-21T09:00:00Z");
    let conversion = send(&server, &early, "recorded").await?;
    send(&server, "tid=T2&status=hold&payout=4.50&event_time=2026-11-21T09:30:00Z", "recorded").await?;
    server.advance(48 * 3_600_000);
    // Told two days later: an approval of that very day, and a refund of today.
    send(&server, "tid=T2&status=approved&payout=4.50&event_time=2026-11-21T18:00:00Z", "updated").await?;
    send(
        &server,
        &format!("click_id={click}&tid=T1&status=reversed&event_time=2026-11-23T09:00:00Z"),
        "updated",
    )
    .await?;
    let sum = async |query: &str| -> Result<(String, String, u64, u64)> {
        let found = server.api(&format!("/api/v1/ledger?{query}")).await?;
        let Some(row) = found.pointer("/data/0") else { return Ok(Default::default()) };
        assert_eq!((text(row, "/currency"), text(row, "/base/0/currency")), ("USD", "USD"), "{found}");
        assert_eq!(text(row, "/base/0/confirmed"), text(row, "/confirmed"));
        let count = |name: &str| row[name].as_u64().unwrap_or(0);
        Ok((
            text(row, "/confirmed").into(),
            text(row, "/pending").into(),
            count("movements"),
            count("conversions"),
        ))
    };
    let told = |confirmed: &str, pending: &str, movements, conversions| {
        (confirmed.to_owned(), pending.to_owned(), movements, conversions)
    };
    let that_day = "from=2026-11-21T00:00:00Z&to=2026-11-22T00:00:00Z";
    let evening = "as_of=2026-11-21T23:00:00Z";
    assert_eq!(sum(&format!("{that_day}&by=event&{evening}")).await?, told("10.00", "4.50", 2, 2));
    assert_eq!(sum(&format!("{that_day}&by=event")).await?, told("14.50", "0.00", 3, 2));
    assert_eq!(sum(&format!("{that_day}&by=recorded")).await?, told("10.00", "4.50", 2, 2));
    assert_eq!(sum("from=2026-11-22T00:00:00Z").await?, told("-5.50", "-4.50", 2, 2));
    assert_eq!(sum("").await?, told("4.50", "0.00", 4, 2));
    assert_eq!(sum("campaign=summer").await?, told("0.00", "0.00", 2, 1));
    assert_eq!(sum("source=facebook&by=event&to=2026-11-22T00:00:00Z").await?, told("10.00", "0.00", 1, 1));
    assert_eq!(sum("partner=nobody").await?, Default::default());
    // The same of one conversion.
    let path = format!("/api/v1/conversions/{conversion}");
    let was = server.api(&format!("{path}?{evening}")).await?;
    assert_eq!((text(&was, "/status"), text(&was, "/confirmed")), ("approved", "10.00"), "{was}");
    assert_eq!(was["goals_met"], json!(["purchase"]));
    let before_the_refund = server.api(&format!("{path}?to=2026-11-23T09:00:00Z&by=event")).await?;
    assert_eq!(text(&before_the_refund, "/status"), "approved", "{before_the_refund}");
    let movements = server.api(&format!("{path}/ledger?from=2026-11-22T00:00:00Z")).await?;
    assert_eq!(
        (&movements["data"][0]["sequence"], text(&movements, "/state/status")),
        (&json!(2), "reversed"),
        "{movements}"
    );
    let nothing_yet = server.api(&format!("{path}/ledger?as_of=2026-11-20T00:00:00Z")).await?;
    assert_eq!((&nothing_yet["data"], &nothing_yet["state"]), (&json!([]), &Value::Null));
    let whole = server.api(&format!("{path}/ledger")).await?;
    assert_eq!(whole["data"].as_array().map(Vec::len), Some(2), "{whole}");
    server.stop().await;
    Ok(())
}

async fn nonsense(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let conversion = send(&server, "tid=T1&status=approved&payout=10.00", "recorded").await?;
    let one = format!("/api/v1/conversions/{conversion}");
    let unknown = "/api/v1/conversions/cnv_00000000000000000000000000";
    for (path, status, named) in [
        (format!("{one}?as_of=yesterday"), 400, "`as_of` is not a time such as"),
        (format!("{one}?as_of=2026-11-21T10:00:00+02:00"), 400, "`as_of` is not a time such as"),
        (format!("{one}?as_off=2026-11-21T10:00:00Z"), 400, "as_off"),
        (format!("{one}?from=2026-11-21T10:00:00Z"), 400, "only its ledger has a `from`"),
        (format!("{one}?as_of=2026-11-21T10:00:00Z&by=event"), 400, "needs one of them"),
        (format!("{one}?as_of=2001-01-01T00:00:00Z"), 404, "first recorded at 2026-11-21T10:00:00.000Z"),
        (format!("{one}/ledger?to=soon"), 400, "`to` is not a time such as"),
        (format!("{unknown}?as_of=2026-11-21T10:00:00Z"), 404, "Nothing is known"),
        (format!("{unknown}/ledger?as_of=2026-11-21T10:00:00Z"), 404, "Nothing is known"),
        ("/api/v1/ledger?by=click".into(), 400, "not `click`"),
        (
            "/api/v1/ledger?from=2026-11-21T10:00:00Z&to=2026-11-20T10:00:00Z".into(),
            400,
            "the range is empty",
        ),
        ("/api/v1/ledger?partnr=acme".into(), 400, "partnr"),
    ] {
        let reply = client::get_as(server.admin, &path, &server.token).await?;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
        let problem = reply.json()?;
        assert!(text(&problem, "/detail").contains(named), "{path}: {problem}");
    }
    let strange = client::get(server.admin, "/api/v1/ledger").await?;
    assert_eq!(strange.status, 401);
    server.stop().await;
    Ok(())
}

async fn command(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let conversion = send(&server, "tid=T1&status=hold&payout=10.00&revenue=80", "recorded").await?;
    server.advance(3_600_000);
    send(&server, "tid=T1&status=approved&payout=12.34", "updated").await?;
    send(&server, "tid=T2&status=approved&payout=1.00&currency=EUR", "recorded").await?;
    let table = printed(&server, &["ledger"])?;
    assert!(table.contains("USD       12.34      0.00"), "{table}");
    assert!(table.contains("EUR       1.00") && table.contains("conversions"), "{table}");
    let then = printed(&server, &["ledger", "--as-of", "2026-11-21T10:30:00Z"])?;
    assert!(then.contains("USD       0.00       10.00") && !then.contains("EUR"), "{then}");
    let json: Value = serde_json::from_str(&printed(
        &server,
        &["ledger", "--json", "--by", "event", "--from", "2026-11-21T10:30:00Z"],
    )?)?;
    assert_eq!((text(&json, "/data/1/confirmed"), text(&json, "/by")), ("12.34", "event"), "{json}");
    let one = printed(&server, &["ledger", &conversion])?;
    for words in
        ["hold", "approved", "10.00 USD", "12.34 USD", "+12.34", "-10.00", "= approved, confirmed 12.34 USD"]
    {
        assert!(one.contains(words), "`{words}` is missing:\n{one}");
    }
    assert!(one.lines().all(|line| line.chars().count() <= 100), "{one}");
    let one_then = printed(&server, &["ledger", &conversion, "--as-of", "2026-11-21T10:30:00Z"])?;
    assert!(one_then.contains("= hold, confirmed 0.00 USD, pending 10.00; 1 movement(s)"), "{one_then}");
    assert!(!one_then.contains("12.34"), "{one_then}");
    for (words, code) in [
        (&["ledger", "--as-of", "yesterday"][..], 2),
        (&["ledger", "cnv_00000000000000000000000000"], 3),
        (&["ledger", "T1"], 3),
    ] {
        let codes = both_ways(&server, words)?.map(|output| output.status.code());
        assert_eq!(codes, [Some(code); 2], "{words:?}");
    }
    server.stop().await;
    Ok(())
}
