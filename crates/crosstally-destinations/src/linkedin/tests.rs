//! What is sent to LinkedIn, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{DataProcessing, OutboundEvent, Visitor};
use crosstally_core::identity::{Contact, sha256_hex};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::{DAY_MS, Timestamp};
use serde_json::{Map, Value, json};

use super::LINKEDIN;
use crate::dialect::{BatchOutcome, Built, Dialect, Reading, Response, Settings};

const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);

fn rules(rules: &[(&str, &str)]) -> Setting {
    Setting::Map(rules.iter().map(|&(name, id)| (name.to_owned(), id.to_owned())).collect())
}

fn settings(more: &[(&str, Setting)]) -> Settings {
    let mut values = BTreeMap::from([
        ("conversion_rules".to_owned(), rules(&[("Purchase", "104012")])),
        ("api_version".to_owned(), Setting::Text("202610".to_owned())),
    ]);
    values.extend(more.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())));
    Settings {
        values,
        secrets: BTreeMap::from([("access_token".to_owned(), Secret::new("AQ-tok"))]),
        ..Settings::default()
    }
}

fn purchase() -> OutboundEvent {
    let object = |value: Value| value.as_object().unwrap().clone();
    OutboundEvent {
        event_name: "Purchase".into(),
        event_time: Timestamp::from_millis(1_764_205_200_000),
        event_id: "e-1".into(),
        action_source: "website".into(),
        value: Some("12.30".into()),
        currency: Some("EUR".into()),
        contact: Contact { email: vec![sha256_hex("jane@shop.example")], ..Contact::default() },
        visitor: Visitor {
            ad_click_ids: object(json!({"li_fat_id": "df5gf5-gh6t7-ph4j7h-fgf6n1"})),
            client_ip_address: Some("203.0.113.7".into()),
            ..Visitor::default()
        },
        ..OutboundEvent::default()
    }
}

