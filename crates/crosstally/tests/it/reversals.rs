//! Reversals: what waits is withdrawn, what has arrived is adjusted where that can be told, and else listed as over-stated.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::ledger::printed;

on_both! {
    /// A partner and Google Analytics are told once; Meta is not called again and stands as over-stated.
    a_reversal_reaches_those_that_can_take_it => reaches;
    /// Within the goal's delay nothing leaves, and nothing is adjusted.
    what_waits_is_withdrawn => withdrawn;
    /// Withdrawn and then approved again, it is told after all, and once.
    what_stands_again_is_sent_after_all => restored;
    /// A rejection whose call had no answer is not told after the approval that came later.
    the_last_word_is_told_last => in_order;
    /// What is left of a sale is read from the amount that was told, whatever the goal says by then.
    another_goal_changes_no_amount_that_was_told => same_amount;
    /// An adjustment waits for its event, and is not made if that never arrives.
    what_never_arrived_is_not_adjusted => never_arrived;
    /// A part that is paid back restates a conversion at Google Ads.
    a_part_paid_back_is_a_restatement => restated;
    /// A random history: the sums over all campaigns and currencies are those of a model.
    what_is_over_stated_is_what_a_model_says => model;
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

pub(super) fn rows(list: &Value) -> Vec<Value> {
    list["data"].as_array().cloned().unwrap_or_default()
}

/// The usual configuration under a contract whose refunds state a part, with destinations besides.
pub(super) fn config(more: &str, send_to: &str, delay: &str) -> String {
    CONFIG
        .replace(
            "currency = \"USD\"\n\n[[destination]]",
            "currency = \"USD\"\nreversal = \"amount\"\n\n[[destination]]",
        )
        .replace("send_to = [\"meta-main\"]", &format!("send_to = [{send_to}]\ndelay = \"{delay}\""))
        + more
}

const GA4: &str = r#"
[[destination]]
slug = "analytics"
kind = "ga4"
measurement_id = "G-ABC123"
api_secret = { env = "META_TOKEN" }
without_client_id = "derive"
endpoint = "http://SANDBOX"
allow_private = true
"#;

pub(super) async fn call(server: &TestServer, query: &str) -> Result<()> {
    let reply = server.postback(query).await?;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    Ok(())
}

/// Every delivery as destination, state and code, in order.
pub(super) async fn deliveries(server: &TestServer) -> Result<Vec<String>> {
    let mut found: Vec<String> = rows(&server.api("/api/v1/deliveries?limit=500").await?)
        .iter()
        .map(|row| format!("{} {} {}", text(row, "/destination"), text(row, "/state"), text(row, "/code")))
        .collect();
    found.sort();
    Ok(found)
}

/// What was sent in every attempt to a destination, oldest first.
pub(super) async fn sent(server: &TestServer, destination: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut listed = rows(&server.api("/api/v1/deliveries?limit=500").await?);
    listed.reverse();
    for row in listed.iter().filter(|row| text(row, "/destination") == destination) {
        let path = format!("/api/v1/deliveries/{}/attempts", text(row, "/id"));
        for attempt in rows(&server.api(&path).await?) {
            all.push(
                serde_json::from_str(text(&attempt, "/payload")).unwrap_or_else(|_| attempt["url"].clone()),
            );
        }
    }
    Ok(all)
}

async fn reaches(kind: Kind) -> Result<()> {
    let partner = TestServer::ready(kind).await?;
    let server = TestServer::start(kind).await?;
    let network = format!(
        r#"
[[destination]]
slug = "network"
kind = "postback"
url = "http://{}/postback/acme?tid={{transaction_id}}&status={{status}}&payout={{payout}}&currency={{currency}}"
success_body_contains = "ed"
allow_private = true
"#,
        partner.tracking
    );
    server
        .apply(&config(&format!("{GA4}{network}"), "\"meta-main\", \"analytics\", \"network\"", "0s"))
        .await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=R1&payout=12.34")).await?;
    server.deliver().await?;
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    // Told twice by the network: one reversal.
    for n in 0..2 {
        server.advance(1_000);
        call(&server, &format!("tid=R1&status=reversed&n={n}")).await?;
    }
    for _ in 0..3 {
        server.deliver().await?;
        server.advance(61_000);
    }
    assert_eq!(
        deliveries(&server).await?,
        [
            "analytics delivered accepted_unverified",
            "analytics delivered accepted_unverified",
            "meta-main delivered delivered",
            "network delivered delivered",
            "network delivered delivered",
        ]
    );
    let told = sent(&server, "analytics").await?;
    assert_eq!((text(&told[0], "/events/0/name"), text(&told[1], "/events/0/name")), ("purchase", "refund"));
    assert_eq!(told[1]["events"][0]["params"]["value"].to_string(), "12.34");
    assert_eq!(
        told[1]["events"][0]["params"]["transaction_id"],
        told[0]["events"][0]["params"]["transaction_id"]
    );
    let theirs = rows(&partner.api("/api/v1/conversions").await?);
    assert_eq!((theirs.len(), text(&theirs[0], "/status")), (1, "reversed"), "{theirs:?}");
    assert_eq!(server.accepted().await?.iter().filter(|row| row["platform"] == json!("meta")).count(), 1);
    let over = rows(&server.api("/api/v1/overstated").await?);
    let expected = json!({"campaign": "summer", "destination": "meta-main", "currency": "USD", "amount": "12.34",
        "minor": 1234, "deliveries": 1});
    assert_eq!(over, [expected]);
    let said = printed(&server, &["deliveries", "overstated"])?;
    assert!(said.contains("meta-main") && said.contains("12.34 USD"), "{said}");
    let trace = printed(&server, &["trace", "R1"])?;
    assert!(trace.contains("taken back 12.34, left 0.00, the sale is reversed"), "{trace}");
    // It stands again: nothing is over-stated any more, and the partner hears of it. Within a day it would take the very
    // same call for a retry.
    partner.advance(25 * 3_600_000);
    call(&server, "tid=R1&status=approved&payout=12.34&n=again").await?;
    server.deliver().await?;
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    let theirs = rows(&partner.api("/api/v1/conversions").await?);
    assert_eq!(text(&theirs[0], "/status"), "approved", "{theirs:?}");
    server.stop().await;
    partner.stop().await;
    Ok(())
}

async fn withdrawn(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(GA4, "\"meta-main\", \"analytics\"", "2d")).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=W1&payout=12.34")).await?;
    server.deliver().await?;
    call(&server, "tid=W1&status=reversed").await?;
    server.advance(3 * 86_400_000);
    server.deliver().await?;
    let withdrawn = ["analytics cancelled taken_back", "meta-main cancelled taken_back"];
    assert_eq!(deliveries(&server).await?, withdrawn);
    assert!(server.accepted().await?.is_empty());
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    let days = server.api("/api/v1/deliveries/days?days=7").await?;
    assert!(rows(&days).iter().all(|day| day["failed"] == json!(0)), "{days}");
    server.stop().await;
    Ok(())
}

