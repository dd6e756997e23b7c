//! Shops that sign the body of their calls: what is not signed says nothing, and each message counts once.

use anyhow::Result;
use crosstally_core::postback::signature::Scheme;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::json;

use crate::guarded::Call;

on_both! {
    /// The same body under another topic is another call: an order is created, paid, cancelled.
    a_status_in_a_header_is_part_of_the_call => topics;
    /// A query that nobody signed makes no new call of an old one, and no goal is met by it.
    an_unsigned_query_says_nothing => unsigned;
    /// Stripe sends an event again with other counts of its own: it is the same event.
    an_event_that_stripe_sends_again_is_one => stripe;
    /// A message's number counts for all that it may be taken for.
    a_number_is_used_once_whatever_the_body_is_called => renumbered;
}

const SECRET: &str = "acme-secret";
const WHSEC: &str = "whsec_bmV3LXNlY3JldC1vZi1hY21lLTAwMDI=";

fn with_preset(preset: &str, keys: &str) -> String {
    let section = format!("preset = \"{preset}\"\n{keys}\nauth = {{ secret = {{ env = \"ACME_TOKEN\" }} }}");
    CONFIG.replace("preset = \"generic\"", &section)
}

async fn value(server: &TestServer, transaction: &str) -> Result<(String, i64)> {
    let found = server.engine.store.conversions_of_transaction("acme".into(), transaction.into(), 2).await?;
    anyhow::ensure!(found.len() == 1, "{found:?}");
    Ok((found[0].status.to_string(), found[0].balance.confirmed))
}

fn now_s(server: &TestServer) -> i64 {
    server.engine.clock.now().as_millis() / 1_000
}

async fn topics(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with_preset("shopify", "")).await?;
    let order = json!({ "id": 950, "currency": "USD", "financial_status": "paid", "total_price": "200.00" });
    for (topic, result, status, cents) in [
        ("orders/create", "recorded", "lead", 0),
        ("orders/paid", "updated", "approved", 20_000),
        ("orders/paid", "duplicate", "approved", 20_000),
        ("orders/cancelled", "updated", "reversed", 0),
    ] {
        server.advance(1_000);
        let call = Call::post("application/json", order.to_string()).header("x-shopify-topic", topic).signed(
            Scheme::Shopify,
            SECRET,
            now_s(&server),
            "",
        );
        assert_eq!(call.told(&server).await?.1, result, "{topic}");
        assert_eq!(value(&server, "950").await?, (status.to_owned(), cents), "{topic}");
    }
    let again = crosstally_testkit::client::post_as(
        server.admin,
        "/api/v1/receipts/replay",
        &server.token,
        &json!({ "partner": "acme", "apply": true }).to_string(),
    )
    .await?
    .json()?;
    assert!(again["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{again:#}");
    server.stop().await;
    Ok(())
}

async fn unsigned(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let config = with_preset("shopify", "").replace(
        "when = \"status == 'approved' && value > 0\"",
        "when = \"has(fields.tier) && fields.tier == 'gold'\"",
    );
    server.apply(&config).await?;
    let paid = json!({ "id": 7, "currency": "USD", "total_price": "100.00" }).to_string();
    let refund =
        json!({ "id": 8, "order_id": 7, "transactions": [{ "amount": "10.00", "currency": "USD", "status": "success" }] })
            .to_string();
    let call = |topic: &str, body: &str| {
        Call::post("application/json", body.to_owned()).header("x-shopify-topic", topic).signed(
            Scheme::Shopify,
            SECRET,
            0,
            "",
        )
    };
    assert_eq!(call("orders/paid", &paid).told(&server).await?.1, "recorded");
    assert_eq!(call("refunds/create", &refund).told(&server).await?.1, "updated");
    for query in ["x=0", "x=1", "tier=gold"] {
        server.advance(1_000);
        let mut again = call("refunds/create", &refund);
        again.query = query.to_owned();
        assert_eq!(again.told(&server).await?.1, "duplicate", "{query}");
    }
    assert_eq!(value(&server, "7").await?, ("approved".to_owned(), 9_000));
    server.deliver().await?;
    assert!(server.accepted().await?.is_empty(), "a goal was met by what nobody signed");
    server.stop().await;
    Ok(())
}

async fn stripe(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    server.apply(&with_preset("stripe", "duplicates = \"add\"")).await?;
    let event = |pending: u32| {
        json!({ "id": "evt_1", "type": "checkout.session.completed", "pending_webhooks": pending, "data": { "object": {
            "id": "cs_1", "object": "checkout.session", "amount_total": 1000, "currency": "usd", "payment_intent": "pi_1",
            "payment_status": "paid"
        } } })
    };
    let mut results = Vec::new();
    for pending in [2, 1, 0] {
        server.advance(60_000);
        let call = Call::post("application/json", event(pending).to_string()).signed(
            Scheme::Stripe,
            SECRET,
            now_s(&server),
            "",
        );
        results.push(call.told(&server).await?.1);
    }
    assert_eq!(results, ["recorded", "duplicate", "duplicate"]);
    assert_eq!(value(&server, "pi_1").await?, ("approved".to_owned(), 1_000));
    server.stop().await;
    Ok(())
}

async fn renumbered(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let keys =
        "duplicates = \"add\"\nsignature = \"standard_webhooks\"\nauth = { secret = { env = \"ACME_NEW\" } }";
    server.apply(&CONFIG.replace("preset = \"generic\"", &format!("preset = \"generic\"\n{keys}"))).await?;
    let body = json!({ "tid": "T1", "status": "approved", "payout": "10.00" }).to_string();
    let at = now_s(&server);
    let signed = |kind: &'static str| {
        Call::post(kind, body.clone()).signed(Scheme::StandardWebhooks, WHSEC, at, "msg_1")
    };
    assert_eq!(signed("application/json").told(&server).await?.1, "recorded");
    assert_eq!(signed("application/json").told(&server).await?.2, "nonce_seen");
    let as_lines = signed("application/x-ndjson").send(&server).await?.json()?;
    assert_eq!(as_lines["results"][0]["code"], "nonce_seen", "{as_lines}");
    // The numbers of a list's rows are nobody else's.
    let list = json!([{ "tid": "L1", "payout": "1.00" }, { "tid": "L2", "payout": "2.00" }]).to_string();
    let list = Call::post("application/json", list).signed(Scheme::StandardWebhooks, WHSEC, at, "msg_2");
    assert_eq!(list.send(&server).await?.status, 200);
    let own = json!({ "tid": "L3", "payout": "3.00" }).to_string();
    let own = Call::post("application/json", own).signed(Scheme::StandardWebhooks, WHSEC, at, "msg_2#1");
    assert_eq!(own.told(&server).await?.1, "recorded");
    assert_eq!(value(&server, "T1").await?, ("approved".to_owned(), 1_000));
    server.stop().await;
    Ok(())
}
