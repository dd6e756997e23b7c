//! What is not booked is kept, repaired and read again; a conversion is always what its calls say, in their order.

use anyhow::Result;
use crosstally_testkit::client::{Reply, get_as, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// What is at stake counts a call that was tried again once, and of calls of one name the last.
    what_waits_for_a_status_word_is_counted_once => counted_once;
    /// A new status word waits; the plan says what a map would book; the replay books it once.
    a_new_status_word_is_mapped_and_applied_to_past_rows => mapped;
    /// An approval that is repaired after its refund came does not undo the refund.
    a_repaired_call_takes_its_place_in_the_order => in_order;
    /// A repaired call that later ones have overtaken moves nothing and still belongs to its conversion.
    a_repaired_call_that_was_overtaken => overtaken;
    /// A call with another tracker's click id waits, and is booked when the alias appears.
    a_foreign_click_id_waits_for_its_alias => alias;
    /// So does one that is all that names the sale: it is the click's only one, told twice.
    a_foreign_click_id_without_a_transaction_waits_too => nameless;
    /// A broken amount is repaired; the receipt remembers what it said before.
    a_broken_amount_is_repaired => repaired;
    /// A swallowed call that was real becomes a conversion of its own.
    a_duplicate_that_was_real_is_booked => real;
    /// Another contract read over booked calls moves the ledger by one movement each, and back again.
    a_contract_is_read_over_booked_calls => reread;
    /// A call that is given another name takes along which goals it has met; what no amount is stated with stays as it is.
    a_renamed_call_sends_nothing_again => renamed;
    /// The rows of one call are read again in their order.
    the_rows_of_a_list_keep_their_order => rows;
    /// A server event that waited and came again is one event.
    an_event_that_waited_twice_is_one => waited_twice;
    /// A transaction that nothing is booked under is traced to the calls that wait or were refused.
    a_transaction_that_waits_is_traced => traced;
    /// Nobody's call without the token is ever money.
    a_strangers_call_is_never_booked => stranger;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn send(server: &TestServer, query: &str) -> Result<Value> {
    server.postback(query).await?.json()
}

async fn again(server: &TestServer, body: Value) -> Result<Value> {
    let reply: Reply =
        post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// `received = recorded + updated + ...`, and the ledger says what the conversions say.
async fn balanced(server: &TestServer) -> Result<()> {
    let balance = server.api("/api/v1/receipts/balance").await?;
    let line = &balance["data"][0];
    let count = |name: &str| line[name].as_u64().unwrap_or(0);
    let parts = ["recorded", "updated", "duplicate", "quarantined", "refused", "test"].map(count);
    assert_eq!(count("received"), parts.iter().sum::<u64>(), "{balance}");
    let receipts = server.api("/api/v1/receipts?limit=500").await?;
    let rows = receipts["data"].as_array().unwrap();
    assert_eq!(rows.len() as u64, count("received"), "{balance}");
    for (name, counted) in
        ["recorded", "updated", "duplicate", "quarantined", "refused", "test"].iter().zip(parts)
    {
        let listed = rows.iter().filter(|row| row["result"] == *name).count() as u64;
        assert_eq!(listed, counted, "{name}: {balance}");
    }
    for conversion in server.engine.store.list_conversions(None, 100).await? {
        let entries = server.engine.store.entries(conversion.id).await?;
        let sums = crosstally_core::ledger::Balance::of(&entries);
        assert_eq!(sums, conversion.balance);
        assert_eq!(entries.len(), usize::try_from(conversion.movements)?);
    }
    Ok(())
}

async fn one_conversion(server: &TestServer) -> Result<(String, String, i64)> {
    let found = server.engine.store.list_conversions(None, 100).await?;
    let [conversion] = found.as_slice() else { anyhow::bail!("{} conversions", found.len()) };
    let value = conversion.amounts.value.unwrap_or(0);
    Ok((conversion.status.as_str().to_owned(), conversion.id.to_string(), value))
}

fn with_statuses(map: &str) -> String {
    CONFIG.replace(
        "currency = \"USD\"\n\n[[destination]]",
        &format!("currency = \"USD\"\n{map}\n\n[[destination]]"),
    )
}

async fn mapped(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    for number in 0..3 {
        let answer =
            send(&server, &format!("click_id={click}&tid=T{number}&status=Confirmed&payout=10.00")).await?;
        assert_eq!((text(&answer, "/result"), text(&answer, "/code")), ("quarantined", "status_unmapped"));
    }
    send(&server, "tid=T9&status=Zzyzx&payout=1.00&currency=EUR").await?;
    let words = server.api("/api/v1/receipts/statuses?partner=acme").await?;
    let confirmed = &words["data"][0];
    assert_eq!(
        (text(confirmed, "/word"), text(confirmed, "/proposed")),
        ("confirmed", "approved"),
        "{words}"
    );
    assert_eq!(confirmed["receipts"], 3);
    assert_eq!(confirmed["money"], json!([{ "currency": "USD", "amount": "30.00" }]));
    assert_eq!((text(&words, "/data/1/word"), &words["data"][1]["proposed"]), ("zzyzx", &Value::Null));
    assert_eq!(words["data"][1]["money"], json!([{ "currency": "EUR", "amount": "1.00" }]));
    // The proposed line is the map that follows.
    assert_eq!(text(confirmed, "/line"), "statuses = { \"confirmed\" = \"approved\" }");
    let config = with_statuses(text(confirmed, "/line")).replace("SANDBOX", &server.sandbox.to_string());
    let plan = post_as(server.admin, "/api/v1/config/plan", &server.token, &config).await?.json()?;
    let impact = &plan["impacts"][0];
    assert_eq!((impact["rows"].as_u64(), impact["gained"].as_u64()), (Some(3), Some(3)), "{plan}");
    assert_eq!(
        (text(impact, "/money/0/confirmed"), text(impact, "/money/0/currency")),
        ("30.00", "USD"),
        "{plan}"
    );
    server.apply(&with_statuses(text(confirmed, "/line"))).await?;
    let words = server.api("/api/v1/receipts/statuses").await?;
    assert_eq!(words["data"].as_array().map(Vec::len), Some(1), "what is mapped waits no more: {words}");

    let wanted = json!({ "partner": "acme", "code": "status_unmapped" });
    let shown = again(&server, wanted.clone()).await?;
    assert_eq!(shown["data"].as_array().map(Vec::len), Some(4), "{shown}");
    assert_eq!(text(&shown, "/data/0/is/0"), "recorded");
    assert_eq!(text(&shown, "/data/0/money/0/confirmed"), "10.00");
    assert!(server.engine.store.list_conversions(None, 10).await?.is_empty(), "a look books nothing");

    let mut apply = wanted.clone();
    apply["apply"] = json!(true);
    let done = again(&server, apply.clone()).await?;
    let changed = done["data"].as_array().unwrap().iter().filter(|row| row["changed"] == true).count();
    assert_eq!(changed, 3, "{done}");
    assert_eq!(server.engine.store.list_conversions(None, 10).await?.len(), 3);
    // Everything once more changes nothing.
    let all = again(&server, json!({ "partner": "acme", "apply": true })).await?;
    assert!(all["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{all}");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 3);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn counted_once(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for query in ["tid=T1&payout=10.00", "tid=T1&payout=10.00", "tid=T2&payout=4.00", "tid=T2&payout=1.50"] {
        send(&server, &format!("{query}&status=Zzyzx")).await?;
    }
    let words = server.api("/api/v1/receipts/statuses").await?;
    assert_eq!(words["data"][0]["receipts"], 3, "{words}");
    assert_eq!(words["data"][0]["money"], json!([{ "currency": "USD", "amount": "11.50" }]));
    // Where amounts add up, each call is money of its own, and a retry is none.
    server.apply(&with_statuses("duplicates = \"add\"")).await?;
    let words = server.api("/api/v1/receipts/statuses").await?;
    assert_eq!(words["data"][0]["money"], json!([{ "currency": "USD", "amount": "15.50" }]));
    server.stop().await;
    Ok(())
}

async fn in_order(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    send(&server, &format!("click_id={click}&tid=T1&status=hold&payout=10.00")).await?;
    server.advance(1_000);
    let odd = send(&server, &format!("click_id={click}&tid=T1&status=paid%20out&payout=12.00")).await?;
    assert_eq!(text(&odd, "/code"), "status_unmapped");
    server.advance(1_000);
    let back = send(&server, &format!("click_id={click}&tid=T1&status=reversed")).await?;
    assert_eq!(text(&back, "/result"), "updated", "{back}");
    server.advance(1_000);
    let id = text(&odd, "/receipt").to_owned();
    let done =
        again(&server, json!({ "receipts": [id], "set": { "status": "approved" }, "apply": true })).await?;
    assert_eq!(text(&done, "/data/0/is/0"), "updated", "{done}");
    assert_eq!(text(&done, "/data/0/is/1"), "", "the amount moved, if not the status: {done}");
    let (status, _, value) = one_conversion(&server).await?;
    assert_eq!((status.as_str(), value), ("reversed", 1200), "the refund came after the approval");
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

/// A repaired call that others have overtaken in every respect is booked without a movement.
async fn overtaken(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    send(&server, &format!("click_id={click}&tid=T1&status=hold&payout=10.00")).await?;
    server.advance(1_000);
    let odd = send(&server, &format!("click_id={click}&tid=T1&status=in%20review&payout=11.00")).await?;
    server.advance(1_000);
    send(&server, &format!("click_id={click}&tid=T1&status=approved&payout=12.00")).await?;
    let wanted = json!({ "receipts": [text(&odd, "/receipt")], "set": { "status": "hold" }, "apply": true });
    let done = again(&server, wanted).await?;
    assert_eq!(
        (text(&done, "/data/0/is/0"), text(&done, "/data/0/is/1")),
        ("updated", "read_again"),
        "{done}"
    );
    assert_eq!(one_conversion(&server).await?.2, 1200);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn alias(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let answer = send(&server, "click_id=w8f3k2old&tid=T1&status=approved&payout=7.00").await?;
    assert_eq!((text(&answer, "/result"), text(&answer, "/code")), ("quarantined", "click_id_malformed"));
    server.advance(1_000);
    assert_eq!(server.engine.match_waiting().await?, 0);
    server.advance(5_000);
    let added = server
        .engine
        .store
        .add_aliases(vec![("w8f3k2old".into(), click.parse_click()?)], server.engine.clock.now())
        .await?;
    assert_eq!(added, 1);
    assert_eq!(server.engine.match_waiting().await?, 1);
    assert_eq!(server.engine.match_waiting().await?, 0);
    let receipt = server.api(&format!("/api/v1/receipts/{}", text(&answer, "/receipt"))).await?;
    assert_eq!(
        (text(&receipt, "/result"), text(&receipt, "/click")),
        ("recorded", click.as_str()),
        "{receipt}"
    );
    // From now on the alias is known at once.
    let more = send(&server, "click_id=w8f3k2old&tid=T2&status=approved&payout=7.00").await?;
    assert_eq!(text(&more, "/result"), "recorded");
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 2);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn nameless(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    for _ in 0..2 {
        let answer = send(&server, "click_id=w8f3k2old&status=approved&payout=7.00").await?;
        assert_eq!((text(&answer, "/result"), text(&answer, "/code")), ("quarantined", "click_id_malformed"));
    }
    server.advance(6_000);
    assert_eq!(server.engine.match_waiting().await?, 0);
    let alias = vec![("w8f3k2old".into(), click.parse_click()?)];
    assert_eq!(server.engine.store.add_aliases(alias, server.engine.clock.now()).await?, 1);
    assert_eq!(server.engine.match_waiting().await?, 2);
    assert_eq!(one_conversion(&server).await?.2, 700);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

trait ParseClick {
    fn parse_click(&self) -> Result<crosstally_core::ids::ClickId>;
}

impl ParseClick for String {
    fn parse_click(&self) -> Result<crosstally_core::ids::ClickId> {
        crosstally_core::ids::ClickId::parse_unchecked(self).map_err(|_| anyhow::anyhow!("{self}"))
    }
}

async fn repaired(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let reply = server.postback(&format!("click_id={click}&tid=T1&status=approved&payout=12,50")).await?;
    assert_eq!(reply.status, 400);
    let problem = reply.json()?;
    assert_eq!(text(&problem, "/code"), "amount_not_a_number");
    let id = text(&problem, "/receipt").to_owned();
    let repair = json!({ "receipts": [id], "set": { "payout": "12.50" }, "apply": true });
    let done = again(&server, repair.clone()).await?;
    assert_eq!(text(&done, "/data/0/is/0"), "recorded", "{done}");
    assert_eq!(one_conversion(&server).await?.2, 1250);
    // The repair stays when the receipt is read again without one.
    let later = again(&server, json!({ "receipts": [id], "apply": true })).await?;
    assert_eq!(later["data"][0]["changed"], false, "{later}");
    let revisions = server.api(&format!("/api/v1/receipts/{id}/revisions")).await?;
    assert_eq!(text(&revisions, "/data/0/was/code"), "amount_not_a_number", "{revisions}");
    assert_eq!(text(&revisions, "/data/0/repair/set/payout"), "12.50");
    assert_eq!(text(&revisions, "/data/0/cause"), "repair");
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn real(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let query = format!("click_id={click}&status=approved&payout=5.00");
    send(&server, &query).await?;
    let swallowed = send(&server, &query).await?;
    assert_eq!(text(&swallowed, "/result"), "duplicate");
    let id = text(&swallowed, "/receipt").to_owned();
    let repair = json!({ "receipts": [id], "real": true, "apply": true });
    let done = again(&server, repair.clone()).await?;
    assert_eq!(text(&done, "/data/0/is/0"), "recorded", "{done}");
    let twice = again(&server, repair).await?;
    assert_eq!(text(&twice, "/data/0/is/0"), "recorded");
    let conversions = server.engine.store.list_conversions(None, 10).await?;
    assert_eq!(conversions.len(), 2, "{twice}");
    assert_eq!(conversions.iter().map(|conversion| conversion.balance.confirmed).sum::<i64>(), 1000);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn reread(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    for number in 0..4 {
        send(&server, &format!("click_id={click}&tid=T{number}&status=approved&payout=1.00&revenue=9.00"))
            .await?;
        server.advance(10);
    }
    server.apply(&with_statuses("value = \"revenue\"")).await?;
    let done = again(&server, json!({ "partner": "acme", "apply": true })).await?;
    assert_eq!(text(&done, "/data/0/money/0/confirmed"), "8.00", "{done}");
    let sum = |found: Vec<crosstally_core::conversion::Conversion>| {
        found.iter().map(|conversion| conversion.balance.confirmed).sum::<i64>()
    };
    assert_eq!(sum(server.engine.store.list_conversions(None, 10).await?), 3600);
    server.apply(CONFIG).await?;
    again(&server, json!({ "partner": "acme", "apply": true })).await?;
    assert_eq!(sum(server.engine.store.list_conversions(None, 10).await?), 400);
    balanced(&server).await?;
    server.stop().await;
    Ok(())
}

async fn stranger(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with_statuses("auth = { token = { env = \"ACME_TOKEN\" } }")).await?;
    let click = server.click("fbclid=A").await?;
    let reply =
        server.postback(&format!("click_id={click}&tid=T1&status=approved&payout=5.00&token=wrong")).await?;
    assert_eq!(reply.status, 401);
    let id = text(&reply.json()?, "/receipt").to_owned();
    // Turned away before anybody asked for the token: a compressed body, parts that cannot be read.
    for (name, value) in [("content-encoding", "gzip"), ("content-type", "multipart/form-data; boundary=x")] {
        let request = http::Request::post(format!(
            "/postback/acme?click_id={click}&tid=T2&status=approved&payout=9.00"
        ))
        .header(name, value)
        .body(http_body_util::Full::new(bytes::Bytes::from_static(b"x")))?;
        let reply = crosstally_testkit::client::send(server.tracking, request).await?;
        assert!(matches!(reply.status, 400 | 415), "{}", reply.text());
    }
    server.apply(CONFIG).await?;
    let done = again(&server, json!({ "receipts": [id], "apply": true })).await?;
    assert!(text(&done, "/data/0/problem").contains("never booked"), "{done}");
    let all =
        again(&server, json!({ "partner": "acme", "set": { "payout": "9.00" }, "apply": true })).await?;
    let rows = all["data"].as_array().unwrap();
    assert!(rows.len() == 3 && rows.iter().all(|row| row["changed"] == false), "{all}");
    assert!(server.engine.store.list_conversions(None, 10).await?.is_empty());
    server.stop().await;
    Ok(())
}

async fn renamed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    let first = send(&server, &format!("click_id={click}&tid=T1&status=approved&payout=10.00")).await?;
    server.deliver().await?;
    let id = text(&first, "/receipt").to_owned();
    // It was not swallowed: there is nothing to make real.
    let real = again(&server, json!({ "receipts": [id.clone()], "real": true, "apply": true })).await?;
    assert_eq!(
        (real["data"][0]["changed"].as_bool(), real["data"][0]["problem"].is_string()),
        (Some(false), true)
    );
    let moved = json!({ "receipts": [id], "set": { "transaction_id": "T2" }, "apply": true });
    assert_eq!(again(&server, moved).await?["data"][0]["changed"], true);
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1, "the purchase was sent before");
    let of_new = server.engine.store.conversions_of_transaction("acme".into(), "T2".into(), 2).await?;
    assert_eq!((of_new.len(), of_new[0].goals_met.len(), of_new[0].balance.confirmed), (1, 1, 1000));
    let trace = server.api("/api/v1/trace/T2").await?;
    let found =
        (&trace["conversions"][0]["events"], text(&trace, "/conversions/0/deliveries/0/delivery/state"));
    assert_eq!(found.1, "delivered", "what was sent for it is told with it: {:#}", found.0);
    // A status without amounts follows whatever currency the conversion has.
    for query in
        ["tid=E1&status=lead&payout=10&currency=EUR", "tid=E1&status=approved", "tid=E1&status=reversed"]
    {
        server.advance(1_000);
        send(&server, query).await?;
    }
    for _ in 0..2 {
        let all = again(&server, json!({ "partner": "acme", "apply": true })).await?;
        assert!(all["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{all:#}");
    }
    server.stop().await;
    Ok(())
}

async fn waited_twice(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with_statuses("duplicates = \"add\"")).await?;
    let click = server.click("fbclid=A").await?;
    let event = json!({
        "event": "Purchase", "transaction_id": "W1", "value": "21.00", "currency": "USD", "status": "approved",
        "click_id": "w8f3k2old"
    });
    for _ in 0..2 {
        let answer =
            post_as(server.tracking, "/v1/events?partner=acme", &server.token, &event.to_string()).await?;
        assert_eq!(text(&answer.json()?, "/result"), "quarantined");
        server.advance(2_000);
    }
    let alias = ("w8f3k2old".to_owned(), click.parse_click()?);
    server.engine.store.add_aliases(vec![alias], server.engine.clock.now()).await?;
    server.advance(60_000);
    server.engine.match_waiting().await?;
    let booked = server.engine.store.conversions_of_transaction("acme".into(), "W1".into(), 2).await?;
    assert_eq!((booked.len(), booked[0].balance.confirmed), (1, 2100), "the second one is a retry");
    server.stop().await;
    Ok(())
}

async fn traced(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let waits = send(&server, "tid=order-7&payout=5&status=sleeping").await?;
    assert_eq!(text(&waits, "/result"), "quarantined", "{waits}");
    let refused = send(&server, "tid=order-8&payout=five").await?;
    assert_eq!(text(&refused, "/result"), "refused", "{refused}");
    for (transaction, call) in [("order-7", &waits), ("order-8", &refused)] {
        let trace = server.api(&format!("/api/v1/trace/{transaction}")).await?;
        assert_eq!(text(&trace, "/kind"), "transaction");
        assert_eq!(trace["receipts"].as_array().unwrap().len(), 1, "{trace}");
        assert_eq!(text(&trace, "/receipts/0/id"), text(call, "/receipt"), "{trace}");
    }
    let path = "/api/v1/trace/order-9";
    assert_eq!(get_as(server.admin, path, &server.token).await?.status, 404);
    server.stop().await;
    Ok(())
}

async fn rows(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for number in 0..12 {
        let row = |cents: u32| json!({ "tid": format!("N{number}"), "status": "approved", "payout": format!("{cents}.00") });
        let list = json!([row(10), row(20), row(30)]).to_string();
        let answer = post_as(server.tracking, "/postback/acme", "", &list).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let all = again(&server, json!({ "partner": "acme", "apply": true })).await?;
    assert!(all["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{all:#}");
    let conversions = server.engine.store.list_conversions(None, 50).await?;
    assert_eq!(conversions.len(), 12);
    assert!(conversions.iter().all(|conversion| conversion.balance.confirmed == 3_000), "{conversions:#?}");
    server.stop().await;
    Ok(())
}
