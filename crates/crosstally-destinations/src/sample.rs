//! Samples for tests: an event that every platform takes, settings of every kind, and whatever could stand in a store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::delivery::Outcome;
use crosstally_core::event::server_event::{self, ServerDefaults};
use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::dialect::{BatchOutcome, Dialect, FieldType, Request, Response, SettingField, Settings};

/// 2025-11-27T01:01:40Z
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
pub(crate) const TOKEN: &str = "EAAB-tok/en+1";

/// Settings of texts, with the token under `secret`.
pub(crate) fn settings(secret: &str, texts: &[(&str, &str)]) -> Settings {
    let mut values: BTreeMap<String, Setting> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), Setting::Text((*text).to_owned()))).collect();
    values.insert(secret.to_owned(), Setting::Secret(SecretRef::Env("TOKEN".to_owned())));
    Settings {
        values,
        secrets: BTreeMap::from([(secret.to_owned(), Secret::new(TOKEN))]),
        ..Settings::default()
    }
}

/// What a kind needs to send anything, the token under the first name.
pub(crate) fn needs(kind: &str) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match kind {
        "meta" => ("access_token", &[("dataset_id", "1234567890")]),
        "tiktok" => ("access_token", &[("pixel_code", "C0DE")]),
        "snapchat" | "reddit" | "openai" => ("access_token", &[("pixel_id", "P1")]),
        "pinterest" => ("access_token", &[("ad_account_id", "A1")]),
        "microsoft" => ("access_token", &[("tag_id", "T1")]),
        "google_data_manager" => (
            "access_token",
            &[
                ("account_id", "123-456-7890"),
                ("conversion_actions", "Purchase=1"),
                ("client_id", "app.example"),
            ],
        ),
        "ga4" => ("api_secret", &[("measurement_id", "G-ABC123"), ("without_client_id", "derive")]),
        "linkedin" => ("access_token", &[("conversion_rules", "Purchase=104012"), ("api_version", "202610")]),
        "x" => ("pixel_token", &[("pixel_id", "o8z6j"), ("event_ids", "Purchase=tw-o8z6j-o8z21")]),
        "postback" => ("secret", &[("url", "https://a.example/p?c={click_id}&t={secret}")]),
        other => panic!("{other} needs a sample of its settings"),
    }
}

/// A kind's settings, those that it needs and more.
pub(crate) fn of_kind(kind: &str, more: &[(&str, &str)]) -> Settings {
    let (secret, needed) = needs(kind);
    let mut settings = settings(secret, &[needed, more].concat());
    for field in catalog::by_kind(kind).unwrap().fields() {
        let name = field.name.to_owned();
        match (field.field_type, settings.values.get(field.name)) {
            (FieldType::Map, Some(Setting::Text(text))) => {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                let map = BTreeMap::from([(key.to_owned(), value.to_owned())]);
                settings.values.insert(name, Setting::Map(map));
            }
            (FieldType::Secret, None) if field.required => {
                settings.values.insert(name.clone(), Setting::Secret(SecretRef::Env("TOKEN".to_owned())));
                settings.secrets.insert(name, Secret::new(TOKEN));
            }
            _ => {}
        }
    }
    // What a sign-in has got is no setting.
    let named = |field: &SettingField| field.name == secret;
    if !catalog::by_kind(kind).unwrap().fields().iter().any(named) {
        settings.values.remove(secret);
    }
    settings
}

/// A server event that every platform takes; its `event_time` is now.
pub(crate) fn purchase() -> Value {
    json!({
        "event": "Purchase", "event_id": "e-1", "value": "10.00", "currency": "USD",
        "event_source_url": "https://shop.example/thanks",
        "user": {"email": "a@b.example", "client_user_agent": "UA/1.0", "client_ip_address": "2001:db8::1"},
    })
}

/// Reads a server event and sets each pointer to the value given, `null` to take it away.
pub(crate) fn event(changes: &[(&str, Value)]) -> OutboundEvent {
    read(&changed(purchase(), changes))
}

pub(crate) fn changed(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(key.to_owned(), value.clone());
    }
    event
}

pub(crate) fn read(event: &Value) -> OutboundEvent {
    taken(event).unwrap()
}

