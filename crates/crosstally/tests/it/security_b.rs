//! The lines B1 to B12 of the security checklist: who sends, and whether it was sent before. B9, which measures time, and
//! every negative of the reference stand beside the schemes in core.

use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_core::postback::signature::Scheme;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::TestServer;
use tokio::task::JoinSet;

use crate::guarded::{Call, conversions, fine, metric, now_s, refused, told, with_keys, word};

on_both! {
    /// Line B1: the reference's vectors, as its libraries send them.
    b1_the_vectors_of_standard_webhooks_are_accepted => vectors;
    /// Line B2: one bit, one space; a body that is not UTF-8 is signed like any other.
    b2_a_changed_body_is_refused_and_bytes_are_bytes => changed_bodies;
    /// Line B3: twice, and a hundred times at once.
    b3_a_message_has_one_effect => once;
    /// Line B4: a second within the tolerance and a second beyond it.
    b4_the_tolerance_holds_to_the_second => tolerance;
    /// Line B5: when its number is forgotten, a message is too old.
    b5_a_forgotten_number_is_refused_by_its_timestamp => forgotten;
    /// Line B6: what failed left no number behind.
    b6_a_call_that_failed_may_come_again => failed;
    /// Line B7: both secrets during a rotation, counted apart; then only the new one.
    b7_an_old_secret_counts_until_it_is_taken_away => rotation;
    /// Line B8: order and escapes do not matter, repeats do, and what is not signed is not read.
    b8_signed_and_money_parameters_come_once => canonical;
    /// Line B10: a token in the URL only where the partner may, never kept.
    b10_a_token_in_the_query_is_taken_only_where_allowed => tokens;
    /// Line B11: strangers do not use up the partner's budget.
    b11_a_flood_of_strangers_leaves_the_partner_its_budget => flood;
    /// Line B12: all guards, not one of them.
    b12_signature_and_address_must_both_fit => both_guards;
    /// The other schemes, each by its preset or by its name.
    schemes_of_shops_and_payments_are_checked => schemes;
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const NEW: &str = "whsec_bmV3LXNlY3JldC1vZi1hY21lLTAwMDI=";
const OLD: &str = "whsec_b2xkLXNlY3JldC1vZi1hY21lLTAwMDE=";
const WEBHOOKS: &str = r#"auth = { secret = { env = "ACME_NEW" }, scheme = "standard_webhooks" }"#;
const OURS: &str = r#"auth = { hmac = { env = "ACME_TOKEN" } }"#;

async fn server(kind: Kind, keys: &str) -> Result<TestServer> {
    let server = TestServer::start(kind).await?;
    server.apply(&with_keys(keys)).await?;
    Ok(server)
}

fn webhook(server: &TestServer, secret: &str, id: &str, body: &str) -> Call {
    Call::post(FORM, body).signed(Scheme::StandardWebhooks, secret, now_s(server), id)
}

async fn vectors(kind: Kind) -> Result<()> {
    for (secret, id, stamp, body, signature, field) in [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553_i64,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            "username",
        ),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            "test",
        ),
    ] {
        let keys = format!(
            "params = {{ transaction_id = \"{field}\" }}\nauth = {{ secret = \"{secret}\", scheme = \"standard_webhooks\" }}"
        );
        let server = server(kind, &keys).await?;
        server.advance((stamp - now_s(&server)) * 1_000);
        let call = Call::post(JSON, body)
            .header("webhook-id", id)
            .header("webhook-timestamp", stamp.to_string())
            .header("webhook-signature", signature);
        assert_eq!(call.told(&server).await?.1, "recorded");
        server.stop().await;
    }
    Ok(())
}

async fn changed_bodies(kind: Kind) -> Result<()> {
    let server = server(kind, WEBHOOKS).await?;
    let good = webhook(&server, NEW, "msg_1", "tid=A1&payout=1");
    for changed in ["tid=A1&payout=9", "tid=A1&payout=1 ", "tid=A1&payout=1\n", ""] {
        let call = Call { body: changed.into(), ..good.clone() };
        assert_eq!(call.told(&server).await?, refused(401, "signature_wrong"), "{changed:?}");
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut call = good.clone();
        call.headers.retain(|(name, _)| name != missing);
        assert_eq!(call.told(&server).await?, refused(401, "signature_missing"), "{missing}");
    }
    assert_eq!(good.told(&server).await?.1, "recorded");
    let bytes = Call::post(FORM, b"tid=A2&payout=1&x=\xff\xfe\x00".to_vec());
    let bytes = bytes.signed(Scheme::StandardWebhooks, NEW, now_s(&server), "msg_2");
    assert_eq!(bytes.told(&server).await?.1, "recorded");
    assert_eq!(conversions(&server).await?, 2);
    server.stop().await;
    Ok(())
}

