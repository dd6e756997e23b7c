//! What waits is booked when what it waits for has come: in the order in which it came, whoever else waits, and a refund
//! after its sale.

use anyhow::Result;
use crosstally_core::ids::ClickId;
use crosstally_testkit::client::post_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// A lead that has waited long and an approval that came a second ago: both goals have their events.
    what_waits_for_one_click_is_booked_in_its_order => in_order;
    /// A call by an alias comes after those that wait for it, also if nobody has looked after them yet.
    a_call_by_an_alias_comes_after_those_that_wait_for_it => overtaken;
    /// Hundreds of calls with click ids that nobody knows do not delay the one whose click has come.
    a_flood_of_unknown_clicks_delays_nobody => flood;
    /// A refund that overtook its sale waits, is booked after it, and is nothing without it.
    a_refund_ahead_of_its_sale_is_booked_after_it => ahead;
    /// Within a day means: of the first call's coming, also if that was booked later.
    the_day_of_a_retry_begins_when_the_call_came => window;
    /// Calls of one name at the same moment: read again, they lead to where they have led.
    calls_at_once_keep_the_order_in_which_they_were_booked => at_once;
    /// Refunds that come to wait for their sale while many look after them at once.
    those_who_look_at_once_end_no_wait_of_another => looked_at_at_once;
    /// Another contract, another name: the refund that waits is found under it, whoever reads what again.
    a_refund_waits_under_the_name_of_the_present_contract => renamed;
    /// A sale that has left its name is no sale of it any more.
    a_refund_waits_for_a_sale_not_for_one_that_has_left => left;
}

const LEAD: &str = r#"
[[goal]]
slug = "lead"
role = "learning_signal"
when = "status == 'lead'"
event_name = "Lead"
send_to = ["meta-main"]
"#;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub(crate) fn with(terms: &str) -> String {
    CONFIG.replace(
        "currency = \"USD\"\n\n[[destination]]",
        &format!("currency = \"USD\"\n{terms}\n\n[[destination]]"),
    )
}

pub(crate) async fn send(server: &TestServer, query: &str, result: &str, code: &str) -> Result<Value> {
    let answer = server.postback(query).await?.json()?;
    assert_eq!((text(&answer, "/result"), text(&answer, "/code")), (result, code), "{query}: {answer}");
    Ok(answer)
}

pub(crate) async fn look(server: &TestServer, times: usize) -> Result<usize> {
    let mut matched = 0;
    for _ in 0..times {
        server.advance(1_000);
        matched += server.engine.match_waiting().await?;
    }
    Ok(matched)
}

async fn sent(server: &TestServer) -> Result<Vec<String>> {
    server.deliver().await?;
    let mut names: Vec<String> =
        server.accepted().await?.iter().map(|one| text(one, "/event/event_name").to_owned()).collect();
    names.sort();
    Ok(names)
}

/// Reads everything again, which must change nothing.
pub(crate) async fn nothing_changes(server: &TestServer) -> Result<()> {
    let mut cursor = Value::Null;
    loop {
        let wanted = json!({ "partner": "acme", "apply": true, "cursor": cursor });
        let page =
            post_as(server.admin, "/api/v1/receipts/replay", &server.token, &wanted.to_string()).await?;
        let page = page.json()?;
        let rows = page["data"].as_array().cloned().unwrap_or_default();
        let changed: Vec<&Value> = rows.iter().filter(|row| row["changed"] == true).collect();
        assert!(!rows.is_empty() && changed.is_empty(), "{changed:#?}");
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return Ok(());
        }
    }
}

pub(crate) async fn value_of(server: &TestServer, transaction: &str) -> Result<Option<(String, i64)>> {
    let found = server.engine.store.conversions_of_transaction("acme".into(), transaction.into(), 2).await?;
    assert!(found.len() < 2, "{found:#?}");
    Ok(found.first().map(|one| (one.status.as_str().to_owned(), one.balance.confirmed)))
}

fn parsed(click: &str) -> ClickId {
    ClickId::parse_unchecked(click).unwrap()
}

async fn alias(server: &TestServer, alias: &str, click: &str) -> Result<()> {
    let pair = (alias.to_owned(), parsed(click));
    server.engine.store.add_aliases(vec![pair], server.engine.clock.now()).await?;
    Ok(())
}

