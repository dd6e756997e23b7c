//! What is sent to Google, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::identity::{Contact, ContactIn, hash_contact};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{DAY_MS, Timestamp};
use serde_json::{Map, Value, json};

use super::GoogleDataManager;
use crate::dialect::{BatchOutcome, Built, Dialect, Response, Settings};

mod ads;
mod lookback;

const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn actions(actions: &[(&str, &str)]) -> Setting {
    Setting::Map(actions.iter().map(|&(name, id)| (name.to_owned(), id.to_owned())).collect())
}

fn settings(more: &[(&str, Setting)]) -> Settings {
    let secret = |name: &str| Setting::Secret(SecretRef::Env(name.to_owned()));
    let mut values: BTreeMap<String, Setting> = [
        ("account_id", text("123-456-7890")),
        ("login_account_id", text("9876543210")),
        ("conversion_actions", actions(&[("Purchase", "222"), ("Lead", "111"), ("Search", "333")])),
        ("client_id", text("app.apps.example")),
        ("client_secret", secret("CLIENT")),
        ("refresh_token", secret("REFRESH")),
        ("consent", text("granted")),
    ]
    .map(|(name, setting)| (name.to_owned(), setting))
    .into();
    values.extend(more.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())));
    let secrets = [("client_secret", "cs-1"), ("refresh_token", "rt-1"), ("access_token", "ya29.tok")];
    Settings {
        values,
        secrets: secrets.map(|(name, text)| (name.to_owned(), Secret::new(text))).into(),
        ..Settings::default()
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn purchase() -> OutboundEvent {
    let given = ContactIn {
        email: vec!["Jane.Doe+X@GoogleMail.com".into()],
        phone: vec!["+11234567890".into()],
        first_name: vec!["Jane".into()],
        ..ContactIn::default()
    };
    OutboundEvent {
        event_name: "Purchase".into(),
        event_time: Timestamp::from_millis(1_764_205_200_000),
        event_id: "e-1".into(),
        action_source: "website".into(),
        value: Some("12.30".into()),
        currency: Some("EUR".into()),
        contact: hash_contact(&given, None, 2025).0,
        visitor: Visitor {
            ad_click_ids: map(json!({"gclid": "Cj0-AbC_d", "wbraid": "w9", "fbclid": "no"})),
            client_ip_address: Some("203.0.113.7".into()),
            ..Visitor::default()
        },
        custom: map(json!({"order_id": "A-1001"})),
        ..OutboundEvent::default()
    }
}

fn lead() -> OutboundEvent {
    OutboundEvent {
        event_name: "Lead".into(),
        event_id: "e-2".into(),
        action_source: "system_generated".into(),
        value: None,
        currency: None,
        contact: Contact::default(),
        visitor: Visitor { ad_click_ids: map(json!({"wbraid": "w1"})), ..Visitor::default() },
        custom: Map::new(),
        opt_out: Some(true),
        ..purchase()
    }
}

fn build(events: &[OutboundEvent]) -> Built {
    GoogleDataManager.build(&settings(&[]), events, NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}

fn sent(change: impl FnOnce(&mut OutboundEvent)) -> Value {
    let mut event = purchase();
    change(&mut event);
    body(&build(&[event]))["events"][0].clone()
}

#[test]
fn a_request_is_what_the_fixture_says_with_its_own_digits() {
    let built = build(&[purchase(), lead()]);
    let expected: Value = serde_json::from_str(include_str!("fixtures/request.json")).unwrap();
    assert_eq!(body(&built), expected);
    assert!(built.payloads[0].contains("\"conversionValue\":12.30"), "{}", built.payloads[0]);
    let request = built.request.unwrap();
    assert_eq!(request.url, "https://datamanager.googleapis.com/v1/events:ingest");
    let authorization = request.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert_eq!(authorization.1, "Bearer ya29.tok");
    assert_eq!(request.masked("said ya29.tok"), "said ***");
}

#[test]
fn signing_in_asks_google_or_whom_the_settings_name() {
    let asked = GoogleDataManager.sign_in(&settings(&[])).unwrap();
    assert_eq!(asked.url, "https://oauth2.googleapis.com/token");
    assert!(String::from_utf8(asked.body).unwrap().ends_with("client_secret=cs-1&refresh_token=rt-1"));
    let elsewhere = settings(&[("token_endpoint", text("http://127.0.0.1:9/token"))]);
    assert_eq!(GoogleDataManager.sign_in(&elsewhere).unwrap().url, "http://127.0.0.1:9/token");
}

#[test]
fn a_click_goes_by_its_most_exact_id_and_a_person_by_hashes_alone() {
    for (ids, expected) in [
        (json!({"GCLID": "a", "gbraid": "b"}), json!({"gclid": "a"})),
        (json!({"gbraid": "b", "wbraid": "c"}), json!({"gbraid": "b"})),
        (json!({"wbraid": "c"}), json!({"wbraid": "c"})),
    ] {
        let event = sent(|event| event.visitor.ad_click_ids = map(ids.clone()));
        assert_eq!(event["adIdentifiers"], expected);
    }
    let event = sent(|event| {
        event.contact.google_email = vec!["ab".repeat(16), "cd".repeat(32)];
        event.contact.google_phone = (0..20).map(|number| format!("{number:064}")).collect();
    });
    let people = event["userData"]["userIdentifiers"].as_array().unwrap();
    assert_eq!((people.len(), &people[0]), (10, &json!({"emailAddress": "cd".repeat(32)})));
}

#[test]
fn where_it_happened_is_told_in_googles_words() {
    for (ours, theirs) in [
        ("website", "WEB"),
        ("app", "APP"),
        ("physical_store", "IN_STORE"),
        ("phone_call", "PHONE"),
        ("chat", "MESSAGE"),
        ("business_messaging", "MESSAGE"),
        ("email", "OTHER"),
        ("system_generated", "OTHER"),
    ] {
        assert_eq!(sent(|event| event.action_source = ours.into())["eventSource"], theirs);
    }
}

#[test]
fn what_google_would_refuse_is_left_out_and_its_neighbours_go() {
    type Change = fn(&mut OutboundEvent);
    let cases: &[(Change, Reason, &str)] = &[
        (|event| event.event_name = "Other".into(), Reason::EventIncomplete, "conversion_actions"),
        (|event| event.event_time = NOW.plus_millis(-90 * DAY_MS - 1), Reason::EventTooOld, "90 days"),
        (|event| event.event_time = NOW.plus_millis(61_000), Reason::EventIncomplete, "ahead"),
        (|event| event.value = Some("-1".into()), Reason::EventIncomplete, "0 or more"),
        (|event| event.currency = None, Reason::EventIncomplete, "currency"),
        (|event| event.currency = Some("EURO".into()), Reason::EventIncomplete, "ISO 4217"),
        (
            |event| (event.contact, event.visitor) = (Contact::default(), Visitor::default()),
            Reason::EventIncomplete,
            "gclid",
        ),
    ];
    for (change, reason, words) in cases {
        let mut bad = purchase();
        change(&mut bad);
        let built = build(&[purchase(), bad, purchase()]);
        assert_eq!(built.included, [0, 2]);
        assert_eq!((built.left_out[0].index, built.left_out[0].reason), (1, *reason));
        assert!(built.left_out[0].detail.contains(words), "{}", built.left_out[0].detail);
    }
}

#[test]
fn a_request_names_only_the_actions_it_uses_and_carries_two_thousand() {
    let built = build(&vec![purchase(); 2001]);
    assert_eq!((built.included.len(), built.left_out.len()), (2000, 0));
    assert_eq!(body(&built)["destinations"].as_array().unwrap().len(), 1);
}

#[test]
fn limits_of_use_deny_and_a_test_is_only_checked() {
    let limited = DataProcessing { options: vec!["LDU".into()], ..DataProcessing::default() };
    assert_eq!(
        sent(|event| event.data_processing = Some(limited))["consent"]["adUserData"],
        "CONSENT_DENIED"
    );
    assert_eq!(sent(|event| event.opt_out = Some(false)).get("consent"), None);
    let check = settings(&[("validate_only", Setting::Flag(true)), ("consent", text("denied"))]);
    let built = GoogleDataManager.build(&check, &[purchase()], NOW);
    let body = body(&built);
    assert_eq!(
        (&body["validateOnly"], &body["consent"]["adPersonalization"]),
        (&json!(true), &json!("CONSENT_DENIED"))
    );
}

#[test]
fn settings_are_checked() {
    let eleven: Vec<(String, String)> =
        (0..11).map(|number| (format!("E{number}"), "1".to_owned())).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    for (name, setting, words) in [
        ("account_id", text("123"), "ten digits"),
        ("login_account_id", text("12345678x0"), "ten digits"),
        ("conversion_actions", actions(&[]), "is empty"),
        ("conversion_actions", actions(&eleven), "11 entries"),
        ("conversion_actions", actions(&[("Lead", "customers/1/conversionActions/2")]), "\"Lead\""),
        ("consent", text("yes"), "granted"),
        ("endpoint", text("datamanager.googleapis.com"), "absolute"),
        ("token_endpoint", text("ftp://a.example/token"), "absolute"),
    ] {
        let found = GoogleDataManager.check(&settings(&[(name, setting)]).values);
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].setting == name && found[0].problem.contains(words), "{found:?}");
    }
    assert_eq!(GoogleDataManager.check(&settings(&[]).values), []);
}

