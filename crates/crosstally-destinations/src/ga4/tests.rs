//! What is sent to a web stream, what is not, and what answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::identity::{Contact, ContactIn, hash_contact};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{HOUR_MS, Timestamp};
use serde_json::{Map, Value, json};

use super::GA4;
use crate::dialect::{BatchOutcome, Built, Dialect, Response, Settings};

const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
const SECRET: &str = "s3c/ret+1";

fn settings(more: &[(&str, Setting)]) -> Settings {
    let mut values = BTreeMap::from([
        ("measurement_id".to_owned(), Setting::Text("G-ABC123".to_owned())),
        ("api_secret".to_owned(), Setting::Secret(SecretRef::Env("GA4".to_owned()))),
    ]);
    values.extend(more.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())));
    Settings {
        values,
        secrets: BTreeMap::from([("api_secret".to_owned(), Secret::new(SECRET))]),
        ..Settings::default()
    }
}

fn contact() -> Contact {
    let given = ContactIn {
        email: vec!["Jane.Doe+X@GoogleMail.com".into()],
        phone: vec!["+11234567890".into()],
        ..ContactIn::default()
    };
    hash_contact(&given, None, 2025).0
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn purchase() -> OutboundEvent {
    OutboundEvent {
        event_name: "Purchase".into(),
        event_time: Timestamp::from_millis(1_764_205_200_000),
        event_id: "e-1".into(),
        action_source: "website".into(),
        event_source_url: Some("https://shop.example/thanks".into()),
        referrer_url: Some("https://shop.example/cart".into()),
        value: Some("12.30".into()),
        currency: Some("EUR".into()),
        contact: contact(),
        visitor: Visitor {
            client_ip_address: Some("203.0.113.7".into()),
            client_user_agent: Some("Mozilla/5.0 test".into()),
            other: map(json!({"ga_client_id": "1234567890.1700000000", "ga_session_id": "1764200000"})),
            ..Visitor::default()
        },
        custom: map(json!({
            "order_id": "A-1001",
            "contents": [
                {"id": "sku-1", "quantity": 2, "item_price": 6.15, "title": "Hat", "brand": "Nord", "category": "Hats"},
                {"id": 77, "delivery_category": "in_store"}, {"quantity": 1}, 5,
            ],
            "coupon": "WINTER", "is_new": true, "content_ids": ["a"], "bad-name": 1, "ga_x": 1, "long": "x".repeat(101),
            "value": 3, "nothing": null,
        })),
        ..OutboundEvent::default()
    }
}

fn build(settings: &Settings, event: OutboundEvent) -> Built {
    GA4.build(settings, &[event], NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}

fn sent(change: impl FnOnce(&mut OutboundEvent)) -> Value {
    let mut event = purchase();
    change(&mut event);
    body(&build(&settings(&[]), event))
}

fn refusal(change: impl FnOnce(&mut OutboundEvent)) -> (Reason, String) {
    let mut event = purchase();
    change(&mut event);
    let built = build(&settings(&[]), event);
    assert!(built.request.is_none());
    (built.left_out[0].reason, built.left_out[0].detail.clone())
}

#[test]
fn a_purchase_is_what_the_fixture_says_with_its_own_digits() {
    let built = build(&settings(&[]), purchase());
    let expected: Value = serde_json::from_str(include_str!("fixtures/purchase.json")).unwrap();
    assert_eq!(body(&built), expected);
    assert!(built.payloads[0].contains("\"value\":12.30,"), "{}", built.payloads[0]);
}

#[test]
fn the_secret_stands_in_the_url_and_is_shown_nowhere() {
    let built = build(&settings(&[]), purchase());
    let request = built.request.unwrap();
    assert_eq!(
        request.url,
        "https://www.google-analytics.com/mp/collect?measurement_id=G-ABC123&api_secret=s3c%2Fret%2B1"
    );
    assert_eq!(
        request.url_shown(),
        "https://www.google-analytics.com/mp/collect?measurement_id=G-ABC123&api_secret=***"
    );
    assert!(!format!("{request:?} {:?}", request.masked("s3c/ret+1 s3c%2Fret%2B1")).contains("s3c"));
    let text = |text: &str| Setting::Text(text.to_owned());
    let elsewhere = settings(&[
        ("endpoint", text("https://region1.google-analytics.com/")),
        ("validate_only", Setting::Flag(true)),
    ]);
    let url = build(&elsewhere, purchase()).request.unwrap().url_shown();
    assert!(url.starts_with("https://region1.google-analytics.com/debug/mp/collect?"), "{url}");
}

#[test]
fn each_event_is_a_request_of_its_own() {
    let mut bad = purchase();
    bad.event_name = "session_start".into();
    let built = GA4.build(&settings(&[]), &[bad, purchase(), purchase()], NOW);
    assert_eq!((built.included.as_slice(), built.left_out.len(), GA4.batch_max()), ([1].as_slice(), 1, 1));
}

#[test]
fn standard_names_become_googles_and_others_go_as_they_are() {
    for (ours, theirs) in [
        ("Purchase", "purchase"),
        ("Lead", "generate_lead"),
        ("CompleteRegistration", "sign_up"),
        ("AddToCart", "add_to_cart"),
        ("InitiateCheckout", "begin_checkout"),
        ("AddPaymentInfo", "add_payment_info"),
        ("ViewContent", "view_item"),
        ("PageView", "page_view"),
        ("Search", "search"),
        ("Subscribe", "subscribe"),
        ("Refund", "refund"),
        ("qualify_lead", "qualify_lead"),
    ] {
        let body = sent(|event| event.event_name = ours.into());
        assert_eq!(body.pointer("/events/0/name").unwrap(), theirs);
    }
}

#[test]
fn the_client_id_comes_from_the_sender_the_click_or_the_cookie() {
    for (other, params, expected) in [
        (json!({"ga_client_id": "1.2"}), json!({"ga_client_id": "3.4"}), "1.2"),
        (json!({}), json!({"ga_client_id": "3.4"}), "3.4"),
        (json!({}), json!({"_ga": "GA1.1.55.66"}), "55.66"),
        (json!({}), json!({"ga_client_id": "GA1.2.55.66"}), "55.66"),
        (json!({"_ga": "GA1.2-2.55.66"}), json!({}), "55.66"),
        // Nobody filled these in.
        (json!({}), json!({"ga_client_id": "{client_id}", "_ga": "GA1.1.55.66"}), "55.66"),
        (json!({"ga_client_id": "%%CID%%"}), json!({"ga_client_id": "3.4"}), "3.4"),
    ] {
        let body = sent(|event| {
            event.visitor.other = map(other.clone());
            event.origin.params = map(params.clone());
        });
        assert_eq!(body["client_id"], expected, "{other} {params}");
    }
}

#[test]
fn without_a_client_id_nothing_is_made_up_unless_the_settings_say_so() {
    let nobody = |event: &mut OutboundEvent| {
        event.visitor.other = Map::new();
        event.origin.click_id = "click1".into();
    };
    let (reason, detail) = refusal(nobody);
    assert_eq!(reason, Reason::EventIncomplete);
    assert!(detail.contains("ga_client_id") && detail.contains("without_client_id"), "{detail}");
    let derive = settings(&[("without_client_id", Setting::Text("derive".into()))]);
    let id = |event_id: &str, click: &str| {
        let mut event = purchase();
        nobody(&mut event);
        event.event_id = event_id.into();
        event.origin.click_id = click.into();
        body(&build(&derive, event))["client_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(id("e-1", "click1"), id("e-2", "click1"));
    assert_ne!(id("e-1", "click1"), id("e-1", "click2"));
    assert_ne!(id("e-1", ""), id("e-2", ""));
    let (first, second) =
        id("e-1", "click1").split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(first.parse::<u32>().is_ok() && second.parse::<u32>().is_ok());
}

#[test]
fn what_google_would_drop_in_silence_is_refused() {
    let incomplete = Reason::EventIncomplete;
    type Change = fn(&mut OutboundEvent);
    let cases: &[(Change, Reason, &str)] = &[
        (|event| event.event_name = "x".repeat(41), incomplete, "event_name"),
        (|event| event.event_name = "1st".into(), incomplete, "event_name"),
        (|event| event.event_name = "my event".into(), incomplete, "event_name"),
        (|event| event.event_name = String::new(), incomplete, "event_name"),
        (|event| event.event_name = "first_visit".into(), incomplete, "reserved"),
        (|event| event.event_name = "ga_thing".into(), incomplete, "reserved"),
        (|event| event.value = None, incomplete, "value is required"),
        (|event| event.currency = None, incomplete, "currency is required"),
        (|event| event.value = Some("-1".into()), incomplete, "value must be 0 or more"),
        (|event| event.value = Some("1e3".into()), incomplete, "value must be a plain decimal"),
        (
            |event| {
                event.event_name = "Lead".into();
                event.currency = None;
            },
            incomplete,
            "currency is required beside a value",
        ),
        (|event| event.event_time = NOW.plus_millis(-72 * HOUR_MS - 1), Reason::EventTooOld, "72 hours"),
        (|event| event.event_time = NOW.plus_millis(61_000), incomplete, "ahead"),
        (|event| event.visitor.client_ip_address = Some("x".into()), incomplete, "client_ip_address"),
        (
            |event| {
                event.visitor.other.insert("ga_client_id".into(), "ü".into());
            },
            incomplete,
            "ga_client_id",
        ),
    ];
    for (change, reason, words) in cases {
        let (found, detail) = refusal(change);
        assert_eq!(found, *reason, "{detail}");
        assert!(detail.contains(words), "{detail} has no {words}");
    }
    let oldest = sent(|event| event.event_time = NOW.plus_millis(-72 * HOUR_MS));
    assert_eq!(oldest["timestamp_micros"].to_string(), "1763946100000000");
}

#[test]
fn no_more_parameters_than_google_takes() {
    let body = sent(|event| {
        event.custom = (0..40).map(|number| (format!("p{number}"), Value::from(number))).collect();
    });
    let params = body.pointer("/events/0/params").unwrap().as_object().unwrap();
    assert_eq!(params.len(), 25);
    assert_eq!(params["transaction_id"], "e-1");
}

#[test]
fn long_texts_are_cut_and_long_orders_stay_apart() {
    let order = |end: &str| {
        let body = sent(|event| {
            let order = format!("{}{end}", "9".repeat(100));
            let contents = json!([{"id": "é".repeat(101), "title": "t".repeat(100), "quantity": 2}]);
            event.custom = map(json!({"order_id": order, "contents": contents}));
        });
        let params = body.pointer("/events/0/params").unwrap().clone();
        let item = params.pointer("/items/0").unwrap();
        let chars = |key: &str| item[key].as_str().unwrap().chars().count();
        assert_eq!((chars("item_id"), chars("item_name")), (100, 100));
        params["transaction_id"].as_str().unwrap().to_owned()
    };
    assert_eq!(order(""), "9".repeat(100));
    assert_eq!((order("1").len(), order("2").len()), (64, 64));
    assert_ne!(order("1"), order("2"));
}

#[test]
fn limits_of_use_deny_both_uses_and_nothing_is_granted_unasked() {
    let denied = json!({"ad_user_data": "DENIED", "ad_personalization": "DENIED"});
    let limits = |options: &[&str]| DataProcessing {
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..DataProcessing::default()
    };
    for (opt_out, data_processing, expected) in [
        (None, None, None),
        (Some(false), Some(limits(&[])), None),
        (Some(true), None, Some(&denied)),
        (None, Some(limits(&["LDU"])), Some(&denied)),
    ] {
        let body = sent(|event| (event.opt_out, event.data_processing) = (opt_out, data_processing.clone()));
        assert_eq!(body.get("consent"), expected);
    }
}

#[test]
fn only_sha256_leaves_as_contact() {
    let body = sent(|event| {
        event.contact =
            Contact { google_email: vec!["d41d8cd98f00b204e9800998ecf8427e".into()], ..Contact::default() };
    });
    assert_eq!(body.get("user_data"), None);
}

#[test]
fn settings_are_checked() {
    for (name, value, words) in [
        ("measurement_id", "UA-123-1", "G-"),
        ("measurement_id", "G-", "G-"),
        ("without_client_id", "maybe", "derive"),
        ("endpoint", "www.google-analytics.com", "absolute"),
        ("endpoint", "https://a.example/?x", "query"),
    ] {
        let found = GA4.check(&settings(&[(name, Setting::Text(value.to_owned()))]).values);
        assert_eq!(found.len(), 1, "{name} {value}");
        assert!(found[0].setting == name && found[0].problem.contains(words), "{found:?}");
    }
    assert_eq!(GA4.check(&settings(&[]).values), []);
}

#[test]
fn answers_prove_nothing_and_troubles_are_told_apart() {
    let retry = |reason, after_ms| Outcome::Retry { reason, after_ms };
    let pause = |reason| Outcome::Pause { reason };
    let valid = settings(&[("validate_only", Setting::Flag(true))]);
    let plain = settings(&[]);
    let problem = r#"{"validationMessages":[{"fieldPath":"events.params","description":"bad s3c/ret+1","validationCode":"VALUE_INVALID"}]}"#;
    for (settings, status, body, expected) in [
        (&plain, 204, "", Outcome::Unverified),
        (&plain, 200, "GIF89a", Outcome::Unverified),
        (&plain, 302, "", retry(Reason::DestRedirected, None)),
        (&plain, 401, "", pause(Reason::DestAuth)),
        (&plain, 403, "", pause(Reason::DestPermission)),
        (&plain, 404, "", pause(Reason::DestMisconfigured)),
        (&plain, 413, "", Outcome::Split { reason: Reason::DestRejected }),
        (&plain, 429, "", retry(Reason::DestRateLimited, Some(7_000))),
        (&plain, 503, "", retry(Reason::DestServerError, Some(7_000))),
        (&valid, 200, r#"{"validationMessages":[]}"#, Outcome::Unverified),
        (&valid, 200, problem, Outcome::Refused { reason: Reason::DestRejected }),
        (&valid, 200, "{}", retry(Reason::DestUnreadable, None)),
    ] {
        let headers = vec![("retry-after".to_owned(), "7".to_owned())];
        let response = Response { status, headers, body: body.as_bytes().to_vec(), body_cut: false };
        let reading = GA4.read(settings, &response, 1, NOW);
        assert_eq!(reading.outcome, BatchOutcome::Whole(expected), "{status} {body}");
        assert!(!reading.detail.contains("s3c"), "{}", reading.detail);
    }
}
