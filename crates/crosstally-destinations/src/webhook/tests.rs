//! What is posted, how it is signed, and what answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crosstally_core::config::Setting;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{DataProcessing, Origin, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{DAY_MS, Timestamp};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Webhook;
use super::sign::Key;
use crate::dialect::{BatchOutcome, Built, Dialect, Response, Settings};

const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_999);
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings(secrets: &[(&str, &str)]) -> Settings {
    let values =
        BTreeMap::from([("url".to_owned(), Setting::Text("https://crm.example/hooks?a=1".to_owned()))]);
    let secrets = secrets.iter().map(|&(name, text)| (name.to_owned(), Secret::new(text))).collect();
    Settings { values, secrets, ..Settings::default() }
}

fn purchase() -> OutboundEvent {
    let object = |value: Value| value.as_object().unwrap().clone();
    OutboundEvent {
        event_name: "Purchase".into(),
        event_time: Timestamp::from_millis(1_764_205_200_000),
        event_id: "e-1".into(),
        action_source: "website".into(),
        event_source_url: Some("https://shop.example/thanks".into()),
        value: Some("12.30".into()),
        currency: Some("EUR".into()),
        custom: object(json!({"order_id": "A-1001"})),
        origin: Origin {
            goal: "purchase".into(),
            conversion: "cnv_1".into(),
            click_id: "c1".into(),
            click_time: Some(Timestamp::from_millis(1_764_201_600_000)),
            campaign: "summer".into(),
            source: "facebook".into(),
            partner: "acme".into(),
            transaction_id: "A-1001".into(),
            status: "approved".into(),
            payout: "12.30".into(),
            revenue: "99.90".into(),
            currency: "EUR".into(),
            params: object(json!({"sub1": "ad7"})),
            ..Origin::default()
        },
        ..OutboundEvent::default()
    }
}

fn build_at(settings: &Settings, event: &OutboundEvent, now: Timestamp) -> Built {
    Webhook.build(settings, std::slice::from_ref(event), now)
}

fn header(built: &Built, name: &str) -> String {
    let headers = &built.request.as_ref().unwrap().headers;
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap()
}

