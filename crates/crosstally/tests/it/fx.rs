//! Amounts in the base currency, from a call before there is a rate to a day that is rated again.

use anyhow::{Context, Result};
use crosstally_core::fx::Day;
use crosstally_core::time::Timestamp;
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::database::{Database, Kind};
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::commands::{configure, program};

on_both! {
    /// A sale in euros before there is a rate waits, says so, and is priced when the central bank's file comes.
    what_waits_for_a_rate_is_priced_when_it_comes => settled;
    /// A refund weeks later, with other rates about, takes back to the cent what was booked.
    a_late_refund_nets_to_zero => late_refund;
    /// A day is rated again after its rate was corrected; the second time there is nothing left to change.
    rated_again_twice_is_rated_again_once => rerated;
    /// `received` in the contract: the rate of the day on which it came, not of the day on which it happened.
    the_contract_names_the_day => rate_day;
    /// What is older than the rates at hand is priced from those that are stored.
    old_sales_are_priced_too => old;
    /// A name that its call has left is taken up by another one, with the rate of its own day.
    what_takes_a_name_up_has_its_own_rate => taken_up;
    /// The program's own commands, on a data directory and on a running server.
    the_commands_import_set_list_and_rate_again => commands;
}

/// 2026-11-20 is the Friday before the tests' Saturday.
const ECB: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender>
		<gesmes:name>European Central Bank</gesmes:name>
	</gesmes:Sender>
	<Cube>
		<Cube time='2026-11-20'>
			<Cube currency='USD' rate='1.0856'/>
			<Cube currency='JPY' rate='163.05'/>
		</Cube>
	</Cube>
</gesmes:Envelope>"#;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn post(server: &TestServer, path: &str, kind: &str, body: impl Into<String>) -> Result<Reply> {
    let request = http::Request::post(path)
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", kind);
    client::send(server.admin, request.body(Full::new(body.into().into()))?).await
}

