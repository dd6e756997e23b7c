//! `POST /v1/events`: server events, each judged by itself, once under their key.

use anyhow::Result;
use crosstally_testkit::client::{self, Reply, post_as};
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use http::Request;
use serde_json::{Value, json};

on_both! {
    /// One event becomes one Purchase at Meta, with what it says about the visitor and the order.
    one_event_becomes_one_purchase => one;
    /// An array and lines: every row has its verdict, in order; a bad one spoils no other.
    many_rows_are_judged_one_by_one => many;
    /// An event that is sent again, with and without ids, is a duplicate.
    events_sent_again_are_duplicates => duplicates;
    /// The same key and body: the same answer; another body 422; two at once are one.
    an_idempotency_key_counts_once => idempotency;
    /// Without a token, with a token for something else, with a body that is none.
    who_may_send_and_what => refused;
    /// A partner that nobody is and a query that cannot be read: refused, and no label of the metrics.
    a_partner_that_is_not_known_books_nothing => nobody;
    /// Raw contact values are nowhere in what is kept.
    contact_values_are_hashed_at_the_door => hashed;
    /// An event that waited for its click is sent with all that it said; then its original is gone.
    an_event_that_waited_loses_nothing => waited;
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

async fn send(server: &TestServer, body: &str) -> Result<Reply> {
    post_as(server.tracking, "/v1/events", &server.token, body).await
}

async fn keyed(server: &TestServer, key: &str, body: &str) -> Result<Reply> {
    let request = Request::post("/v1/events")
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(http_body_util::Full::new(bytes::Bytes::from(body.to_owned())))?;
    client::send(server.tracking, request).await
}

async fn one(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let event = json!({
        "event": "Purchase", "event_time": "2026-11-21T09:59:00Z", "event_id": "order-7-purchase",
        "transaction_id": "order-7", "status": "approved", "value": "12.34", "currency": "USD",
        "external_id": "customer-1", "action_source": "website",
        "event_source_url": "https://shop.example/thanks?order=7",
        "user": { "email": ["a@b.example"], "client_ip_address": "203.0.113.9", "client_user_agent": "UA/1", "fbp": "fb.1.1795255100000.12345" },
        "custom": { "content_ids": ["sku-1"], "num_items": 1 }
    });
    let reply = send(&server, &event.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(text(&reply.json()?, "/result"), "recorded");
    server.deliver().await?;
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    let sent = &accepted[0]["event"];
    assert_eq!((text(sent, "/event_name"), text(sent, "/event_id")), ("Purchase", "order-7-purchase"));
    assert_eq!(sent["event_time"].to_string(), "1795255140");
    assert_eq!(text(sent, "/action_source"), "website");
    assert_eq!(text(sent, "/user_data/client_ip_address"), "203.0.113.9");
    assert_eq!(text(sent, "/user_data/fbp"), "fb.1.1795255100000.12345");
    assert_eq!(sent["custom_data"]["value"].to_string(), "12.34");
    assert_eq!(text(sent, "/custom_data/content_ids/0"), "sku-1");
    assert_eq!(text(sent, "/user_data/em/0").len(), 64, "{sent}");
    server.stop().await;
    Ok(())
}

async fn many(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let good = |number: u32| json!({ "event": "Purchase", "transaction_id": format!("T{number}"), "value": "1.00", "currency": "USD" });
    let list = json!([good(1), { "event": "Purchase", "valeu": "1" }, good(2), { "value": "1.00", "currency": "USD" }, good(1)]);
    let reply = send(&server, &list.to_string()).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json()?;
    let results: Vec<(&str, &str)> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "/result"), text(row, "/code")))
        .collect();
    let booked = ("recorded", "no_click_id");
    let invalid = ("refused", "event_invalid");
    assert_eq!(results, [booked, invalid, booked, invalid, ("duplicate", "same_content")], "{answer}");
    assert!(text(&answer, "/results/1/detail").contains("valeu"), "{answer}");
    let lines = format!("{}\n\n{}\n", good(3), good(4));
    let request = Request::post("/v1/events?partner=acme")
        .header("authorization", format!("Bearer {}", server.token))
        .header("content-type", "application/x-ndjson")
        .body(http_body_util::Full::new(bytes::Bytes::from(lines)))?;
    let answer = client::send(server.tracking, request).await?.json()?;
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(2), "{answer}");
    let balance = server.api("/api/v1/receipts/balance").await?;
    assert_eq!(
        (text(&balance, "/data/0/partner"), text(&balance, "/data/1/partner")),
        ("acme", "events"),
        "{balance}"
    );
    assert_eq!(balance["data"][1]["received"], 5);
    server.stop().await;
    Ok(())
}