async fn in_order(kind: Kind) -> Result<()> {
    let (server, elsewhere) = (TestServer::ready(kind).await?, TestServer::ready(Kind::Sqlite).await?);
    server.apply(&format!("{CONFIG}{LEAD}")).await?;
    // A click that one server has made and the other one has not stored yet.
    let click = elsewhere.click("fbclid=A").await?;
    send(&server, &format!("click_id={click}&tid=T1&status=lead"), "quarantined", "click_unknown").await?;
    assert_eq!(look(&server, 15).await?, 0);
    let approved = format!("click_id={click}&tid=T1&status=approved&payout=10");
    send(&server, &approved, "quarantined", "click_unknown").await?;
    assert_eq!(look(&server, 1).await?, 0);
    let late = elsewhere.engine.store.click(parsed(&click)).await?.unwrap();
    server.engine.store.append_clicks(vec![late]).await?;
    assert_eq!(
        server.engine.match_waiting().await?,
        2,
        "a click that comes late is known to be there at once"
    );
    assert_eq!(sent(&server).await?, ["Lead", "Purchase"]);
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 1000)));
    nothing_changes(&server).await?;
    server.stop().await;
    elsewhere.stop().await;
    Ok(())
}

async fn overtaken(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&format!("{CONFIG}{LEAD}")).await?;
    let click = server.click("fbclid=A").await?;
    send(&server, "click_id=w8f3k2old&tid=T1&status=lead", "quarantined", "click_id_malformed").await?;
    server.advance(60_000);
    alias(&server, "w8f3k2old", &click).await?;
    send(&server, "click_id=w8f3k2old&tid=T1&status=approved&payout=10", "updated", "").await?;
    assert_eq!(sent(&server).await?, ["Lead", "Purchase"]);
    assert_eq!(look(&server, 1).await?, 0, "it was booked before");
    server.stop().await;
    Ok(())
}

async fn flood(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    for number in 0..1_100 {
        let query = format!("click_id=nobodys-{number}&tid=F{number}&status=approved&payout=1");
        send(&server, &query, "quarantined", "click_id_malformed").await?;
    }
    send(&server, "click_id=w8f3k2old&tid=T1&status=approved&payout=10", "quarantined", "click_id_malformed")
        .await?;
    alias(&server, "w8f3k2old", &click).await?;
    assert_eq!(server.engine.match_waiting().await?, 1);
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 1000)));
    server.stop().await;
    Ok(())
}

async fn ahead(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let refund = send(&server, "tid=T1&status=reversed&payout=10", "quarantined", "sale_unknown").await?;
    server.advance(1_000);
    send(&server, "tid=T2&status=reversed", "quarantined", "sale_unknown").await?;
    send(&server, "tid=T3&status=reversed", "quarantined", "sale_unknown").await?;
    assert_eq!(look(&server, 40).await?, 0);
    assert!(
        server.engine.store.list_conversions(None, 10).await?.is_empty(),
        "nothing is taken back of nothing"
    );
    // The sale wakes it, however long the refund has waited.
    send(&server, "tid=T1&status=approved&payout=10", "recorded", "no_click_id").await?;
    send(&server, "tid=T2&status=hold&payout=7", "recorded", "no_click_id").await?;
    assert_eq!(look(&server, 1).await?, 1);
    assert_eq!(value_of(&server, "T1").await?, Some(("reversed".into(), 0)));
    assert_eq!(value_of(&server, "T2").await?, Some(("hold".into(), 0)), "what is open is no sale yet");
    let receipt = server.api(&format!("/api/v1/receipts/{}", text(&refund, "/receipt"))).await?;
    assert_eq!((text(&receipt, "/result"), &receipt["code"]), ("updated", &Value::Null), "{receipt}");
    send(&server, "tid=T2&status=approved&payout=7", "updated", "").await?;
    assert_eq!(look(&server, 1).await?, 1);
    assert_eq!(value_of(&server, "T2").await?, Some(("reversed".into(), 0)));
    nothing_changes(&server).await?;
    // The one without a sale waits on, and is not lost when it waits no more.
    server.advance(40 * 86_400_000);
    assert_eq!(look(&server, 3).await?, 0);
    let receipts = server.api("/api/v1/receipts?limit=500").await?;
    let kept = receipts["data"].as_array().unwrap().iter().filter(|row| row["code"] == "sale_unknown");
    assert_eq!(kept.count(), 1, "{receipts:#}");
    server.stop().await;
    Ok(())
}