async fn import(server: &TestServer, file: &str) -> Result<Value> {
    let reply = post(server, "/api/v1/fx", "text/plain", file).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn set(server: &TestServer, date: &str, rate: &str) -> Result<Value> {
    let body = json!({ "date": date, "base": "EUR", "quote": "USD", "rate": rate });
    let reply = post(server, "/api/v1/fx", "application/json", body.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn rerate(server: &TestServer, from: &str, to: &str, dry_run: bool) -> Result<Value> {
    let body = json!({ "from": from, "to": to, "dry_run": dry_run });
    let reply = post(server, "/api/v1/fx/rerate", "application/json", body.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn sale(server: &TestServer, query: &str) -> Result<Value> {
    let answer = server.postback(query).await?.json()?;
    assert!(matches!(text(&answer, "/result"), "recorded" | "updated"), "{answer}");
    Ok(answer)
}

async fn conversion(server: &TestServer, id: &str) -> Result<Value> {
    server.api(&format!("/api/v1/conversions/{id}")).await
}

async fn ledger(server: &TestServer, id: &str) -> Result<Vec<Value>> {
    let found = server.api(&format!("/api/v1/conversions/{id}/ledger")).await?;
    found.get("data").and_then(Value::as_array).cloned().context("no ledger")
}

async fn settled(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let answer = sale(&server, "tid=E1&payout=100.00&currency=EUR").await?;
    let id = text(&answer, "/conversion");
    let found = conversion(&server, id).await?;
    assert_eq!(found.pointer("/fx_pending"), Some(&json!(true)), "{found}");
    assert_eq!((text(&found, "/confirmed"), found.pointer("/base_value")), ("100.00", Some(&Value::Null)));
    let entries = ledger(&server, id).await?;
    assert_eq!(entries[0].pointer("/fx_pending"), Some(&json!(true)));
    let receipt = answer.pointer("/receipt").and_then(Value::as_str).context("no receipt")?;
    let stored = server.engine.store.receipt(receipt.parse()?).await?.context("no receipt")?;
    assert_eq!(stored.labels, ["fx_pending"]);
    // Dollars are the base currency: nothing to wait for. A lead without an amount neither.
    let dollars = sale(&server, "tid=U1&payout=5.00&currency=USD").await?;
    let dollars = conversion(&server, text(&dollars, "/conversion")).await?;
    assert_eq!((text(&dollars, "/fx/source"), text(&dollars, "/base_confirmed")), ("same", "5.00"));
    let lead = sale(&server, "tid=L1&status=lead&currency=EUR").await?;
    let lead = conversion(&server, text(&lead, "/conversion")).await?;
    assert_eq!((lead.pointer("/fx"), lead.pointer("/fx_pending")), (Some(&Value::Null), Some(&json!(false))));

    let imported = import(&server, ECB).await?;
    assert_eq!(
        (imported.get("added"), imported.get("settled")),
        (Some(&json!(2)), Some(&json!(1))),
        "{imported}"
    );
    let found = conversion(&server, id).await?;
    assert_eq!(found.pointer("/fx_pending"), Some(&json!(false)));
    assert_eq!((text(&found, "/fx/rate"), text(&found, "/fx/date")), ("1.0856", "2026-11-20"));
    assert_eq!((text(&found, "/fx/base"), text(&found, "/fx/source")), ("USD", "ecb"));
    assert_eq!((text(&found, "/base_confirmed"), text(&found, "/confirmed")), ("108.56", "100.00"));
    let entries = ledger(&server, id).await?;
    assert_eq!(entries.len(), 2);
    assert_eq!((text(&entries[1], "/kind"), text(&entries[1], "/confirmed_delta")), ("rate", "0.00"));
    assert_eq!(text(&entries[1], "/base_confirmed_delta"), "108.56");
    // The next ones need not wait, cross rates among them: 10,000 yen / 163.05 x 1.0856.
    for (query, dollars) in
        [("tid=E2&payout=1.00&currency=EUR", "1.09"), ("tid=J1&payout=10000&currency=JPY", "66.58")]
    {
        let answer = sale(&server, query).await?;
        let found = conversion(&server, text(&answer, "/conversion")).await?;
        assert_eq!(text(&found, "/base_confirmed"), dollars, "{query}");
        assert_eq!(ledger(&server, text(&answer, "/conversion")).await?.len(), 1);
    }
    let again = import(&server, ECB).await?;
    assert_eq!((again.get("same"), again.get("settled")), (Some(&json!(2)), Some(&json!(0))));
    let broken = post(&server, "/api/v1/fx", "text/plain", ECB.replace("1.0856", "1,0856")).await?;
    assert!(broken.status == 400 && broken.text().contains("line 9"), "{}", broken.text());
    server.stop().await;
    Ok(())
}

async fn late_refund(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    import(&server, ECB).await?;
    let answer = sale(&server, "tid=E1&payout=33.33&currency=EUR").await?;
    let id = text(&answer, "/conversion");
    server.advance(30 * 86_400_000);
    set(&server, "2026-12-20", "1.3").await?;
    set(&server, "2026-11-20", "1.2").await?;
    sale(&server, "tid=E1&status=reversed&payout=33.33&currency=EUR").await?;
    let found = conversion(&server, id).await?;
    assert_eq!((text(&found, "/base_confirmed"), text(&found, "/fx/date")), ("0.00", "2026-11-20"));
    let deltas: Vec<String> = ledger(&server, id)
        .await?
        .iter()
        .map(|entry| text(entry, "/base_confirmed_delta").to_owned())
        .collect();
    assert_eq!(deltas, ["36.18", "-36.18"]);
    // A sale of that later day takes that day's rate.
    let later = sale(&server, "tid=E2&payout=10.00&currency=EUR").await?;
    let later = conversion(&server, text(&later, "/conversion")).await?;
    assert_eq!((text(&later, "/base_confirmed"), text(&later, "/fx/source")), ("13.00", "set"));
    server.stop().await;
    Ok(())
}

async fn rerated(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    import(&server, ECB).await?;
    let first = sale(&server, "tid=E1&payout=100.00&currency=EUR").await?;
    let second = sale(&server, "tid=E2&status=hold&payout=50.00&currency=EUR").await?;
    sale(&server, "tid=U1&payout=7.00&currency=USD").await?;
    let corrected = import(&server, &ECB.replace("1.0856", "1.0900")).await?;
    assert_eq!(corrected.get("replaced"), Some(&json!(1)));
    assert_eq!(text(&corrected, "/replacements/0/before"), "1.0856");
    let before = conversion(&server, text(&first, "/conversion")).await?;
    assert_eq!(text(&before, "/base_confirmed"), "108.56", "a rate is kept until somebody says otherwise");

    let planned = rerate(&server, "2026-11-21", "2026-11-21", true).await?;
    let expected = json!([{ "base": "USD", "confirmed": "0.44", "pending": "0.22" }]);
    assert_eq!(
        (planned.get("changed"), planned.get("sums")),
        (Some(&json!(2)), Some(&expected)),
        "{planned}"
    );
    assert_eq!(ledger(&server, text(&first, "/conversion")).await?.len(), 1, "a dry run books nothing");
    let elsewhere = rerate(&server, "2026-11-19", "2026-11-20", false).await?;
    assert_eq!(elsewhere.get("looked_at"), Some(&json!(0)), "the day is the conversion's, not the rate's");
    let done = rerate(&server, "2026-11-21", "2026-11-21", false).await?;
    assert_eq!((done.get("changed"), done.get("sums")), (Some(&json!(2)), Some(&expected)));
    let after = conversion(&server, text(&first, "/conversion")).await?;
    assert_eq!((text(&after, "/base_confirmed"), text(&after, "/fx/rate")), ("109.00", "1.09"));
    let held = conversion(&server, text(&second, "/conversion")).await?;
    assert_eq!(text(&held, "/base_pending"), "54.50");
    let again = rerate(&server, "2026-11-21", "2026-11-21", false).await?;
    assert_eq!((again.get("changed"), again.get("sums")), (Some(&json!(0)), Some(&json!([]))));
    assert_eq!(ledger(&server, text(&first, "/conversion")).await?.len(), 2);
    let jobs = server.api("/api/v1/fx/rerate").await?;
    assert_eq!(jobs.get("data").and_then(Value::as_array).map(Vec::len), Some(3));
    assert_eq!((text(&jobs, "/data/1/author"), text(&jobs, "/data/1/sums/0/confirmed")), ("test", "0.44"));

    // Another base currency: the old one is emptied, the new one filled.
    server.apply(&CONFIG.replace("base_currency = \"USD\"", "base_currency = \"EUR\"")).await?;
    let moved = rerate(&server, "2026-11-21", "2026-11-21", false).await?;
    let expected = json!([
        { "base": "EUR", "confirmed": "106.42", "pending": "50.00" },
        { "base": "USD", "confirmed": "-116.00", "pending": "-54.50" },
    ]);
    assert_eq!(moved.get("sums"), Some(&expected), "{moved}");
    server.stop().await;
    Ok(())
}

async fn rate_day(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let received =
        CONFIG.replace("currency = \"USD\"\n\n[[dest", "currency = \"USD\"\nfx = \"received\"\n\n[[dest");
    set(&server, "2026-11-10", "1.5").await?;
    set(&server, "2026-11-21", "1.1").await?;
    for (document, tid, dollars) in [(CONFIG, "A", "15.00"), (&received, "B", "11.00")] {
        server.apply(document).await?;
        let happened = 1_794_312_000; // 2026-11-10 12:00 UTC
        let query = format!("tid={tid}&payout=10.00&currency=EUR&event_time={happened}");
        let answer = sale(&server, &query).await?;
        let found = conversion(&server, text(&answer, "/conversion")).await?;
        assert_eq!(text(&found, "/base_confirmed"), dollars, "{found}");
    }
    server.stop().await;
    Ok(())
}

async fn old(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let happened = 1_700_000_000; // 2023-11-14
    let query = format!("payout=10.00&currency=EUR&event_time={happened}");
    let answer = sale(&server, &format!("tid=A&{query}")).await?;
    let imported = import(&server, "2023-11-14,EUR,USD,1.25\n2023-11-22,EUR,USD,9\n").await?;
    assert_eq!(imported.get("settled"), Some(&json!(1)), "{imported}");
    let found = conversion(&server, text(&answer, "/conversion")).await?;
    assert_eq!(text(&found, "/base_confirmed"), "12.50");
    // Booked without the rate at hand, and priced at the next look, a minute later.
    let next = sale(&server, &format!("tid=B&{query}")).await?;
    assert_eq!(server.engine.settle_fx().await?, 0);
    server.advance(60_000);
    assert_eq!(server.engine.settle_fx().await?, 1);
    let found = conversion(&server, text(&next, "/conversion")).await?;
    assert_eq!((text(&found, "/base_confirmed"), text(&found, "/fx/source")), ("12.50", "csv"));
    server.stop().await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the program runs by the real clock")]
fn today() -> Day {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Day::of(Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap()))
}

async fn commands(kind: Kind) -> Result<()> {
    let database = Database::fresh(kind).await?;
    let directory = database.directory();
    configure(&database, "127.0.0.1:9".parse()?)?;
    // Should midnight come in between, the rate of the day before serves as well.
    let (day, next) = (today().to_string(), today().plus(1).to_string());
    let file = directory.join("eurofxref-daily.xml");
    std::fs::write(&file, ECB.replace("2026-11-20", &day))?;
    let file = file.display().to_string();
    let flags = database.flags();
    let run = |words: &[&str], flags: &[String]| -> Result<Value> {
        let output = program().run(words, flags, directory)?;
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    assert_eq!(run(&["fx", "import", &file, "--json"], &flags)?.get("added"), Some(&json!(2)));
    run(&["fx", "set", &day, "eur", "GBP", "0.85", "--json"], &flags)?;
    let listed = run(&["fx", "list", "--currency", "GBP", "--json"], &flags)?;
    assert_eq!((text(&listed, "/0/rate"), text(&listed, "/0/source")), ("0.85", "set"));

    let server = program().serve(&flags, directory).await?;
    let token = run(&["token", "create", "--name", "t", "--json"], &flags)?;
    let token = text(&token, "/token").to_owned();
    let there = ["--url".to_owned(), format!("http://{}", server.admin), "--token".to_owned(), token];
    assert_eq!(run(&["fx", "import", &file, "--json"], &there)?.get("same"), Some(&json!(2)));
    assert_eq!(run(&["fx", "list", "--json"], &there)?.as_array().map(Vec::len), Some(3));
    let call = "/postback/acme?tid=E1&payout=100.00&currency=EUR";
    let answer = client::get(server.address, call).await?.json()?;
    assert_eq!(text(&answer, "/result"), "recorded", "{answer}");
    run(&["fx", "set", &day, "EUR", "USD", "1.2", "--json"], &there)?;
    for (flags, count) in [(&there[..], "1 of 1"), (&flags[..], "0 of 1")] {
        for words in [&["--dry-run"][..], &[]] {
            let words = [&["fx", "rerate", "--from", &day, "--to", &next], words].concat();
            let output = program().run(&words, flags, directory)?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(count), "{said}{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(said.contains("have another rate now"), words.len() == 6, "{said}");
            assert!(count == "0 of 1" || said.contains("+11.44"), "{said}");
        }
    }
    let trace = program().run(&["trace", "E1"], &flags, directory)?;
    let told = String::from_utf8_lossy(&trace.stdout).into_owned();
    for word in ["+108.56", "+11.44", "(ecb)", "(set)"] {
        assert!(told.contains(word), "`{word}` is missing:\n{told}");
    }
    let broken = directory.join("broken.csv");
    std::fs::write(&broken, "2026-11-20,EUR,USD,zero\n")?;
    let output = program().run(&["fx", "import", &broken.display().to_string()], &flags, directory)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(6) && said.contains("line 1"), "{said}");
    server.stop()?;
    Ok(())
}

async fn taken_up(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    set(&server, "2026-11-20", "1.10").await?;
    let first = sale(&server, "tid=T1&payout=100.00&currency=EUR").await?;
    let named = json!({ "receipts": [first["receipt"]], "set": { "transaction_id": "T2" }, "apply": true });
    let reply = post(&server, "/api/v1/receipts/replay", "application/json", named.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.advance(5 * 86_400_000);
    set(&server, "2026-11-25", "1.20").await?;
    let next = sale(&server, "tid=T1&payout=100.00&currency=EUR&n=2").await?;
    assert_eq!(text(&next, "/conversion"), text(&first, "/conversion"), "the name that was left");
    let found = conversion(&server, text(&next, "/conversion")).await?;
    assert_eq!((text(&found, "/fx/rate"), text(&found, "/base_confirmed")), ("1.2", "120.00"), "{found}");
    let entries = ledger(&server, text(&next, "/conversion")).await?;
    let deltas: Vec<&str> = entries.iter().map(|entry| text(entry, "/base_confirmed_delta")).collect();
    assert_eq!(deltas, ["110.00", "-110.00", "120.00"]);
    server.stop().await;
    Ok(())
}