/// The event, unless it is refused at the door.
pub(crate) fn taken(event: &Value) -> Option<OutboundEvent> {
    let defaults = ServerDefaults { default_region: None, now: NOW };
    Some(server_event::read(event.to_string().as_bytes(), defaults).ok()?.event)
}

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inside| {
        prop_oneof![
            prop::collection::vec(inside.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inside), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A map with some of the known keys, and keys that nobody knows.
fn any_map(known: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![3 => prop::sample::select(known).prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec((key, any_json()), 0..5).prop_map(|members| members.into_iter().collect())
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        ".{0,20}",
        Just("https://a.example/".to_owned()),
        "-?[0-9]{0,4}\\.?[0-9]{0,3}",
        "fb\\.1\\.[0-9]{13}\\.[0-9]{1,4}"
    ])
}

/// Any event that could stand in a store, sound or not.
pub(crate) fn any_event() -> impl Strategy<Value = OutboundEvent> {
    let visitor =
        (any_text(), any_text(), any_text(), any_text(), any_map(&["lead_id", "page_id", "ctwa_clid"]))
            .prop_map(|(client_ip_address, client_user_agent, fbc, fbp, other)| Visitor {
                client_ip_address,
                client_user_agent,
                fbc,
                fbp,
                other: other.clone(),
                ad_click_ids: other,
            });
    let limits =
        prop::option::of((prop::collection::vec(".{0,4}", 0..2), any::<Option<i64>>(), any::<Option<i64>>()))
            .prop_map(|limits| {
                limits.map(|(options, country, state)| DataProcessing { options, country, state })
            });
    let source =
        prop_oneof![Just("website".to_owned()), Just("app".to_owned()), Just("other".to_owned()), ".{0,8}"];
    let custom = any_map(&["value", "contents", "content_ids", "num_items", "order_id"]);
    let extra = any_map(&["app_data", "original_event_data", "attribution_data", "messaging_channel"]);
    let texts = (".{0,12}", source, any_text(), any_text(), any_text(), any_text());
    let sound = event(&[]);
    (any::<bool>(), any::<i64>(), texts, limits, visitor, custom, extra).prop_map(
        move |(near, at, (name, source, url, referrer, value, currency), limits, visitor, custom, extra)| {
            OutboundEvent {
                event_time: if near { NOW } else { Timestamp::from_millis(at) },
                event_name: name,
                action_source: source,
                event_source_url: url,
                referrer_url: referrer,
                value,
                currency,
                data_processing: limits,
                visitor,
                custom,
                extra,
                ..sound.clone()
            }
        },
    )
}

/// An event with what most platforms have a place for, and these changes.
pub(crate) fn rich(changes: &[(&str, Value)]) -> OutboundEvent {
    let contents = json!([
        {"id": 7, "quantity": 2, "item_price": "5.00", "title": "Shirt", "category": "C", "brand": "B"}
    ]);
    let base = [
        ("/transaction_id", json!("T-1")),
        ("/user/phone", json!("+1 650 555 1212")),
        ("/user/external_id", json!("User-42")),
        ("/user/gender", json!("f")),
        (
            "/custom",
            json!({
                "num_items": 2, "content_ids": ["7"], "search_string": "shirt", "own": "stays here",
                "contents": contents,
            }),
        ),
    ];
    event(&[&base, changes].concat())
}

/// Changes that limit use as California's law asks for.
pub(crate) fn limited() -> [(&'static str, Value); 3] {
    [
        ("/data_processing_options", json!(["LDU"])),
        ("/data_processing_options_country", json!(1)),
        ("/data_processing_options_state", json!(1000)),
    ]
}

/// The request of one event, and its body.
pub(crate) fn sent(dialect: &dyn Dialect, more: &[(&str, &str)], event: OutboundEvent) -> (Request, Value) {
    let request = dialect.build(&of_kind(dialect.kind(), more), &[event], NOW).request.unwrap();
    let body = serde_json::from_slice(&request.body).unwrap();
    (request, body)
}

/// Whether the token goes as a bearer's.
pub(crate) fn is_bearer(request: &Request) -> bool {
    request.headers.contains(&("authorization".to_owned(), format!("Bearer {TOKEN}")))
}

/// Reads recorded answers to a request of two events and compares what they mean: a word and a reason, or one pair for
/// each event.
pub(crate) fn check_answers(dialect: &dyn Dialect, answers: &str) {
    for case in json_of(answers).as_array().unwrap() {
        let status = u16::try_from(case.get("status").unwrap().as_u64().unwrap()).unwrap();
        let body = case.get("body").unwrap().to_string().into_bytes();
        let response = Response { status, body, ..Response::default() };
        let reading = dialect.read(&of_kind(dialect.kind(), &[]), &response, 2, NOW);
        let pair = |outcome: &Outcome| json!([outcome.as_str(), outcome.reason().code()]);
        let found = match &reading.outcome {
            BatchOutcome::Whole(outcome) => pair(outcome),
            BatchOutcome::Each(outcomes) => outcomes.iter().map(pair).collect(),
        };
        assert_eq!(&found, case.get("means").unwrap(), "{case}");
        assert!(!reading.detail.is_empty(), "{case}");
        let throttled = found == json!(["retry", "dest_rate_limited"]);
        assert_eq!(reading.slow_down_ms.is_some(), throttled, "{case}");
    }
}

/// A fixture with the hash of `a@b.example` and others in place of their names.
pub(crate) fn fixture(text: &str, hashed: &[(&str, &str)]) -> Value {
    let hash = crosstally_core::identity::sha256_hex;
    let text = text.replace("EMAIL", &hash("a@b.example"));
    json_of(&hashed.iter().fold(text, |text, (name, value)| text.replace(name, &hash(value))))
}

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Why a kind leaves an event out; empty if it goes.
pub(crate) fn refusal(dialect: &dyn Dialect, more: &[(&str, &str)], changes: &[(&str, Value)]) -> String {
    let built = dialect.build(&of_kind(dialect.kind(), more), &[event(changes)], NOW);
    built.left_out.first().map(|left| left.detail.clone()).unwrap_or_default()
}

/// Checks which events go, and which are left out with a detail that begins so.
pub(crate) fn check_refusals(dialect: &dyn Dialect, cases: &[(&[(&str, Value)], &str)]) {
    for (changes, wanted) in cases {
        let found = refusal(dialect, &[], changes);
        let fits = found.starts_with(wanted) && found.is_empty() == wanted.is_empty();
        assert!(fits, "{} {changes:?}: {found}", dialect.kind());
    }
}

/// The names under which our standard names go.
pub(crate) fn check_names(dialect: &dyn Dialect, pointer: &str, names: &[(&str, &str)]) {
    for (ours, theirs) in names {
        let event = event(&[("/event", json!(ours))]);
        let built = dialect.build(&of_kind(dialect.kind(), &[]), &[event], NOW);
        let sent = json_of(built.payloads.first().unwrap_or_else(|| panic!("{ours}: {:?}", built.left_out)));
        assert_eq!(sent.pointer(pointer).unwrap(), theirs, "{ours}");
    }
}