fn answer(status: u16, body: &str) -> crate::dialect::Reading {
    let response = Response { status, body: body.as_bytes().to_vec(), ..Response::default() };
    GoogleDataManager.read(&settings(&[]), &response, 5, NOW)
}

#[test]
fn what_is_taken_is_not_yet_proven() {
    let reading = answer(200, r#"{"requestId":"126365e1-16d0-4c81-9de9-f362711e250a"}"#);
    assert_eq!(reading.outcome, BatchOutcome::Whole(Outcome::Unverified));
    assert_eq!(reading.detail, "requestId 126365e1-16d0-4c81-9de9-f362711e250a");
    let warned = answer(200, r#"{"requestId":"r","fieldWarnings":[{"field":"events[0].x"}]}"#);
    assert_eq!(warned.detail, "requestId r; 1 warnings");
}

#[test]
fn of_a_refused_batch_only_what_is_named_is_dead() {
    let reading = answer(400, include_str!("fixtures/refused.json"));
    let BatchOutcome::Each(each) = reading.outcome else { panic!("one for each") };
    let dead: Vec<usize> = each
        .iter()
        .enumerate()
        .filter(|(_, outcome)| **outcome == Outcome::Refused { reason: Reason::DestRejected })
        .map(|(index, _)| index)
        .collect();
    assert_eq!(dead, [1, 3]);
    let again = Outcome::Retry { reason: Reason::DestPartial, after_ms: None };
    assert!([0, 2, 4].iter().all(|&index| each[index] == again));
    assert!(
        reading.detail.contains("events[1]") && reading.detail.contains("hex encoded"),
        "{}",
        reading.detail
    );
}

#[test]
fn troubles_are_told_apart() {
    let pause = |reason| Outcome::Pause { reason };
    let retry = |reason, after_ms| Outcome::Retry { reason, after_ms };
    let split = Outcome::Split { reason: Reason::DestRejected };
    let error = |status: &str, details: &str| {
        format!(r#"{{"error":{{"code":1,"status":"{status}","message":"no ya29.tok","details":{details}}}}}"#)
    };
    let settings_wrong =
        r#"[{"fieldViolations":[{"field":"destinations[0].product_destination_id","description":"?"}]}]"#;
    let beyond = r#"[{"fieldViolations":[{"field":"events[9].currency","description":"?"}]}]"#;
    let delay = r#"[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"30.5s"}]"#;
    for (status, body, expected) in [
        (400, error("INVALID_ARGUMENT", "[]"), split.clone()),
        (400, error("INVALID_ARGUMENT", beyond), split.clone()),
        (400, error("INVALID_ARGUMENT", settings_wrong), pause(Reason::DestMisconfigured)),
        (400, error("FAILED_PRECONDITION", "[]"), pause(Reason::DestMisconfigured)),
        (401, error("UNAUTHENTICATED", "[]"), pause(Reason::DestAuth)),
        (403, error("PERMISSION_DENIED", "[]"), pause(Reason::DestPermission)),
        (404, error("NOT_FOUND", "[]"), pause(Reason::DestMisconfigured)),
        (429, error("RESOURCE_EXHAUSTED", delay), retry(Reason::DestRateLimited, Some(30_000))),
        (500, error("INTERNAL", "[]"), retry(Reason::DestServerError, None)),
        (503, error("UNAVAILABLE", delay), retry(Reason::DestServerError, Some(30_000))),
        (413, "<html>".to_owned(), split),
        (302, String::new(), retry(Reason::DestRedirected, None)),
        (404, "<html>".to_owned(), pause(Reason::DestMisconfigured)),
        (429, "<html>".to_owned(), retry(Reason::DestRateLimited, None)),
        (200, "<html>".to_owned(), retry(Reason::DestUnreadable, None)),
        (200, "{}".to_owned(), retry(Reason::DestUnreadable, None)),
    ] {
        let reading = answer(status, &body);
        assert_eq!(reading.outcome, BatchOutcome::Whole(expected), "{status} {body}");
        assert!(!reading.detail.contains("ya29"), "{}", reading.detail);
    }
}
