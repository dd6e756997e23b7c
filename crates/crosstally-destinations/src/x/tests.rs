//! What is sent to a pixel, what is not, and what answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::identity::{Contact, sha256_hex};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{DAY_MS, Timestamp};
use serde_json::{Map, Value, json};

use super::X;
use crate::dialect::{BatchOutcome, Built, Dialect, Reading, Response, Settings};

const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
const APP: [&str; 4] = ["consumer_key", "consumer_secret", "access_token", "access_token_secret"];

fn settings(names: &[&str]) -> Settings {
    let ids = BTreeMap::from([("Purchase".to_owned(), "tw-o8z6j-o8z21".to_owned())]);
    let mut settings = Settings::default();
    settings.values.insert("pixel_id".into(), Setting::Text("o8z6j".into()));
    settings.values.insert("event_ids".into(), Setting::Map(ids));
    for name in names {
        settings.values.insert((*name).into(), Setting::Secret(SecretRef::Env("X".into())));
        settings.secrets.insert((*name).into(), Secret::new(format!("{name}-s3c")));
    }
    settings
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn purchase() -> OutboundEvent {
    // The platform's own published values.
    let contact = Contact {
        email: vec![sha256_hex("test@x.com")],
        e164_phone: vec![sha256_hex("+11234567890")],
        ..Contact::default()
    };
    OutboundEvent {
        event_name: "Purchase".into(),
        event_time: Timestamp::from_millis(1_764_205_200_000),
        event_id: "e-1".into(),
        action_source: "website".into(),
        event_source_url: Some("https://shop.example/thanks".into()),
        value: Some("12.30".into()),
        currency: Some("EUR".into()),
        contact,
        visitor: Visitor {
            ad_click_ids: object(json!({"twclid": "26l6412g5p4iyj65a2oic2ayg2"})),
            client_ip_address: Some("203.0.113.7".into()),
            client_user_agent: Some("Mozilla/5.0 test".into()),
            ..Visitor::default()
        },
        custom: object(json!({
            "order_id": "A-1", "num_items": 2, "content_name": "Hats",
            "contents": [{"id": "sku-1", "quantity": 2, "item_price": 6.15, "title": "Hat"}],
        })),
        ..OutboundEvent::default()
    }
}

fn build(events: &[OutboundEvent]) -> Built {
    X.build(&settings(&["pixel_token"]), events, NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}

fn header(built: &Built, name: &str) -> Option<String> {
    let headers = &built.request.as_ref().unwrap().headers;
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reading {
    let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let response = Response { status, headers, body: body.as_bytes().to_vec(), body_cut: false };
    X.read(&settings(&["pixel_token"]), &response, 2, NOW)
}

#[test]
fn a_request_is_what_the_fixture_says_with_the_published_hashes() {
    let built = build(&[purchase()]);
    let expected: Value = serde_json::from_str(include_str!("fixtures/request.json")).unwrap();
    assert_eq!(body(&built), expected);
    let request = built.request.as_ref().unwrap();
    assert_eq!(request.url, "https://ads-api.x.com/12/measurement/conversions/o8z6j");
    assert_eq!(header(&built, "x-pixel-token").unwrap(), "pixel_token-s3c");
    assert_eq!(header(&built, "authorization"), None);
    assert_eq!(request.masked("pixel_token-s3c"), "***");
}

#[test]
fn an_app_signs_every_call_anew() {
    let settings = settings(&APP);
    let at = |now: Timestamp| header(&X.build(&settings, &[purchase()], now), "authorization").unwrap();
    let first = at(NOW);
    assert!(first.starts_with("OAuth oauth_consumer_key=\"consumer_key-s3c\", oauth_nonce=\""), "{first}");
    for part in [
        "oauth_signature_method=\"HMAC-SHA1\"",
        "oauth_timestamp=\"1764205300\"",
        "oauth_token=\"access_token-s3c\"",
        "oauth_version=\"1.0\"",
        "oauth_signature=\"",
    ] {
        assert!(first.contains(part), "{first} lacks {part}");
    }
    assert!(!first.contains("secret-s3c"), "{first}");
    // Within one second too: a nonce is used once.
    let nonce =
        |header: &str| header.split("oauth_nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_ne!(nonce(&first), nonce(&at(NOW.plus_millis(1))));
    assert_eq!(first, at(NOW));
}

#[test]
fn one_way_to_sign_in_is_needed_and_not_two() {
    for (names, fine, words) in [
        (vec!["pixel_token"], true, ""),
        (APP.to_vec(), true, ""),
        (vec![], false, "or all of"),
        (APP[..3].to_vec(), false, "access_token_secret"),
        ([&APP[..2], &["pixel_token"]].concat(), false, "access_token"),
        ([&APP[..], &["pixel_token"]].concat(), false, "one of both"),
    ] {
        let found = X.check(&settings(&names).values);
        assert_eq!(found.is_empty(), fine, "{names:?} {found:?}");
        assert!(fine || found[0].problem.contains(words), "{found:?}");
    }
}

#[test]
fn an_event_has_the_id_of_the_settings_or_its_own() {
    let id = |name: &str| {
        let event = OutboundEvent { event_name: name.into(), ..purchase() };
        build(&[event]).request.map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body.pointer("/conversions/0/event_id").unwrap().as_str().unwrap().to_owned()
        })
    };
    assert_eq!(id("Purchase").unwrap(), "tw-o8z6j-o8z21");
    assert_eq!(id("tw-o8z6j-other").unwrap(), "tw-o8z6j-other");
    assert_eq!(id("Lead"), None);
}

#[test]
fn what_x_would_refuse_is_left_out_and_its_neighbours_go() {
    type Change = fn(&mut OutboundEvent);
    let cases: &[(Change, Reason, &str)] = &[
        (|event| event.event_name = "Lead".into(), Reason::EventIncomplete, "event_ids"),
        (|event| event.event_time = NOW.plus_millis(-90 * DAY_MS - 1), Reason::EventTooOld, "90 days"),
        (|event| event.event_time = NOW.plus_millis(61_000), Reason::EventIncomplete, "ahead"),
        (|event| event.value = Some("-1".into()), Reason::EventIncomplete, "0 or more"),
        (|event| event.opt_out = Some(true), Reason::ConsentDenied, "opt_out"),
        (
            |event| {
                let options = vec!["LDU".into()];
                event.data_processing = Some(DataProcessing { options, ..DataProcessing::default() });
            },
            Reason::ConsentDenied,
            "LDU",
        ),
        (
            |event| {
                event.custom.insert("num_items".into(), "two".into());
            },
            Reason::EventIncomplete,
            "num_items",
        ),
        (
            // Address and user agent alone are not enough.
            |event| {
                event.contact = Contact::default();
                event.visitor.ad_click_ids = Map::new();
            },
            Reason::EventIncomplete,
            "twclid",
        ),
    ];
    for (change, reason, words) in cases {
        let mut bad = purchase();
        change(&mut bad);
        let built = build(&[purchase(), bad, purchase()]);
        assert_eq!(built.included, [0, 2], "{words}");
        assert_eq!((built.left_out[0].index, built.left_out[0].reason), (1, *reason));
        assert!(built.left_out[0].detail.contains(words), "{}", built.left_out[0].detail);
    }
    assert_eq!(build(&vec![purchase(); 501]).included.len(), 500);
}

#[test]
fn settings_are_checked() {
    for (name, setting, words) in [
        ("pixel_id", Setting::Text("o8/z".into()), "not an id"),
        ("event_ids", Setting::Map(BTreeMap::from([("Lead".to_owned(), "a b".to_owned())])), "\"Lead\""),
        ("event_ids", Setting::Map(BTreeMap::new()), "empty"),
        ("endpoint", Setting::Text("ads-api.x.com".into()), "absolute"),
    ] {
        let mut settings = settings(&["pixel_token"]);
        settings.values.insert(name.to_owned(), setting);
        let found = X.check(&settings.values);
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].setting == name && found[0].problem.contains(words), "{found:?}");
    }
}