async fn duplicates(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for event in [
        json!({ "event": "Purchase", "transaction_id": "T1", "value": "5.00", "currency": "USD" }),
        json!({ "event": "Lead", "event_id": "lead-1" }),
        json!({ "event": "Lead", "external_id": "customer-9" }),
    ] {
        for expected in ["recorded", "duplicate"] {
            let answer = send(&server, &event.to_string()).await?.json()?;
            assert_eq!(text(&answer, "/result"), expected, "{event}: {answer}");
        }
    }
    // Reading them again, in bulk, takes nothing out.
    let all = json!({ "partner": "events", "apply": true }).to_string();
    let read = post_as(server.admin, "/api/v1/receipts/replay", &server.token, &all).await?.json()?;
    assert!(read["data"].as_array().unwrap().iter().all(|row| row["changed"] == false), "{read}");
    let standing = server.engine.store.list_conversions(None, 10).await?;
    assert!(standing.iter().all(|one| one.movements == 1), "{standing:?}");
    let click = server.click("fbclid=A").await?;
    let event = json!({ "event": "Signup", "click_id": click, "status": "lead" });
    assert_eq!(text(&send(&server, &event.to_string()).await?.json()?, "/result"), "recorded");
    assert_eq!(text(&send(&server, &event.to_string()).await?.json()?, "/result"), "duplicate");
    server.stop().await;
    Ok(())
}

async fn idempotency(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let event = |id: &str| {
        json!({ "event": "Purchase", "transaction_id": id, "value": "5.00", "currency": "USD" }).to_string()
    };
    let first = keyed(&server, "key-1", &event("T1")).await?;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = keyed(&server, "key-1", &event("T1")).await?;
    assert_eq!((again.status, again.text()), (200, first.text()));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = keyed(&server, "key-1", &event("T2")).await?;
    assert_eq!(
        (other.status, text(&other.json()?, "/code").to_owned()),
        (422, "idempotency_key_mismatch".into())
    );
    // Refusals are answers too, and are given again.
    let bad = keyed(&server, "key-2", "{\"evnt\":\"x\"}").await?;
    assert_eq!(bad.status, 400, "{}", bad.text());
    assert_eq!(keyed(&server, "key-2", "{\"evnt\":\"x\"}").await?.text(), bad.text());
    // A request that broke off leaves a key behind that is busy, and free again after a minute.
    let digest_of_another =
        server.engine.claim_key("test\nkey-3", &[b"events", event("T3").as_bytes()]).await?;
    assert_eq!(digest_of_another, crosstally_store::Claim::Mine);
    let busy = keyed(&server, "key-3", &event("T3")).await?;
    assert_eq!(
        (busy.status, text(&busy.json()?, "/code").to_owned()),
        (409, "idempotency_key_in_use".into())
    );
    // Somebody else's key of the same name is another one.
    let other = server.engine.create_token("other", &["events:write".to_owned()]).await?.token;
    let request = Request::post("/v1/events")
        .header("authorization", format!("Bearer {other}"))
        .header("content-type", "application/json")
        .header("idempotency-key", "key-3")
        .body(http_body_util::Full::new(bytes::Bytes::from(event("T9"))))?;
    assert_eq!(client::send(server.tracking, request).await?.status, 200);
    server.advance(61_000);
    assert_eq!(keyed(&server, "key-3", &event("T3")).await?.status, 200);
    // Twenty at once are one.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (address, token, body) = (server.tracking, server.token.clone(), event("T9"));
        calls.spawn(async move {
            let request = Request::post("/v1/events")
                .header("authorization", format!("Bearer {token}"))
                .header("idempotency-key", "key-9")
                .body(http_body_util::Full::new(bytes::Bytes::from(body)))?;
            client::send(address, request).await
        });
    }
    let mut answers = Vec::new();
    while let Some(reply) = calls.join_next().await {
        let reply = reply??;
        assert!(matches!(reply.status, 200 | 409), "{}", reply.text());
        if reply.status == 200 {
            answers.push(reply.text());
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let conversions = server.engine.store.list_conversions(None, 100).await?;
    assert_eq!(conversions.len(), 3);
    server.stop().await;
    Ok(())
}

async fn refused(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let event = json!({ "event": "Purchase", "transaction_id": "T1" }).to_string();
    let none = client::post(server.tracking, "/v1/events", "application/json", event.clone()).await?;
    assert_eq!(none.status, 401);
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?.token;
    assert_eq!(post_as(server.tracking, "/v1/events", &reader, &event).await?.status, 403);
    for (body, status, code) in [
        ("", 400, "body_unreadable"),
        ("[]", 400, "body_unreadable"),
        ("{\"event\":", 400, "event_invalid"),
        ("nonsense", 415, "unsupported_media_type"),
    ] {
        let reply = send(&server, body).await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, text(&answer, "/code")), (status, code), "{body}: {answer}");
        assert!(text(&answer, "/receipt").starts_with("rcp_"), "{answer}");
    }
    let many = format!("[{}1]", "1,".repeat(1_000));
    assert_eq!(send(&server, &many).await?.status, 413);
    let huge = format!("{{\"event\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    assert_eq!(send(&server, &huge).await?.status, 413);
    // The partner that stands for server events takes no postbacks: there everybody could write.
    let door = client::get(server.tracking, "/postback/events?tid=T1&payout=1").await?;
    assert_eq!(door.status, 404);
    server.stop().await;
    Ok(())
}