async fn once(kind: Kind) -> Result<()> {
    let server = server(kind, &format!("duplicates = \"add\"\n{OURS}")).await?;
    let call = |nonce: &str, query: &str| {
        Call::get(query).signed(Scheme::Crosstally, "acme-secret", now_s(&server), nonce)
    };
    let first = call("n1", "tid=B3&payout=2");
    assert_eq!(first.told(&server).await?, fine("recorded", "no_click_id"));
    let again = first.send(&server).await?;
    assert_eq!(told(&again)?, fine("duplicate", "nonce_seen"));
    assert!(
        word(&again.json()?, "conversion").starts_with("cnv_"),
        "it names what it repeats: {}",
        again.text()
    );
    // Another number is another message; a hundred of it at once are one.
    let second = call("n2", "tid=B3&payout=3");
    let mut sending = JoinSet::new();
    for _ in 0..100 {
        let (call, address) = (second.clone(), server.tracking);
        sending.spawn(async move { told(&call.send_to(address, "acme").await?) });
    }
    let mut told = Vec::new();
    while let Some(one) = sending.join_next().await {
        told.push(one??);
    }
    assert_eq!(told.iter().filter(|one| one.1 == "updated").count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|one| **one == fine("duplicate", "nonce_seen")).count(), 99, "{told:?}");
    let list = server.api("/api/v1/conversions").await?;
    assert!(list.pointer("/data/0").context("one")?.to_string().contains("5.00"), "{list}");
    server.stop().await;
    Ok(())
}

async fn tolerance(kind: Kind) -> Result<()> {
    let server = server(kind, OURS).await?;
    for (off_s, fits) in [(299, true), (-299, true), (301, false), (-301, false)] {
        let at = now_s(&server) - off_s;
        let call =
            Call::get(&format!("tid=B4{off_s}&payout=1")).signed(Scheme::Crosstally, "acme-secret", at, "");
        assert_eq!(call.send(&server).await?.status, if fits { 200 } else { 401 }, "{off_s}");
    }
    server.stop().await;
    Ok(())
}

async fn forgotten(kind: Kind) -> Result<()> {
    let server = server(kind, WEBHOOKS).await?;
    // Stamped as far ahead as is taken: it stays good for twice the tolerance.
    let early = Call::post(FORM, "tid=B5&payout=1").signed(
        Scheme::StandardWebhooks,
        NEW,
        now_s(&server) + 300,
        "msg_5",
    );
    assert_eq!(early.told(&server).await?.1, "recorded");
    server.advance(599_000);
    assert_eq!(server.engine.forget_nonces().await?, 0, "it could still come again");
    assert_eq!(early.told(&server).await?, fine("duplicate", "nonce_seen"));
    server.advance(62_000);
    assert_eq!(server.engine.forget_nonces().await?, 1);
    assert_eq!(early.told(&server).await?, refused(401, "signature_wrong"));
    server.stop().await;
    Ok(())
}