async fn never_arrived(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(GA4, "\"analytics\"", "0s")).await?;
    // The first call fails: the event is still on its way when it is taken back.
    server.fault(&json!({"kind": "server_error", "times": 1})).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=N1&payout=12.34")).await?;
    server.deliver().await?;
    // Ten hours in which nobody delivers, so that the adjustment outlives what it would adjust.
    server.advance(36_000_000);
    call(&server, "tid=N1&status=reversed").await?;
    assert_eq!(deliveries(&server).await?.len(), 2, "it may have arrived, so it is sent and followed");
    // Its event ends without having arrived.
    server.advance(66 * 3_600_000);
    server.engine.expire_overdue().await?;
    server.deliver().await?;
    let row = |state: &str, code: &str| format!("analytics {state} {code}");
    let states = [row("cancelled", "nothing_to_adjust"), row("expired", "event_too_old")];
    assert_eq!(deliveries(&server).await?, states);
    assert_eq!(sent(&server, "analytics").await?.len(), 1);
    // By hand neither: there is no sale any more that could be told.
    printed(&server, &["deliveries", "retry", "--destination", "analytics", "--state", "expired"])?;
    server.deliver().await?;
    assert_eq!(deliveries(&server).await?, states);
    server.stop().await;
    Ok(())
}