#[test]
fn only_a_full_count_is_delivered() {
    for (body, expected) in [
        (r#"{"data":{"conversions_processed":2,"debug_id":"d"}}"#, Outcome::Delivered),
        (r#"{"data":{"conversions_processed":"2"}}"#, Outcome::Delivered),
        (
            r#"{"data":{"conversions_processed":1}}"#,
            Outcome::Retry { reason: Reason::DestPartial, after_ms: None },
        ),
        (
            r#"{"data":{"conversions_processed":3}}"#,
            Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None },
        ),
        ("{}", Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None }),
        ("", Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None }),
    ] {
        assert_eq!(answer(200, &[], body).outcome, BatchOutcome::Whole(expected), "{body}");
    }
}

#[test]
fn troubles_are_told_apart() {
    let pause = |reason| Outcome::Pause { reason };
    let retry = |reason, after_ms| Outcome::Retry { reason, after_ms };
    let split = Outcome::Split { reason: Reason::DestRejected };
    let errors =
        r#"{"errors":[{"code":"INVALID_PARAMETER","message":"bad pixel_token-s3c","parameter":"event_id"}]}"#;
    let reset = [("x-rate-limit-reset", "1764205390")];
    for (status, headers, body, expected) in [
        (400, [].as_slice(), errors, split.clone()),
        (413, &[], "", split),
        (401, &[], errors, pause(Reason::DestAuth)),
        (401, &[], "", pause(Reason::DestAuth)),
        (403, &[], errors, pause(Reason::DestPermission)),
        (403, &[], "", pause(Reason::DestPermission)),
        (404, &[], errors, pause(Reason::DestMisconfigured)),
        (410, &[], errors, pause(Reason::DestGone)),
        (429, &reset, errors, retry(Reason::DestRateLimited, Some(90_000))),
        (429, &[("retry-after", "5")], "", retry(Reason::DestRateLimited, Some(5_000))),
        (503, &[], errors, retry(Reason::DestServerError, None)),
        (302, &[], "", retry(Reason::DestRedirected, None)),
    ] {
        let reading = answer(status, headers, body);
        assert_eq!(reading.outcome, BatchOutcome::Whole(expected), "{status} {body}");
        assert!(!reading.detail.contains("s3c"), "{}", reading.detail);
    }
}