async fn failed(kind: Kind) -> Result<()> {
    let server = server(kind, WEBHOOKS).await?;
    let call = webhook(&server, NEW, "msg_6", "tid=B6&payout=1");
    let lock = server.database.lock().await?;
    // Told that it was not taken, or told nothing: never that it was recorded.
    if let Ok(reply) = tokio::time::timeout(Duration::from_secs(8), call.send(&server)).await {
        assert_eq!(reply?.status, 503);
    }
    drop(lock);
    let mut last = (0, String::new(), String::new());
    for _ in 0..100 {
        last = call.told(&server).await?;
        if last.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(last.1 == "recorded" || last == fine("duplicate", "nonce_seen"), "{last:?}");
    assert_eq!(conversions(&server).await?, 1);
    // What waits for somebody has not used its number up either: mended, the same message is booked.
    let mended = Call::post(FORM, "tid=B62&payout=1&status=odd").signed(
        Scheme::StandardWebhooks,
        NEW,
        now_s(&server),
        "msg_62",
    );
    assert_eq!(mended.told(&server).await?.1, "quarantined");
    server.apply(&with_keys(&format!("statuses = {{ odd = \"approved\" }}\n{WEBHOOKS}"))).await?;
    assert_eq!(mended.told(&server).await?.1, "recorded");
    server.stop().await;
    Ok(())
}

async fn rotation(kind: Kind) -> Result<()> {
    let overlap = r#"auth = { secret = { env = "ACME_NEW" }, old_secret = { env = "ACME_OLD" }, scheme = "standard_webhooks" }"#;
    let server = server(kind, overlap).await?;
    for (number, secret) in [(1, OLD), (2, NEW), (3, OLD)] {
        let call = webhook(&server, secret, &format!("msg_{number}"), &format!("tid=B7{number}&payout=1"));
        assert_eq!(call.told(&server).await?.1, "recorded");
    }
    let shown = |by: &str| {
        metric(&server, &format!("crosstally_postbacks_shown_total{{partner=\"acme\",by=\"{by}\"}}"))
    };
    assert_eq!((shown("secret")?, shown("old_secret")?), (1, 2));
    server.apply(&with_keys(WEBHOOKS)).await?;
    let call = webhook(&server, OLD, "msg_4", "tid=B74&payout=1");
    assert_eq!(call.told(&server).await?, refused(401, "signature_wrong"));
    assert_eq!(webhook(&server, NEW, "msg_5", "tid=B75&payout=1").told(&server).await?.1, "recorded");
    server.stop().await;
    Ok(())
}

async fn canonical(kind: Kind) -> Result<()> {
    let server = server(kind, OURS).await?;
    let signed =
        Call::get("payout=1&tid=B8&x=a%20b").signed(Scheme::Crosstally, "acme-secret", now_s(&server), "");
    for (query, expected) in [
        ("payout=1&payout=9&tid=B8&x=a%20b", refused(400, "repeated_field")),
        ("payout=1&tid=B8&x=a%2520b", refused(401, "signature_wrong")),
        ("payout=9&tid=B8&x=a%20b", refused(401, "signature_wrong")),
        ("x=a+b&tid=%42%38&payout=1", fine("recorded", "no_click_id")),
    ] {
        let call = Call { query: query.into(), ..signed.clone() };
        assert_eq!(call.told(&server).await?, expected, "{query}");
    }
    // Without a signature as well, money comes once, however the call is written.
    server.apply(&with_keys("")).await?;
    for call in [
        Call::get("tid=B82&payout=1&payout=9"),
        Call::get("tid=B82&payout=1&p%61yout=9"),
        Call::post(FORM, "tid=B82&payout=1&payout=9"),
        Call { query: "payout=1".into(), ..Call::post(FORM, "tid=B82&payout=9") },
        Call::post(JSON, r#"{"tid":"B82","payout":1,"payout":9}"#),
        Call { query: "payout=1".into(), ..Call::post(JSON, r#"{"tid":"B82","payout":9}"#) },
    ] {
        assert_eq!(call.told(&server).await?, refused(400, "repeated_field"), "{call:?}");
    }
    // A signature over the body says nothing about the URL, so nothing is read from there.
    server.apply(&with_keys(WEBHOOKS)).await?;
    let call = webhook(&server, NEW, "msg_8", "tid=B83&payout=1");
    let more = Call { query: "revenue=900".into(), ..call.clone() };
    assert_eq!(more.told(&server).await?, refused(401, "signature_wrong"));
    let harmless = Call { query: "utm_source=x".into(), ..call };
    assert_eq!(harmless.told(&server).await?.1, "recorded");
    server.stop().await;
    Ok(())
}

async fn tokens(kind: Kind) -> Result<()> {
    let server = server(kind, r#"auth = { token = { env = "ACME_TOKEN" } }"#).await?;
    let in_query = |tid: &str| Call::get(&format!("tid={tid}&payout=1&token=acme-secret"));
    let in_header =
        |tid: &str| Call::get(&format!("tid={tid}&payout=1")).header("authorization", "Bearer acme-secret");
    assert_eq!(in_query("B10a").told(&server).await?.1, "recorded");
    assert_eq!(in_header("B10b").told(&server).await?.1, "recorded");
    let shown = |by: &str| {
        metric(&server, &format!("crosstally_postbacks_shown_total{{partner=\"acme\",by=\"{by}\"}}"))
    };
    assert_eq!((shown("token_query")?, shown("token_header")?), (1, 1), "the weak form is told apart");
    server.apply(&with_keys(r#"auth = { token = { env = "ACME_TOKEN" }, token_in = ["header"] }"#)).await?;
    let reply = in_query("B10c").send(&server).await?;
    assert_eq!(told(&reply)?, refused(401, "token_missing"));
    assert!(reply.text().contains("Authorization"), "the better form is offered: {}", reply.text());
    assert_eq!(in_header("B10d").told(&server).await?.1, "recorded");
    server.apply(&with_keys(r#"auth = { token = { env = "ACME_TOKEN" }, token_in = ["query"] }"#)).await?;
    assert_eq!(in_header("B10e").told(&server).await?, refused(401, "token_missing"));
    let all = server.api("/api/v1/receipts").await?.to_string();
    assert!(!all.contains("acme-secret") && all.contains("token=***"), "{all}");
    server.stop().await;
    Ok(())
}

async fn flood(kind: Kind) -> Result<()> {
    let keys = "rate = { per_second = 1, burst = 5 }\nauth = { token = { env = \"ACME_TOKEN\" } }";
    let server = server(kind, keys).await?;
    let bad = Call::get("tid=B11&payout=1&token=guess");
    let (mut answers, mut with_receipt) = ([0_u32; 2], 0);
    for _ in 0..520 {
        let reply = bad.send(&server).await?;
        match reply.status {
            401 => answers[0] += 1,
            429 => {
                answers[1] += 1;
                with_receipt += u32::from(reply.text().contains("rcp_"));
                assert!(reply.header("retry-after").is_some(), "{}", reply.text());
            }
            other => anyhow::bail!("{other}: {}", reply.text()),
        }
    }
    assert_eq!(answers, [500, 20], "a stranger's own budget is all it uses");
    assert_eq!(with_receipt, 1, "one receipt stands for all that were turned away in a second");
    // From the very same address: the clock has not moved, so that every call comes out of the burst.
    for number in 0..5 {
        let good =
            Call::get(&format!("tid=B11{number}&payout=1")).header("x-crosstally-token", "acme-secret");
        assert_eq!(good.told(&server).await?.1, "recorded");
    }
    server.stop().await;
    Ok(())
}

async fn both_guards(kind: Kind) -> Result<()> {
    let call = |server: &TestServer| {
        Call::get("tid=B12&payout=1").signed(Scheme::Crosstally, "acme-secret", now_s(server), "")
    };
    let auth = |allow: &str| format!(r#"auth = {{ hmac = {{ env = "ACME_TOKEN" }}, allow = ["{allow}"] }}"#);
    let server = server(kind, &auth("203.0.113.0/24")).await?;
    assert_eq!(call(&server).told(&server).await?, refused(403, "address_not_allowed"));
    server.apply(&with_keys(&auth("127.0.0.1"))).await?;
    assert_eq!(Call::get("tid=B12&payout=1").told(&server).await?, refused(401, "signature_missing"));
    let forged = Call::get("tid=B12&payout=1").signed(Scheme::Crosstally, "guess", now_s(&server), "");
    assert_eq!(forged.told(&server).await?, refused(401, "signature_wrong"));
    assert_eq!(call(&server).told(&server).await?.1, "recorded");
    assert_eq!(conversions(&server).await?, 1);
    server.stop().await;
    Ok(())
}

async fn schemes(kind: Kind) -> Result<()> {
    for (scheme, name) in [
        (Scheme::Stripe, "stripe"),
        (Scheme::Shopify, "shopify"),
        (Scheme::Github, "github"),
        (Scheme::Woocommerce, "woocommerce"),
        (Scheme::Paddle, "paddle"),
        (Scheme::Lemonsqueezy, "lemonsqueezy"),
    ] {
        let keys = format!("signature = \"{name}\"\nauth = {{ secret = {{ env = \"ACME_TOKEN\" }} }}");
        let server = server(kind, &keys).await?;
        let call = Call::post(JSON, format!(r#"{{"tid":"S-{name}","payout":"1.50"}}"#));
        assert_eq!(call.told(&server).await?, refused(401, "signature_missing"), "{name}");
        let forged = call.clone().signed(scheme, "guess", now_s(&server), "");
        assert_eq!(forged.told(&server).await?, refused(401, "signature_wrong"), "{name}");
        let good = call.signed(scheme, "acme-secret", now_s(&server), "");
        assert_eq!(good.told(&server).await?.1, "recorded", "{name}");
        server.stop().await;
    }
    Ok(())
}