fn build(events: &[OutboundEvent]) -> Built {
    LINKEDIN.build(&settings(&[]), events, NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}

fn answer(status: u16, body: &str) -> Reading {
    let response = Response { status, body: body.as_bytes().to_vec(), ..Response::default() };
    LINKEDIN.read(&settings(&[]), &response, 3, NOW)
}

#[test]
fn a_request_is_what_the_fixture_says_with_the_headers_that_linkedin_asks_for() {
    let built = build(&[purchase()]);
    let text = include_str!("fixtures/request.json");
    let known = "ce0657ad2c4df2a65b12e2c6c7b3b51ae04c9c6d32bc1cafc75f1b5b15c4a9d3";
    let expected: Value =
        serde_json::from_str(&text.replace(known, &sha256_hex("jane@shop.example"))).unwrap();
    assert_eq!(body(&built), expected);
    let request = built.request.unwrap();
    assert_eq!(request.url, "https://api.linkedin.com/rest/conversionEvents");
    let headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for expected in [
        "linkedin-version: 202610",
        "x-restli-protocol-version: 2.0.0",
        "x-restli-method: BATCH_CREATE",
        "authorization: Bearer AQ-tok",
    ] {
        assert!(headers.iter().any(|header| header == expected), "{headers:?} lacks {expected}");
    }
    assert_eq!(request.masked("AQ-tok"), "***");
}

#[test]
fn an_address_goes_only_beside_others_and_only_of_the_older_kind() {
    let ids = |change: fn(&mut OutboundEvent)| {
        let mut event = purchase();
        change(&mut event);
        let ids = body(&build(&[event])).pointer("/elements/0/user/userIds").unwrap().clone();
        ids.as_array().unwrap().iter().map(|id| id["idType"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let newer = ids(|event| event.visitor.client_ip_address = Some("2001:db8::1".into()));
    assert_eq!(newer, ["SHA256_EMAIL", "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID"]);
    let click = ids(|event| event.contact = Contact::default());
    assert_eq!(click, ["LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "PLAINTEXT_IP_ADDRESS"]);
    let mail = ids(|event| event.visitor.ad_click_ids = Map::new());
    assert_eq!(mail, ["SHA256_EMAIL", "PLAINTEXT_IP_ADDRESS"]);
}

#[test]
fn what_linkedin_would_refuse_is_left_out_and_its_neighbours_go() {
    type Change = fn(&mut OutboundEvent);
    let cases: &[(Change, Reason, &str)] = &[
        (|event| event.event_name = "Lead".into(), Reason::EventIncomplete, "conversion_rules"),
        (|event| event.event_time = NOW.plus_millis(-90 * DAY_MS - 1), Reason::EventTooOld, "90 days"),
        (|event| event.event_time = NOW.plus_millis(61_000), Reason::EventIncomplete, "ahead"),
        (|event| event.value = Some("-1".into()), Reason::EventIncomplete, "0 or more"),
        (|event| event.currency = None, Reason::EventIncomplete, "currency"),
        (
            |event| event.visitor.client_ip_address = Some("1.2.3".into()),
            Reason::EventIncomplete,
            "client_ip",
        ),
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
                event.contact.email = vec!["ab".repeat(16)];
                event.visitor.ad_click_ids = Map::new();
            },
            Reason::EventIncomplete,
            "li_fat_id",
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
    assert_eq!(build(&vec![purchase(); 5001]).included.len(), 5000);
}

#[test]
fn settings_are_checked() {
    for (name, setting, words) in [
        ("conversion_rules", rules(&[]), "empty"),
        ("conversion_rules", rules(&[("Lead", "urn:lla:llaPartnerConversion:1")]), "\"Lead\""),
        ("api_version", Setting::Text("202613".into()), "six digits"),
        ("api_version", Setting::Text("v26.0".into()), "six digits"),
        ("endpoint", Setting::Text("api.linkedin.com".into()), "absolute"),
    ] {
        let found = LINKEDIN.check(&settings(&[(name, setting)]).values);
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].setting == name && found[0].problem.contains(words), "{found:?}");
    }
    assert_eq!(LINKEDIN.check(&settings(&[]).values), []);
}

#[test]
fn of_a_refused_batch_only_what_is_named_is_dead() {
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    let again = Outcome::Retry { reason: Reason::DestPartial, after_ms: None };
    let reading = answer(422, include_str!("fixtures/refused.json"));
    assert_eq!(reading.outcome, BatchOutcome::Each(vec![again.clone(), refused.clone(), again.clone()]));
    assert!(
        reading.detail.contains("Index: 1, ERROR") && !reading.detail.contains('\n'),
        "{}",
        reading.detail
    );
    let many = Response {
        status: 422,
        body: include_bytes!("fixtures/refused.json").to_vec(),
        ..Response::default()
    };
    let BatchOutcome::Each(each) = LINKEDIN.read(&settings(&[]), &many, 50, NOW).outcome else {
        panic!("each")
    };
    let dead: Vec<usize> = (0..50).filter(|&index| each[index] == refused).collect();
    assert_eq!(dead, [1, 12]);
}

#[test]
fn every_event_of_a_taken_batch_has_its_own_status() {
    let body =
        r#"{"elements":[{"status":201},{"status":422,"error":{"message":"no AQ-tok"}},{"status":503}]}"#;
    let reading = answer(200, body);
    assert_eq!(
        reading.outcome,
        BatchOutcome::Each(vec![
            Outcome::Delivered,
            Outcome::Refused { reason: Reason::DestRejected },
            Outcome::Retry { reason: Reason::DestServerError, after_ms: None },
        ])
    );
    assert_eq!(reading.detail, "1 of 3 taken: no ***");
    assert_eq!(answer(201, "").outcome, BatchOutcome::Whole(Outcome::Delivered));
}

#[test]
fn troubles_are_told_apart() {
    let pause = |reason| Outcome::Pause { reason };
    let retry = |reason| Outcome::Retry { reason, after_ms: None };
    let split = Outcome::Split { reason: Reason::DestRejected };
    for (status, body, expected) in [
        (200, r#"{"elements":[{"status":201}]}"#, retry(Reason::DestUnreadable)),
        (200, "<html>", retry(Reason::DestUnreadable)),
        (302, "", retry(Reason::DestRedirected)),
        (400, r#"{"status":400,"code":"VERSION_MISSING","message":"?"}"#, pause(Reason::DestMisconfigured)),
        (400, r#"{"status":400,"code":"BAD_REQUEST","message":"?"}"#, split.clone()),
        (422, r#"{"status":422,"message":"no index: here"}"#, split.clone()),
        (422, "<html>", retry(Reason::DestUnreadable)),
        (401, r#"{"status":401,"code":"EXPIRED_ACCESS_TOKEN","message":"?"}"#, pause(Reason::DestAuth)),
        (401, "", pause(Reason::DestAuth)),
        (403, r#"{"status":403,"message":"No ad accounts found"}"#, pause(Reason::DestPermission)),
        (404, r#"{"status":404}"#, pause(Reason::DestMisconfigured)),
        (426, r#"{"status":426,"code":"NONEXISTENT_VERSION"}"#, pause(Reason::DestMisconfigured)),
        (429, r#"{"status":429}"#, retry(Reason::DestRateLimited)),
        (500, r#"{"status":500}"#, retry(Reason::DestServerError)),
        (504, "<html>", retry(Reason::DestServerError)),
        // A page of whoever stands in between.
        (400, "<style>.m{z-index: 1}\n.n{z-index: 1000}</style>", retry(Reason::DestUnreadable)),
        (400, "<html>ERROR :: upstream policy denied</html>", retry(Reason::DestUnreadable)),
        (422, "Index: 1, ERROR :: of somebody else's", retry(Reason::DestUnreadable)),
        // It names none that was sent.
        (422, "Index: 9, ERROR :: /user :: of another call", split.clone()),
        (422, "z-Index: 1, ERROR :: /eventIds :: too long", split.clone()),
        (400, "ERROR :: /elements :: too many", split.clone()),
        (400, "Index: 1, of a page", retry(Reason::DestUnreadable)),
        (502, "Index: 1, ERROR :: x", retry(Reason::DestServerError)),
    ] {
        assert_eq!(answer(status, body).outcome, BatchOutcome::Whole(expected), "{status} {body}");
    }
    // The same in words alone.
    let refused = Outcome::Refused { reason: Reason::DestRejected };
    let again = retry(Reason::DestPartial);
    for words in [
        "2 errors\nIndex: 1, ERROR :: /conversionHappenedAt :: too old\n",
        "Bad Request: Index: 1, ERROR :: /conversionHappenedAt :: too old",
        "<pre>Index: 1, ERROR :: /user :: \"Index: 2, x\"</pre>",
        "Index: 1 , ERROR :: /user; Index: 9, ERROR :: /user",
    ] {
        let each = vec![again.clone(), refused.clone(), again.clone()];
        assert_eq!(answer(422, words).outcome, BatchOutcome::Each(each), "{words}");
    }
    let cut = Response {
        status: 422,
        body: b"{\"message\":\"Index: 1".to_vec(),
        body_cut: true,
        ..Response::default()
    };
    let reading = LINKEDIN.read(&settings(&[]), &cut, 3, NOW);
    assert_eq!(reading.outcome, BatchOutcome::Whole(Outcome::Split { reason: Reason::DestRejected }));
    assert!(answer(426, r#"{"status":426}"#).detail.contains("set api_version"));
}