async fn restored(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    server.apply(&config(GA4, "\"meta-main\", \"analytics\"", "2d")).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=W2&payout=12.34")).await?;
    call(&server, "tid=W2&status=rejected").await?;
    server.deliver().await?;
    call(&server, "tid=W2&status=approved&payout=12.34").await?;
    server.deliver().await?;
    let states = |word: &str| [format!("analytics {word}"), format!("meta-main {word}")];
    assert_eq!(deliveries(&server).await?, states("pending "), "the goal's delay still holds");
    // Google Analytics takes nothing that is older than three days.
    server.advance(49 * 3_600_000);
    server.deliver().await?;
    assert_eq!(sent(&server, "meta-main").await?.len(), 1);
    assert_eq!(server.accepted().await?.len(), 2);
    assert_eq!(rows(&server.api("/api/v1/overstated").await?), [] as [Value; 0]);
    server.stop().await;
    Ok(())
}

async fn in_order(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let network = r#"
[[destination]]
slug = "network"
kind = "postback"
url = "http://SANDBOX/partner/net?tid={transaction_id}&st={status}"
success_body_contains = "OK"
allow_private = true
"#;
    server.apply(&config(network, "\"network\"", "0s")).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=O1&payout=12.34")).await?;
    server.deliver().await?;
    server.fault(&json!({"kind": "reset_after_accept", "times": 1})).await?;
    for status in ["rejected", "approved&payout=12.34"] {
        server.advance(1_000);
        call(&server, &format!("tid=O1&status={status}")).await?;
        server.deliver().await?;
    }
    for _ in 0..4 {
        server.advance(61_000);
        server.deliver().await?;
    }
    let accepted = server.accepted().await?;
    let mut told: Vec<_> = accepted.iter().map(|row| text(row, "/event/query/st")).collect();
    assert_eq!(told.len(), 4, "the call without an answer is made once more: {told:?}");
    told.dedup();
    assert_eq!(told, ["approved", "rejected", "approved"]);
    server.stop().await;
    Ok(())
}

async fn same_amount(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let now = config("", "\"meta-main\"", "0s");
    server.apply(&now.replace("delay = \"0s\"", "delay = \"0s\"\nsend_value = \"revenue\"")).await?;
    let click = server.click("fbclid=A").await?;
    call(&server, &format!("click_id={click}&tid=V1&payout=10&revenue=50")).await?;
    server.deliver().await?;
    server.apply(&now).await?;
    call(&server, "tid=V1&status=reversed&payout=1&revenue=5").await?;
    server.deliver().await?;
    let over = rows(&server.api("/api/v1/overstated").await?);
    assert_eq!((over.len(), &over[0]["minor"]), (1, &json!(500)), "{over:?}");
    server.stop().await;
    Ok(())
}

/// Google, which takes adjustments if it is told so.
pub(super) const GOOGLE: &str = r#"
[[destination]]
slug = "google"
kind = "google_data_manager"
account_id = "123-456-7890"
conversion_actions = { Purchase = "4242" }
client_id = "app.example"
client_secret = "client-secret-1"
refresh_token = "refresh-token-1"
adjustments = ADJUSTMENTS
endpoint = "http://SANDBOX"
token_endpoint = "http://SANDBOX/token"
allow_private = true
"#;

