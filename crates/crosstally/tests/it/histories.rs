//! Random histories of a partner's calls: retried, reordered, unreadable at first, repaired, read again. Whatever happened,
//! the balance holds, the ledger sums equal those of a model that knows nothing of the program, and reading everything
//! once more changes nothing.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use crosstally_core::ledger::Status;
use crosstally_testkit::client::post_as;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::{Value, json};

on_both! {
    /// Many short histories over a few conversions each.
    random_histories_equal_the_model => histories;
    /// The sheet receiver and its listing.
    the_sheet_receiver_lists_what_it_got => sheet;
}

/// A small generator, so that a failing history can be told by its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A call as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) transaction: u64,
    /// The word as sent.
    pub(crate) word: &'static str,
    /// The status it means once everything is mapped and repaired.
    pub(crate) means: &'static str,
    pub(crate) cents: Option<i64>,
    /// Where its conversion stood when it was answered as a repeat.
    pub(crate) over: Option<Status>,
}

impl Call {
    pub(crate) fn query(&self, click: &str) -> String {
        let payout =
            self.cents.map(|cents| format!("&payout={}.{:02}", cents / 100, cents % 100)).unwrap_or_default();
        format!("click_id={click}&tid=T{}&status={}{payout}", self.transaction, self.word)
    }
}

/// What a list of calls in their order comes to: status and cents, or nothing if no call told of a sale. Written from the
/// rules of the product, not from its code.
pub(crate) fn model(calls: &[&Call]) -> Option<(&'static str, i64)> {
    let mut state: Option<(&'static str, Option<i64>)> = None;
    let mut seen: Vec<String> = Vec::new();
    // Refunds that came before there was anything to pay back.
    let mut ahead: Vec<&Call> = Vec::new();
    for call in calls {
        if state.is_none() && call.means == "reversed" {
            ahead.push(call);
            continue;
        }
        // Nothing was paid back yet when this one was taken for a repeat of the sale.
        if !ahead.is_empty() && call.over == Some(Status::Approved) && is_repeat(call, state, &seen) {
            continue;
        }
        follow_up(&mut ahead, &mut state, &mut seen);
        one(call, &mut state, &mut seen);
    }
    follow_up(&mut ahead, &mut state, &mut seen);
    state.map(|(status, cents)| (status, cents.unwrap_or(0)))
}

/// Pays back what was to be paid back before there was a sale, once there is one.
fn follow_up(
    ahead: &mut Vec<&Call>,
    state: &mut Option<(&'static str, Option<i64>)>,
    seen: &mut Vec<String>,
) {
    if state.is_some_and(|(status, _)| status == "approved") {
        for refund in ahead.drain(..) {
            one(refund, state, seen);
        }
    }
}

/// The same words again are a retry as long as they tell nothing new; after a refund they are the late ones of its sale.
fn is_repeat(call: &Call, state: Option<(&'static str, Option<i64>)>, seen: &[String]) -> bool {
    let Some((old, had)) = state else { return false };
    let is_known = seen.contains(&call.query("")) && (call.means == old || old == "reversed");
    is_known || (call.means, call.cents.or(had)) == (old, had)
}

fn one(call: &Call, state: &mut Option<(&'static str, Option<i64>)>, seen: &mut Vec<String>) {
    let (status, cents) = (call.means, call.cents);
    let said = call.query("");
    let Some((old, had)) = *state else {
        seen.push(said);
        *state = Some((status, cents));
        return;
    };
    let now = cents.or(had);
    let forbidden = matches!(
        (old, status),
        ("hold", "lead")
            | ("approved" | "rejected" | "reversed", "lead" | "hold")
            | ("reversed", "rejected")
            | ("rejected", "reversed")
    );
    if !is_repeat(call, *state, seen) && !forbidden {
        seen.push(said);
        *state = Some((status, now));
    }
}

pub(crate) const WORDS: [(&str, &str); 8] = [
    ("lead", "lead"),
    ("hold", "hold"),
    ("approved", "approved"),
    ("approved", "approved"),
    ("rejected", "rejected"),
    ("reversed", "reversed"),
    // Not in the map until the end.
    ("confirmed", "approved"),
    ("refused", "rejected"),
];

async fn again(server: &TestServer, body: Value) -> Result<Value> {
    let reply = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &body.to_string()).await?;
    anyhow::ensure!(reply.status == 200, "{}", reply.text());
    reply.json()
}

/// Reads everything again; what changed.
async fn read_all(server: &TestServer) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = again(server, json!({ "partner": "acme", "apply": true, "limit": 100, "cursor": cursor }))
            .await?;
        let rows = page["data"].as_array().cloned().unwrap_or_default();
        changed.extend(rows.iter().filter(|row| row["changed"] == true).map(ToString::to_string));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return Ok(changed);
        }
    }
}