async fn window(kind: Kind) -> Result<()> {
    const HOUR: i64 = 3_600_000;
    let server = TestServer::ready(kind).await?;
    server.apply(&with("duplicates = \"add\"")).await?;
    let click = server.click("fbclid=A").await?;
    let call = "click_id=w8f3k2old&tid=T1&status=approved&payout=5";
    send(&server, call, "quarantined", "click_id_malformed").await?;
    server.advance(20 * HOUR);
    alias(&server, "w8f3k2old", &click).await?;
    assert_eq!(look(&server, 1).await?, 1);
    server.advance(3 * HOUR);
    send(&server, call, "duplicate", "same_content").await?;
    nothing_changes(&server).await?;
    server.advance(7 * HOUR);
    send(&server, call, "updated", "").await?;
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 1000)));
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn at_once(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        for payout in [1, 2, 3, 2] {
            let (address, path) =
                (server.tracking, format!("/postback/acme?tid=S{number}&status=approved&payout={payout}"));
            calls.spawn(async move { crosstally_testkit::client::get(address, &path).await });
        }
    }
    while let Some(reply) = calls.join_next().await {
        assert_eq!(reply??.status, 200);
    }
    let before = server.api("/api/v1/ledger").await?;
    nothing_changes(&server).await?;
    assert_eq!(server.api("/api/v1/ledger").await?["data"], before["data"]);
    server.stop().await;
    Ok(())
}

async fn looked_at_at_once(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=A").await?;
    for number in 0..40 {
        let refund = format!("click_id=w8f3k2old&tid=S{number}&status=reversed");
        send(&server, &refund, "quarantined", "click_id_malformed").await?;
    }
    alias(&server, "w8f3k2old", &click).await?;
    let looks = (0..4).map(|_| server.engine.match_waiting());
    for looked in futures_util::future::join_all(looks).await {
        looked?;
    }
    for number in 0..40 {
        let sale = format!("tid=S{number}&status=approved&payout=10");
        send(&server, &sale, "recorded", "no_click_id").await?;
    }
    look(&server, 3).await?;
    for number in 0..40 {
        let name = format!("S{number}");
        assert_eq!(value_of(&server, &name).await?, Some(("reversed".into(), 0)), "{name}");
    }
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn renamed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with("duplicates = \"record\"\ntransaction_scope = \"click\"")).await?;
    let click = server.click("fbclid=A").await?;
    for name in ["T1", "T2"] {
        let refund = format!("click_id={click}&tid={name}&status=reversed&payout=3");
        send(&server, &refund, "quarantined", "sale_unknown").await?;
        server.advance(1_000);
    }
    send(&server, &format!("click_id={click}&tid=T1&status=approved&payout=10"), "recorded", "").await?;
    server.apply(CONFIG).await?;
    assert_eq!(look(&server, 1).await?, 0);
    // Its sale comes under the new name.
    send(&server, "tid=T2&status=approved&payout=10", "recorded", "no_click_id").await?;
    assert_eq!(look(&server, 1).await?, 1);
    assert_eq!(value_of(&server, "T2").await?, Some(("reversed".into(), 0)));
    // Its sale is read again, and comes under the new name by that.
    assert_eq!(value_of(&server, "T1").await?, Some(("approved".into(), 1000)));
    let all = json!({ "partner": "acme", "apply": true });
    post_as(server.admin, "/api/v1/receipts/replay", &server.token, &all.to_string()).await?;
    look(&server, 2).await?;
    let found = server.engine.store.conversions_of_transaction("acme".into(), "T1".into(), 5).await?;
    assert!(found.iter().all(|one| one.balance.confirmed == 0), "{found:#?}");
    assert!(found.iter().any(|one| one.status.as_str() == "reversed"), "{found:#?}");
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}

async fn left(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let sale = send(&server, "tid=T1&status=approved&payout=10", "recorded", "no_click_id").await?;
    let moved = json!({ "receipts": [sale["receipt"]], "set": { "transaction_id": "T2" }, "apply": true });
    let moved =
        post_as(server.admin, "/api/v1/receipts/replay", &server.token, &moved.to_string()).await?.json()?;
    assert_eq!(moved["data"][0]["changed"], true, "{moved}");
    server.advance(1_000);
    send(&server, "tid=T1&status=reversed", "quarantined", "sale_unknown").await?;
    assert_eq!(look(&server, 4).await?, 0);
    send(&server, "tid=T1&status=approved&payout=20", "recorded", "no_click_id").await?;
    assert_eq!(look(&server, 1).await?, 1);
    let found = server.engine.store.conversions_of_transaction("acme".into(), "T1".into(), 5).await?;
    assert!(found.iter().all(|one| one.balance.confirmed == 0), "{found:#?}");
    nothing_changes(&server).await?;
    server.stop().await;
    Ok(())
}