async fn nobody(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let event = json!({ "event": "Purchase", "transaction_id": "T1" }).to_string();
    let path = "/v1/events?partner=invented-mark";
    let reply = post_as(server.tracking, path, &server.token, &event).await?;
    assert_eq!(text(&reply.json()?, "/code"), "unknown_partner", "{}", reply.text());
    let long = format!("/v1/events?partner={}", "acme".repeat(5_000));
    let many = format!("/v1/events?{}partner=acme", "a&".repeat(512));
    for (path, code) in [(long, "param_too_long"), (many, "too_many_params")] {
        let reply = post_as(server.tracking, &path, &server.token, &event).await?;
        assert_eq!((reply.status, text(&reply.json()?, "/code")), (400, code), "{}", reply.text());
    }
    let all = server.engine.metrics.render();
    assert!(!all.contains("invented-mark"), "{all}");
    assert!(all.contains("crosstally_postbacks_total{partner=\"unknown\",verdict=\"refused\"} 1"), "{all}");
    let page = server.api("/api/v1/conversions").await?.to_string();
    assert!(!page.contains("T1"), "{page}");
    server.stop().await;
    Ok(())
}

async fn hashed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let event = json!({ "event": "Lead", "event_id": "e1", "user": { "email": ["taint-mark@b.example"], "phone": ["+1 650 555 1212"], "first_name": "Taintfirst" } });
    let answer = send(&server, &event.to_string()).await?.json()?;
    for id in [text(&answer, "/receipt"), text(&answer, "/conversion")] {
        let trace = server.api(&format!("/api/v1/trace/{id}")).await?.to_string();
        for mark in ["taint-mark", "5551212", "555 1212", "Taintfirst", "taintfirst"] {
            assert!(!trace.contains(mark), "{mark} in {trace}");
        }
    }
    server.stop().await;
    Ok(())
}

async fn waited(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let click = server.click("fbclid=IwAR2F4-dbP").await?;
    let event = json!({
        "event": "Purchase", "event_id": "order-9-purchase", "transaction_id": "order-9", "status": "approved",
        "value": "21.00", "currency": "USD", "click_id": "w8f3k2old",
        "user": { "email": ["c@d.example"], "client_user_agent": "UA/9", "fbp": "fb.1.1795255100000.999" },
        "custom": { "content_ids": ["sku-9"] }
    });
    let answer = send(&server, &event.to_string()).await?.json()?;
    assert_eq!((text(&answer, "/result"), text(&answer, "/code")), ("quarantined", "click_id_malformed"));
    let id = text(&answer, "/receipt").parse()?;
    let kept = server.engine.store.receipt(id).await?.unwrap();
    let sealed = kept.sealed.expect("the original waits, sealed");
    assert!(!sealed.windows(5).any(|part| part == b"c@d.e"), "nobody reads it without the key");
    server.advance(5_000);
    let alias = ("w8f3k2old".into(), crosstally_core::ids::ClickId::parse_unchecked(&click).unwrap());
    server.engine.store.add_aliases(vec![alias], server.engine.clock.now()).await?;
    assert_eq!(server.engine.match_waiting().await?, 1);
    server.deliver().await?;
    let accepted = server.accepted().await?;
    assert_eq!(accepted.len(), 1, "{accepted:?}");
    let sent = &accepted[0]["event"];
    assert_eq!((text(sent, "/event_name"), text(sent, "/event_id")), ("Purchase", "order-9-purchase"));
    assert_eq!(text(sent, "/user_data/fbp"), "fb.1.1795255100000.999", "{sent}");
    assert_eq!(text(sent, "/user_data/client_user_agent"), "UA/9");
    assert!(text(sent, "/user_data/fbc").ends_with(".IwAR2F4-dbP"), "the click's own: {sent}");
    assert_eq!(text(sent, "/custom_data/content_ids/0"), "sku-9");
    assert_eq!(text(sent, "/user_data/em/0").len(), 64);
    assert_eq!(server.engine.store.receipt(id).await?.unwrap().sealed, None, "it is needed no more");
    server.stop().await;
    Ok(())
}