#[test]
fn the_published_vectors_are_met() {
    for (secret, id, timestamp_s, body, expected) in [
        (
            NEW,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            OLD,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ] {
        let key = Key::read(&Secret::new(secret)).unwrap();
        assert_eq!(key.sign(id, timestamp_s, body.as_bytes()), expected);
        assert_ne!(key.sign(id, timestamp_s + 1, body.as_bytes()), expected);
    }
    // Bytes are signed, not text.
    let key = Key::read(&Secret::new(OLD)).unwrap();
    assert_ne!(key.sign("m", 1, b"\xff"), key.sign("m", 1, "\u{fffd}".as_bytes()));
}

#[test]
fn a_private_key_signs_what_its_public_half_verifies() {
    let seed = [7_u8; 32];
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    for bytes in [seed.to_vec(), [seed.as_slice(), &public].concat()] {
        let key = Key::read(&Secret::new(format!("whsk_{}", BASE64.encode(bytes)))).unwrap();
        let signed = key.sign("msg_1", 1_764_205_300, b"{}");
        let signature = BASE64.decode(signed.strip_prefix("v1a,").unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&ED25519, &public);
        public.verify(b"msg_1.1764205300.{}", &signature).unwrap();
        assert!(public.verify(b"msg_1.1764205301.{}", &signature).is_err());
    }
}

#[test]
fn a_secret_that_cannot_sign_is_told() {
    let short = BASE64.encode([1; 23]);
    let long = BASE64.encode([1; 65]);
    let odd_pair = format!("whsk_{}", BASE64.encode([7; 64]));
    for bad in ["", "whsec_", "whsec_not base64", &short, &long, "whsk_", "whsk_AAAA", &odd_pair] {
        let both = settings(&[("secret", bad), ("old_secret", NEW)]);
        assert_eq!(Webhook.unusable_secrets(&both), ["secret"], "{bad}");
    }
    let good = [BASE64.encode([1; 24]), BASE64.encode([1; 64])];
    assert!(
        Webhook.unusable_secrets(&settings(&[("secret", &good[0]), ("old_secret", &good[1])])).is_empty()
    );
    assert!(Webhook.unusable_secrets(&settings(&[])).is_empty());
}

#[test]
fn an_event_is_what_the_fixture_says_and_holds_no_contact() {
    let mut event = purchase();
    event.contact.email = vec!["ab".repeat(32)];
    event.visitor.client_ip_address = Some("203.0.113.7".into());
    let built = build_at(&settings(&[("secret", NEW)]), &event, NOW);
    let request = built.request.as_ref().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected: Value = serde_json::from_str(include_str!("fixtures/purchase.json")).unwrap();
    assert_eq!(body, expected);
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://crm.example/hooks?a=1"));
    assert_eq!(header(&built, "content-type"), "application/json");
    assert_eq!(header(&built, "crosstally-hops"), "1");
    event.origin.hops = 4;
    assert_eq!(header(&build_at(&settings(&[("secret", NEW)]), &event, NOW), "crosstally-hops"), "5");
    assert_eq!(request.masked(NEW), "***");
}

#[test]
fn a_senders_own_marks_are_told_as_they_are() {
    let marks = |opt_out, data_processing: Option<DataProcessing>| {
        let event = OutboundEvent { opt_out, data_processing, ..purchase() };
        let request = build_at(&settings(&[("secret", NEW)]), &event, NOW).request.unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let told = body["data"].as_object().unwrap().clone().into_iter();
        Value::from_iter(told.filter(|(key, _)| key == "opt_out" || key.starts_with("data_processing")))
    };
    assert_eq!(marks(None, None), json!({}));
    let limits = DataProcessing { options: vec!["LDU".into()], country: Some(1), state: Some(1000) };
    assert_eq!(
        marks(Some(true), Some(limits)),
        json!({
            "opt_out": true, "data_processing_options": ["LDU"],
            "data_processing_options_country": 1, "data_processing_options_state": 1000,
        })
    );
    let unlimited = Some(DataProcessing::default());
    assert_eq!(marks(Some(false), unlimited), json!({"opt_out": false, "data_processing_options": []}));
}

#[test]
fn every_attempt_has_the_same_id_and_its_own_time_and_signature() {
    let settings = settings(&[("secret", NEW)]);
    let first = build_at(&settings, &purchase(), NOW);
    let second = build_at(&settings, &purchase(), NOW.plus_millis(DAY_MS));
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"));
    assert_eq!(header(&first, "webhook-timestamp"), "1764205300");
    assert_eq!(header(&second, "webhook-timestamp"), "1764291700");
    assert_ne!(header(&first, "webhook-signature"), header(&second, "webhook-signature"));
    assert_eq!(first.request.as_ref().unwrap().body, second.request.as_ref().unwrap().body);
    let id = header(&first, "webhook-id");
    assert!(id.len() == 36 && id.starts_with("msg_") && !id.contains('.'), "{id}");
    let expected =
        Key::read(&Secret::new(NEW)).unwrap().sign(&id, 1_764_205_300, &first.request.unwrap().body);
    assert_eq!(header(&build_at(&settings, &purchase(), NOW), "webhook-signature"), expected);
}

#[test]
fn no_two_events_share_an_id() {
    let id = |change: fn(&mut OutboundEvent)| {
        let mut event = purchase();
        change(&mut event);
        header(&build_at(&settings(&[("secret", NEW)]), &event, NOW), "webhook-id")
    };
    let ids = [
        id(|_| {}),
        id(|event| event.event_id = "e-2".into()),
        id(|event| event.event_name = "Lead".into()),
        id(|event| event.origin.goal = "lead".into()),
        id(|event| event.origin.conversion = "cnv_2".into()),
    ];
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn during_a_rotation_both_secrets_sign_the_new_one_first() {
    let private = format!("whsk_{}", BASE64.encode([7; 32]));
    for (new, old) in [(NEW, OLD), (NEW, private.as_str()), (private.as_str(), NEW)] {
        let built = build_at(&settings(&[("secret", new), ("old_secret", old)]), &purchase(), NOW);
        let id = header(&built, "webhook-id");
        let body = &built.request.as_ref().unwrap().body;
        let sign = |secret: &str| Key::read(&Secret::new(secret)).unwrap().sign(&id, NOW.as_seconds(), body);
        assert_eq!(header(&built, "webhook-signature"), format!("{} {}", sign(new), sign(old)));
    }
}

#[test]
fn what_is_too_old_or_nameless_is_left_out_and_the_next_one_goes() {
    let mut old = purchase();
    old.event_time = NOW.plus_millis(-30 * DAY_MS - 1);
    let mut nameless = purchase();
    nameless.event_name = " ".into();
    let built = Webhook.build(&settings(&[("secret", NEW)]), &[old, nameless, purchase(), purchase()], NOW);
    assert_eq!(built.included, [2]);
    let reasons: Vec<Reason> = built.left_out.iter().map(|left| left.reason).collect();
    assert_eq!(reasons, [Reason::EventTooOld, Reason::EventIncomplete]);
}

#[test]
fn settings_are_checked() {
    let mut values = settings(&[]).values;
    assert_eq!(Webhook.check(&values), []);
    values.insert("max_age_days".into(), Setting::Integer(0));
    values.insert("url".into(), Setting::Text("https://crm.example/#x".into()));
    let names: Vec<String> = Webhook.check(&values).into_iter().map(|found| found.setting).collect();
    assert_eq!(names, ["max_age_days", "url"]);
}

#[test]
fn an_answer_that_repeats_the_secret_without_its_prefix_is_told_without_it() {
    let bare = NEW.strip_prefix("whsec_").unwrap();
    let settings = settings(&[("secret", NEW), ("old_secret", OLD)]);
    // Also where the secret would be cut in two.
    for before in [0, 250, 260, 280, 295] {
        for secret in [NEW, bare, OLD] {
            let said = format!("{} {secret} ", "x".repeat(before));
            let headers = vec![("location".to_owned(), format!("https://crm.example/{said}"))];
            for status in [200, 302, 400, 500] {
                let body = said.clone().into_bytes();
                let response = Response { status, body, headers: headers.clone(), ..Response::default() };
                let told = Webhook.read(&settings, &response, 1, NOW).detail;
                assert!(!told.contains("C2FV") && !told.contains("MfKQ"), "{status} {before}: {told}");
            }
        }
    }
}

#[test]
fn only_the_status_counts() {
    for (status, expected) in [
        (200, Outcome::Delivered),
        (204, Outcome::Delivered),
        (302, Outcome::Retry { reason: Reason::DestRedirected, after_ms: None }),
        (400, Outcome::Doubted { reason: Reason::DestRejected }),
        (401, Outcome::Pause { reason: Reason::DestAuth }),
        (410, Outcome::Pause { reason: Reason::DestGone }),
        (429, Outcome::Retry { reason: Reason::DestRateLimited, after_ms: None }),
        (500, Outcome::Retry { reason: Reason::DestServerError, after_ms: None }),
    ] {
        let response = Response { status, body: b"no".to_vec(), ..Response::default() };
        let reading = Webhook.read(&settings(&[("secret", NEW)]), &response, 1, NOW);
        assert_eq!(reading.outcome, BatchOutcome::Whole(expected), "{status}");
    }
}