async fn histories(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let rounds = if kind == Kind::Sqlite { 60 } else { 12 };
    let mut calls: Vec<Call> = Vec::new();
    let click = server.click("fbclid=A").await?;
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let mut own: Vec<Call> = Vec::new();
        // Short ones, and long ones in which calls overtake each other again and again.
        let length = dice.roll(if seed % 4 == 0 { 70 } else { 14 }) + 4;
        for _ in 0..length {
            // A retry of something sent before, or something new.
            let call = match own.get(usize::try_from(dice.roll(4 * (own.len() as u64 + 1)))?) {
                Some(before) => Call { over: None, ..before.clone() },
                None => {
                    let (word, means) = WORDS[usize::try_from(dice.roll(8))?];
                    let cents = (dice.roll(3) > 0).then(|| i64::try_from(dice.roll(5)).unwrap() * 250 + 100);
                    Call { transaction: seed * 10 + dice.roll(3), word, means, cents, over: None }
                }
            };
            let reply = server.postback(&call.query(&click)).await?;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let over = match reply.json()?["result"].as_str() {
                Some("duplicate") => status_of(&server, call.transaction).await?,
                _ => None,
            };
            own.push(Call { over, ..call });
            server.advance(i64::try_from(dice.roll(5_000))? + 1);
            if dice.roll(3) == 0 {
                server.engine.match_waiting().await?;
            }
        }
        calls.extend(own);
    }
    // Some are repaired one by one, before the map learns the words.
    let waiting = server.api("/api/v1/receipts?limit=500&partner=acme").await?;
    for row in
        waiting["data"].as_array().unwrap().iter().filter(|row| row["code"] == "status_unmapped").take(7)
    {
        let means =
            if row["read"]["status_word"] == "confirmed" || row["detail"].to_string().contains("confirmed") {
                "approved"
            } else {
                "rejected"
            };
        again(&server, json!({ "receipts": [row["id"]], "set": { "status": means }, "apply": true })).await?;
    }
    let map = "currency = \"USD\"\nstatuses = { confirmed = \"approved\", refused = \"rejected\" }\n\n[[destination]]";
    server.apply(&CONFIG.replace("currency = \"USD\"\n\n[[destination]]", map)).await?;
    assert!(!read_all(&server).await?.is_empty());
    let more = read_all(&server).await?;
    assert!(more.is_empty(), "reading everything once more changes nothing: {more:#?}");
    compare(&server, &calls).await?;
    server.stop().await;
    Ok(())
}

async fn status_of(server: &TestServer, transaction: u64) -> Result<Option<Status>> {
    let name = format!("T{transaction}");
    let found = server.engine.store.conversions_of_transaction("acme".into(), name, 1).await?;
    Ok(found.first().map(|one| one.status))
}

async fn compare(server: &TestServer, calls: &[Call]) -> Result<()> {
    let mut of_transaction: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        of_transaction.entry(call.transaction).or_default().push(call);
    }
    let mut known = BTreeMap::new();
    for conversion in server.engine.store.list_conversions(None, 500).await? {
        let entries = server.engine.store.entries(conversion.id).await?;
        assert_eq!(crosstally_core::ledger::Balance::of(&entries), conversion.balance);
        known.insert(conversion.transaction_id.clone().unwrap_or_default(), conversion);
    }
    for (transaction, calls) in of_transaction {
        let name = format!("T{transaction}");
        let Some((status, cents)) = model(&calls) else {
            assert!(!known.contains_key(&name), "{name}: {calls:#?}");
            continue;
        };
        let conversion = known.remove(&name).with_context(|| name)?;
        let is = (conversion.status.as_str(), conversion.amounts.value.unwrap_or(0));
        assert_eq!(is, (status, cents), "T{transaction}: {calls:#?}");
        assert_eq!(conversion.balance.confirmed, if status == "approved" { cents } else { 0 });
    }
    assert!(known.is_empty(), "{known:#?}");
    let balance = server.api("/api/v1/receipts/balance").await?;
    let line = &balance["data"][0];
    let count = |name: &str| line[name].as_u64().unwrap_or(0);
    let parts = ["recorded", "updated", "duplicate", "quarantined", "refused", "test"].map(count);
    assert_eq!(
        (count("received"), parts.iter().sum::<u64>()),
        (calls.len() as u64, calls.len() as u64),
        "{balance}"
    );
    Ok(())
}

async fn sheet(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let send = async |query: &str| {
        crosstally_testkit::client::get(server.tracking, &format!("/meta/postback/conversion?{query}")).await
    };
    for (number, campaign) in [(1, "c1"), (2, "c1"), (3, "c2"), (1, "c1")] {
        let query = format!(
            "sheet_id=acme&transaction_id=S{number}&payout={number}.50&currency=USD&campaign_id={campaign}&adset_id=s&ad_id=a{number}"
        );
        let reply = send(&query).await?;
        assert_eq!(reply.status, 200, "{}", reply.text());
        server.advance(1_000);
    }
    assert_eq!(send("transaction_id=S9&payout=1").await?.status, 404);
    assert_eq!(send("sheet_id=nobody&transaction_id=S9&payout=1").await?.status, 404);
    server.postback("tid=other&payout=1").await?;
    let all = server.api("/api/v1/postback/conversions?sheet_id=acme").await?;
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap();
        rows.iter().map(|row| row["transaction_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&all), ["S1", "S2", "S3"], "{all}");
    assert_eq!((&all["data"][0]["payout"], &all["data"][0]["ad_id"]), (&json!("1.50"), &json!("a1")));
    assert_eq!(ids(&server.api("/api/v1/postback/conversions?campaign_id=c2").await?), ["S3"]);
    assert_eq!(ids(&server.api("/api/v1/postback/conversions?ad_id=a2&adset_id=s").await?), ["S2"]);
    let first = server.api("/api/v1/postback/conversions?limit=2").await?;
    assert_eq!(ids(&first), ["S1", "S2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        ids(&server.api(&format!("/api/v1/postback/conversions?limit=2&cursor={cursor}")).await?),
        ["S3"]
    );
    let from = all["data"][1]["received_at"].as_str().unwrap();
    assert_eq!(ids(&server.api(&format!("/api/v1/postback/conversions?from={from}")).await?), ["S2", "S3"]);
    server.stop().await;
    Ok(())
}
