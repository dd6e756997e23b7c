//! What is shown before it is done is what is done: previews of repairs, the plan of a contract, the dry run of an import. And
//! what a repair leaves behind.

use anyhow::{Context as _, Result};
use crosstally_testkit::client::post_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

use crate::commands::program;

on_both! {
    /// A file that is imported again after days books nothing, also where amounts add up; the dry run says the same.
    a_file_is_booked_once_and_its_dry_run_says_what_is_done => imported;
    /// The same file with its columns read as others, under another contract, years later: a row is booked once.
    a_row_is_booked_once_however_its_file_is_read => read_otherwise;
    /// A plan and a preview count retries, clicks that are not there, aliases and earlier repairs as the booking does.
    a_plan_and_a_preview_count_what_is_booked => counted;
    /// A booked call keeps its click: the preview says so, and nothing is done.
    the_click_of_a_booked_call_is_not_repaired => click;
    /// A repair of an id or a time says what it does: what was unknown becomes known, what is known stays, with a code.
    ids_and_times_are_made_known_and_never_changed => known;
    /// A call that was given another name leaves its old one free.
    a_name_that_a_repair_left_takes_the_next_call => left;
    /// A repair of the currency takes the money out of one and puts it into the other.
    a_repaired_currency_moves_money_from_one_to_the_other => currency;
    /// Without a transaction id one click is one conversion, whoever filled in the form.
    calls_that_differ_in_the_contact_only_are_one => contact;
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

async fn send(server: &TestServer, query: &str, result: &str) -> Result<Value> {
    let answer = server.postback(query).await?.json()?;
    assert_eq!(text(&answer, "/result"), result, "{query}: {answer}");
    Ok(answer)
}

async fn again(server: &TestServer, body: Value) -> Result<Value> {
    let reply = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

async fn nothing_changes(server: &TestServer) -> Result<()> {
    let all = again(server, json!({ "partner": "acme", "apply": true })).await?;
    assert!(all["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{all:#}");
    Ok(())
}

/// A click that this server has not stored.
async fn click_of_another() -> Result<String> {
    let elsewhere = TestServer::ready(Kind::Sqlite).await?;
    elsewhere.advance(77_000);
    let click = elsewhere.click("fbclid=Z").await?;
    elsewhere.stop().await;
    Ok(click)
}

async fn import(server: &TestServer, file: &str, more: &[&str]) -> Result<Value> {
    let admin = format!("http://{}", server.admin);
    let words = ["--json", "import", "csv", file, "--partner", "acme", "--url", &admin, "--token"];
    let words: Vec<String> =
        words.iter().chain([&server.token.as_str()]).chain(more).map(|&word| word.to_owned()).collect();
    let directory = server.database.directory().to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        program().run(&words, &[], &directory)
    });
    let output = ended.await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told: Value = serde_json::from_slice(&output.stdout).context(said)?;
    Ok(told["results"].clone())
}

async fn imported(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with("duplicates = \"add\"\nmax_delay = \"30d\"")).await?;
    let (click, unknown) = (server.click("fbclid=A").await?, click_of_another().await?);
    let file = server.database.directory().join("sales.csv");
    let late = "2027-02-20 10:00:00";
    server.advance(100 * 86_400_000);
    std::fs::write(
        &file,
        format!(
            "click_id,transaction_id,status,payout,event_time\n,A,approved,5.00,\n,A,approved,5.00,\n,A,hold,7.00,\n\
             {unknown},B,approved,5.00,\n{click},C,approved,5.00,{late}\n,D,reversed,1.00,\n"
        ),
    )?;
    let file = file.display().to_string();
    let first = json!({ "recorded": 1, "updated": 1, "quarantined": 4 });
    let later = json!({ "duplicate": 2, "quarantined": 4 });
    assert_eq!(import(&server, &file, &["--dry-run"]).await?, first);
    assert!(server.engine.store.list_conversions(None, 10).await?.is_empty(), "a look books nothing");
    assert_eq!(import(&server, &file, &[]).await?, first);
    server.advance(3 * 86_400_000);
    assert_eq!(import(&server, &file, &["--dry-run"]).await?, later);
    assert_eq!(import(&server, &file, &[]).await?, later);
    let booked = server.engine.store.conversions_of_transaction("acme".into(), "A".into(), 2).await?;
    assert_eq!(booked[0].balance.confirmed, 1_000, "two rows that are equal are two");
    nothing_changes(&server).await?;
    // Another file may well pay the same once more.
    std::fs::write(&file, "transaction_id,status,payout\nA,approved,5.00\n")?;
    assert_eq!(import(&server, &file, &[]).await?, json!({ "updated": 1 }));
    server.stop().await;
    Ok(())
}