async fn restated(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for (adjustments, transaction) in [("false", "P0"), ("true", "P1")] {
        let google = GOOGLE.replace("ADJUSTMENTS", adjustments);
        server.apply(&config(&google, "\"google\"", "0s")).await?;
        let click = server.click("gclid=Abc-1").await?;
        call(&server, &format!("click_id={click}&tid={transaction}&payout=12.34")).await?;
        server.deliver().await?;
        server.advance(60_000);
        call(&server, &format!("tid={transaction}&status=reversed&payout=2.34")).await?;
        server.deliver().await?;
    }
    let over = rows(&server.api("/api/v1/overstated").await?);
    assert_eq!((over.len(), &over[0]["minor"]), (1, &json!(234)), "{over:?}");
    let told = sent(&server, "google").await?;
    assert_eq!(told.len(), 3, "{told:?}");
    let (first, second) = (&told[1], &told[2]);
    assert_eq!(second["conversionValue"].to_string(), "10.00");
    for same in ["transactionId", "eventTimestamp", "adIdentifiers", "destinationReferences"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    assert!(first.get("lastUpdatedTimestamp").is_none());
    assert!(text(second, "/lastUpdatedTimestamp") > text(second, "/eventTimestamp"), "{second}");
    server.stop().await;
    Ok(())
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One sale as somebody with a notebook would keep it.
#[derive(Default)]
struct Sale {
    stated: i64,
    left: i64,
    reversed: bool,
    waits: bool,
    arrived: bool,
}

async fn model(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let winter = CONFIG.split("[[partner]]").next().context("a campaign")?;
    let (_, winter) = winter.split_once("[[campaign]]").context("a campaign")?;
    let winter = format!("[[campaign]]{winter}").replace("summer", "winter");
    server.apply(&config(&winter, "\"meta-main\"", "0s")).await?;
    let mut clicks = vec![server.click("fbclid=A").await?];
    let request = Request::get("/c/winter?fbclid=B").header("user-agent", "Mozilla/5.0 test");
    let reply = client::send(server.tracking, request.body(Full::default())?).await?;
    let location = reply.header("location").context("a redirect")?.to_owned();
    clicks.push(
        location.split("cid=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default().to_owned(),
    );
    let mut dice = Dice(7);
    let mut sales: BTreeMap<u64, Sale> = BTreeMap::new();
    for round in 0..160 {
        server.advance(i64::try_from(dice.roll(900_000))? + 1);
        if dice.roll(5) == 0 {
            server.deliver().await?;
            for sale in sales.values_mut().filter(|sale| sale.waits) {
                (sale.waits, sale.arrived) = (false, true);
            }
            continue;
        }
        let id = dice.roll(14);
        let (campaign, yen) = (usize::try_from(id % 2)?, id.is_multiple_of(3));
        let amount = i64::try_from(dice.roll(900))? + 100;
        let decimal = |minor: i64| match yen {
            true => minor.to_string(),
            false => format!("{}.{:02}", minor / 100, minor % 100),
        };
        let currency = if yen { "JPY" } else { "USD" };
        let tail = format!("tid=M{id}&currency={currency}&n={round}");
        let Some(sale) = sales.get_mut(&id) else {
            call(&server, &format!("click_id={}&payout={}&{tail}", clicks[campaign], decimal(amount)))
                .await?;
            sales.insert(id, Sale { stated: amount, left: amount, waits: true, ..Sale::default() });
            continue;
        };
        match dice.roll(3) {
            0 => {
                call(&server, &format!("status=reversed&{tail}")).await?;
                sale.reversed = true;
            }
            1 => {
                call(&server, &format!("status=reversed&payout={}&{tail}", decimal(amount))).await?;
                match (sale.reversed, amount < sale.left) {
                    (false, true) => sale.left -= amount,
                    _ => sale.reversed = true,
                }
            }
            _ => {
                call(&server, &format!("status=approved&payout={}&{tail}", decimal(sale.stated))).await?;
                (sale.reversed, sale.left) = (false, sale.stated);
            }
        }
        // What has not left is withdrawn when nothing is left of it, and goes out when it stands again.
        sale.waits = !sale.arrived && !sale.reversed;
    }
    let (found, expected) = (listed(&server).await?, in_the_notebook(&sales));
    assert_eq!(found, expected);
    assert!(expected.len() >= 3, "the history is too quiet: {expected:?}");
    server.stop().await;
    Ok(())
}

/// By campaign and currency: minor units, and how many deliveries.
type Sums = BTreeMap<(String, String), (i64, u64)>;

fn in_the_notebook(sales: &BTreeMap<u64, Sale>) -> Sums {
    let mut expected = Sums::new();
    for (id, sale) in sales.iter().filter(|(_, sale)| sale.arrived) {
        let over = sale.stated - if sale.reversed { 0 } else { sale.left };
        if over > 0 {
            let campaign = if id.is_multiple_of(2) { "summer" } else { "winter" };
            let currency = if id.is_multiple_of(3) { "JPY" } else { "USD" };
            let sum = expected.entry((campaign.into(), currency.into())).or_default();
            *sum = (sum.0 + over, sum.1 + 1);
        }
    }
    expected
}

async fn listed(server: &TestServer) -> Result<Sums> {
    let mut found = Sums::new();
    for row in rows(&server.api("/api/v1/overstated").await?) {
        let key = (text(&row, "/campaign").to_owned(), text(&row, "/currency").to_owned());
        let sum = (row["minor"].as_i64().unwrap_or_default(), row["deliveries"].as_u64().unwrap_or_default());
        found.insert(key, sum);
    }
    Ok(found)
}