async fn read_otherwise(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let file = server.database.directory().join("sales.csv");
    std::fs::write(
        &file,
        "number,order,status,payout,note\nA,O1,approved,5.00,x\nB,O2,paid,6.00,x\nC,O3,reversed,7.00,x\n",
    )?;
    let file = file.display().to_string();
    let as_is = ["--map", "transaction_id=number"];
    let first = json!({ "recorded": 1, "quarantined": 2 });
    assert_eq!(import(&server, &file, &as_is).await?, first);
    // What was not booked may be read in another way; what was booked is booked, under whatever name.
    let otherwise = ["--map", "transaction_id=order"];
    let second = json!({ "duplicate": 1, "quarantined": 2 });
    assert_eq!(import(&server, &file, &["--map", "transaction_id=order", "--dry-run"]).await?, second);
    assert_eq!(import(&server, &file, &otherwise).await?, second);
    server.apply(&with("volatile = [\"note\"]\nstatuses = { paid = \"approved\" }")).await?;
    let all = again(&server, json!({ "partner": "acme", "apply": true })).await?;
    let booked = all["data"].as_array().unwrap().iter().filter(|row| row["changed"] == true);
    assert_eq!(booked.count(), 2, "one of two readings is booked, the other one is its repeat: {all:#}");
    nothing_changes(&server).await?;
    server.advance(400 * 86_400_000);
    server.engine.forget_nonces().await?;
    assert_eq!(import(&server, &file, &as_is).await?, json!({ "duplicate": 2, "quarantined": 1 }));
    // A row that was booked is not another one, whoever says so.
    let filter = json!({ "partner": "acme", "result": "duplicate", "real": true, "apply": true });
    let all = again(&server, filter).await?;
    let rows = all["data"].as_array().unwrap();
    assert!(
        rows.len() >= 2 && rows.iter().all(|row| row["is"] == json!(["duplicate", "same_content"])),
        "{all:#}"
    );
    // A refund that waits for its sale is one refund, however often its row was read.
    send(&server, "tid=C&status=approved&payout=7", "recorded").await?;
    server.advance(1_000);
    server.engine.match_waiting().await?;
    assert_eq!(import(&server, &file, &as_is).await?, json!({ "duplicate": 3 }));
    let booked = server.engine.store.list_conversions(None, 10).await?;
    let booked: i64 = booked.iter().map(|one| one.balance.confirmed).sum();
    assert_eq!(booked, 1_100, "A and B once each, and C is paid back");
    again(&server, json!({ "partner": "acme", "apply": true })).await?;
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn known(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let sale = send(&server, "tid=T1&status=approved&payout=10", "recorded").await?;
    let id = text(&sale, "/receipt");
    let repaired = async |set: Value, apply: bool| -> Result<Value> {
        let wanted = json!({ "receipts": [id], "set": set, "apply": apply });
        Ok(again(&server, wanted).await?["data"][0].clone())
    };
    let stored = async || -> Result<crosstally_core::conversion::Conversion> {
        let found = server.engine.store.conversions_of_transaction("acme".into(), "T1".into(), 2).await?;
        Ok(found[0].clone())
    };
    let before = stored().await?;
    for (field, value) in [("event_id", "e-1"), ("external_id", "x-1")] {
        for apply in [false, true] {
            let row = repaired(json!({ field: value }), apply).await?;
            assert_eq!((row["changed"].as_bool(), text(&row, "/problem")), (Some(true), ""), "{row}");
        }
    }
    let after = stored().await?;
    assert_eq!((after.event_id.as_deref(), after.external_id.as_deref()), (Some("e-1"), Some("x-1")));
    assert_eq!((after.balance, after.event_time), (before.balance, before.event_time));
    for (field, value) in [("event_id", "e-2"), ("external_id", "x-2"), ("event_time", "1795000000")] {
        for apply in [false, true] {
            let row = repaired(json!({ field: value }), apply).await?;
            let problem = text(&row, "/problem");
            assert!(problem.contains("field_kept") && problem.contains(field), "{row}");
            assert_eq!(row["changed"], false, "{row}");
        }
    }
    assert_eq!(stored().await?, after);
    // The same value once more is no contradiction.
    assert_eq!(repaired(json!({ "event_id": "e-1" }), false).await?["problem"], Value::Null);
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn counted(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let (click, unknown) = (server.click("fbclid=A").await?, click_of_another().await?);
    let alias = ("w8f3k2old".to_owned(), crosstally_core::ids::ClickId::parse_unchecked(&click).unwrap());
    server.engine.store.add_aliases(vec![alias], server.engine.clock.now()).await?;
    let odd = [
        format!("click_id={click}&tid=T1&status=Confirmed&payout=10"),
        format!("click_id={click}&tid=T1&status=Confirmed&payout=10"),
        format!("click_id={unknown}&tid=T2&status=Confirmed&payout=20"),
        "click_id=w8f3k2old&tid=T3&status=Confirmed&payout=30".to_owned(),
        "tid=T4&status=Confirmed&payout=40".to_owned(),
    ];
    let mut last = Value::Null;
    for query in &odd {
        last = send(&server, query, "quarantined").await?;
        server.advance(1_000);
    }
    // One of them is worth more than it says.
    let repair = json!({ "receipts": [text(&last, "/receipt")], "set": { "payout": "44" }, "apply": true });
    again(&server, repair).await?;
    let map = with("statuses = { confirmed = \"approved\" }");
    let document = map.replace("SANDBOX", &server.sandbox.to_string());
    let plan = post_as(server.admin, "/api/v1/config/plan", &server.token, &document).await?.json()?;
    let impact = &plan["impacts"][0];
    assert_eq!((impact["rows"].as_u64(), impact["gained"].as_u64()), (Some(5), Some(3)), "{plan:#}");
    assert_eq!(text(impact, "/money/0/confirmed"), "84.00", "{plan:#}");
    server.apply(&map).await?;
    let wanted = |apply: bool| json!({ "partner": "acme", "code": "status_unmapped", "apply": apply });
    let (shown, done) = (again(&server, wanted(false)).await?, again(&server, wanted(true)).await?);
    let told = |page: &Value| -> Vec<(String, String)> {
        let rows = page["data"].as_array().unwrap();
        rows.iter().map(|row| (row["is"].to_string(), row["money"].to_string())).collect()
    };
    assert_eq!(told(&shown), told(&done));
    let results: Vec<&str> = done["data"].as_array().unwrap().iter().map(|row| text(row, "/is/0")).collect();
    assert_eq!(results, ["recorded", "duplicate", "quarantined", "recorded", "recorded"]);
    let conversions = server.engine.store.list_conversions(None, 10).await?;
    assert_eq!(conversions.iter().map(|one| one.balance.confirmed).sum::<i64>(), 8_400);
    server.stop().await;
    Ok(())
}

async fn click(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let first = server.click("fbclid=A").await?;
    server.advance(60_000);
    let other = server.click("fbclid=B").await?;
    let booked =
        send(&server, &format!("click_id={first}&tid=T1&status=approved&payout=10"), "recorded").await?;
    let id = text(&booked, "/receipt");
    for apply in [false, true] {
        let wanted = json!({ "receipts": [id], "set": { "click_id": other }, "apply": apply });
        let row = again(&server, wanted).await?["data"][0].clone();
        assert_eq!(row["changed"], false, "{row}");
        assert!(text(&row, "/problem").contains("click_changed"), "{row}");
    }
    let receipt = server.api(&format!("/api/v1/receipts/{id}")).await?;
    assert_eq!((text(&receipt, "/click"), &receipt["revision"]), (first.as_str(), &json!(0)));
    // With a name of its own it is taken back there and booked on the other click, and both are shown.
    let wanted = json!({
        "receipts": [id], "set": { "click_id": other, "transaction_id": "T1-b" }, "apply": true
    });
    let row = again(&server, wanted).await?["data"][0].clone();
    assert_eq!((row["changed"].as_bool(), text(&row, "/problem")), (Some(true), ""), "{row}");
    let mut clicks = Vec::new();
    for one in server.engine.store.list_conversions(None, 10).await? {
        clicks.push((one.balance.confirmed, one.click.map(|click| click.to_string())));
    }
    clicks.sort();
    assert_eq!(clicks, [(0, Some(first)), (1_000, Some(other))]);
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn left(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    server.advance(60_000);
    let call = format!("click_id={click}&tid=T1&status=approved&payout=10");
    let first = send(&server, &call, "recorded").await?;
    server.deliver().await?;
    let moved =
        json!({ "receipts": [text(&first, "/receipt")], "set": { "transaction_id": "T2" }, "apply": true });
    again(&server, moved).await?;
    // Who tries the same call again within the day tries one that came.
    server.advance(1_000);
    send(&server, &call, "duplicate").await?;
    // Another one is the first of its name, whatever stood there.
    server.advance(1_000);
    send(&server, &format!("click_id={click}&tid=T1&status=hold&payout=4"), "recorded").await?;
    server.advance(1_000);
    let sale = send(&server, &format!("click_id={click}&tid=T1&status=approved&payout=4"), "updated").await?;
    server.deliver().await?;
    let accepted = server.accepted().await?;
    let ids: Vec<&str> = accepted.iter().map(|one| text(one, "/event/event_id")).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "two sales are two events: {accepted:#?}");
    let mut earned: Vec<i64> = Vec::new();
    for one in server.engine.store.list_conversions(None, 10).await? {
        let entries = server.engine.store.entries(one.id).await?;
        assert_eq!(crosstally_core::ledger::Balance::of(&entries), one.balance);
        earned.push(one.balance.confirmed);
    }
    earned.sort_unstable();
    assert_eq!(earned, [400, 1_000]);
    nothing_changes(&server).await?;
    // Read again with another amount it tells which event its goal had.
    let dearer = json!({ "receipts": [text(&sale, "/receipt")], "set": { "payout": "5" }, "apply": true });
    again(&server, dearer).await?;
    let receipt = server.api(&format!("/api/v1/receipts/{}", text(&sale, "/receipt"))).await?;
    assert_eq!(text(&receipt, "/goals/0/code"), "goal_already_met", "{receipt:#}");
    assert!(text(&receipt, "/goals/0/event").starts_with("evt_"), "{receipt:#}");
    server.stop().await;
    Ok(())
}

async fn currency(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let booked = send(&server, "tid=T1&status=approved&payout=10&currency=EUR", "recorded").await?;
    for apply in [false, true] {
        let set = json!({ "currency": "USD", "payout": "12" });
        let wanted = json!({ "receipts": [text(&booked, "/receipt")], "set": set, "apply": apply });
        let row = again(&server, wanted).await?["data"][0].clone();
        let mut money = row["money"].as_array().cloned().unwrap_or_default();
        money.sort_by_key(|sum| text(sum, "/currency").to_owned());
        let sums: Vec<(&str, &str)> =
            money.iter().map(|sum| (text(sum, "/currency"), text(sum, "/confirmed"))).collect();
        assert_eq!(sums, [("EUR", "-10.00"), ("USD", "12.00")], "{row}");
    }
    server.stop().await;
    Ok(())
}

async fn contact(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let call = |mail: &str| format!("click_id={click}&status=lead&email={mail}%40d.example");
    send(&server, &call("a"), "recorded").await?;
    let second = send(&server, &call("b"), "duplicate").await?;
    // It is kept, and whoever knows better says that it was real.
    let real = json!({ "receipts": [text(&second, "/receipt")], "real": true, "apply": true });
    assert_eq!(text(&again(&server, real).await?, "/data/0/is/0"), "recorded");
    server.stop().await;
    Ok(())
}
