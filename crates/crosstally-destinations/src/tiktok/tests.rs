//! What is sent to TikTok, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crosstally_core::identity::sha256_hex as hash;
use crosstally_core::reason::Reason;
use crosstally_core::time::DAY_MS;
use serde_json::{Value, json};

use super::*;
use crate::dialect::BatchOutcome;
use crate::sample::{NOW, TOKEN, event, of_kind};

const WHOLE: &str = include_str!("fixtures/request.json");
const ANSWERS: &str = include_str!("fixtures/answers.json");

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Why an event is not sent.
fn refusal(more: &[(&str, &str)], changes: &[(&str, Value)]) -> String {
    let built = Tiktok.build(&of_kind("tiktok", more), &[event(changes)], NOW);
    built.left_out.first().map(|left| left.detail.clone()).unwrap_or_default()
}

#[test]
fn a_whole_request() {
    let purchase = event(&[
        ("/event_id", json!("e-1")),
        ("/referrer_url", json!("https://shop.example/cart")),
        ("/data_processing_options", json!(["LDU"])),
        ("/user/phone", json!(["+86 138 1234 5678", "+16505551212"])),
        ("/user/external_id", json!("User-42")),
        ("/user/first_name", json!("O'Neil")),
        ("/user/last_name", json!("Smith")),
        ("/user/zip", json!("10001-1234")),
        ("/user/city", json!("Rome")),
        ("/user/ttclid", json!("E.C.P.a-B_c")),
        ("/user/ttp", json!("2Fx")),
        (
            "/custom",
            json!({
                "order_id": "T-1", "content_type": "product", "num_items": 2, "own": "stays here",
                "contents": [{"id": 7, "quantity": 2, "item_price": "5.00", "title": "Shirt", "brand": "B"}],
            }),
        ),
    ]);
    let lead = event(&[
        ("/event", json!("Lead")),
        ("/value", Value::Null),
        ("/currency", Value::Null),
        ("/event_id", json!("e-2")),
        ("/user/lead_id", json!("123456789012345")),
        ("/custom", json!({"lead_event_source": "crm"})),
    ]);
    let settings = of_kind("tiktok", &[("test_event_code", "TEST1")]);
    let request = Tiktok.build(&settings, &[purchase, lead], NOW).request.unwrap();
    assert_eq!(request.url, "https://business-api.tiktok.com/open_api/v1.3/event/track/");
    assert!(request.headers.contains(&("access-token".to_owned(), TOKEN.to_owned())));
    let expected = WHOLE
        .replace("EMAIL", &hash("a@b.example"))
        .replace("PHONE_CN", &hash("13812345678"))
        .replace("PHONE_US", &hash("+16505551212"))
        .replace("PHONE_E164_CN", &hash("+8613812345678"))
        .replace("ID_EXACT", &hash("User-42"))
        .replace("ID_LOWER", &hash("user-42"))
        .replace("FIRST", &hash("oneil"))
        .replace("LAST", &hash("smith"))
        .replace("ZIP", &hash("10001"));
    assert_eq!(parsed(std::str::from_utf8(&request.body).unwrap()), parsed(&expected));
    assert_eq!(request.body, request.body_shown);
}

#[test]
fn names_are_tiktoks() {
    for (ours, theirs) in
        [("PageView", "Pageview"), ("Purchase", "Purchase"), ("Lead", "Lead"), ("Own name", "Own name")]
    {
        let built = Tiktok.build(&of_kind("tiktok", &[]), &[event(&[("/event", json!(ours))])], NOW);
        assert_eq!(parsed(&built.payloads[0]).get("event").unwrap(), theirs);
    }
}

#[test]
fn what_tiktok_could_not_use_is_left_out() {
    let nobody = json!({"client_ip_address": "192.0.2.1"});
    for (changes, wanted) in [
        (vec![("/event_source_url", Value::Null)], "event_source_url is required for an event of the web"),
        (vec![("/user", nobody.clone())], "user data is not enough"),
        (vec![("/opt_out", json!(true))], "opt_out is true, which TikTok cannot be told"),
        (vec![("/custom", json!({"contents": [{"quantity": 1}]}))], "custom.contents[0].id is required"),
        (vec![("/user", json!({"client_ip_address": "192.0.2.1", "client_user_agent": "UA"}))], ""),
        (vec![("/user", json!({"ttclid": "E.C.P.x"}))], ""),
        (vec![("/opt_out", json!(false))], ""),
    ] {
        let found = refusal(&[], &changes);
        assert!(found.starts_with(wanted) && found.is_empty() == wanted.is_empty(), "{changes:?}: {found}");
    }
    let offline = [("event_source", "offline")];
    assert_eq!(refusal(&offline, &[("/event_source_url", Value::Null)]), "");
    assert_eq!(refusal(&[("event_source", "crm")], &[]), "");
}

#[test]
fn limits_of_use_are_told() {
    for (options, wanted) in
        [(json!(["LDU"]), json!(true)), (json!([]), json!(false)), (Value::Null, Value::Null)]
    {
        let mut changes = vec![("/data_processing_options", options)];
        if wanted == json!(true) {
            changes.push(("/data_processing_options_country", json!(0)));
            changes.push(("/data_processing_options_state", json!(0)));
        }
        let built = Tiktok.build(&of_kind("tiktok", &[]), &[event(&changes)], NOW);
        let sent = parsed(&built.payloads[0]);
        assert_eq!(sent.get("limited_data_use").cloned().unwrap_or_default(), wanted);
    }
}

#[test]
fn the_web_is_younger_than_the_rest() {
    for (source, days) in [("web", 7), ("offline", 28), ("crm", 28)] {
        let settings = of_kind("tiktok", &[("event_source", source)]);
        assert_eq!(Tiktok.max_age_ms(&settings.values, "website"), days * DAY_MS);
        assert_eq!(Tiktok.check(&settings.values), []);
    }
    assert_eq!(Tiktok.check(&of_kind("tiktok", &[("event_source", "app")]).values).len(), 1);
}

#[test]
fn the_verdict_is_the_code() {
    for case in parsed(ANSWERS).as_array().unwrap() {
        let status = case.get("status").unwrap().as_u64().unwrap();
        let body = case.get("body").unwrap().to_string().into_bytes();
        let response = Response { status: u16::try_from(status).unwrap(), body, ..Response::default() };
        let reading = Tiktok.read(&of_kind("tiktok", &[]), &response, 2, NOW);
        let BatchOutcome::Whole(outcome) = &reading.outcome else { panic!("{case}") };
        let found = json!([outcome.as_str(), outcome.reason().code()]);
        assert_eq!(&found, case.get("means").unwrap(), "{case}");
        assert!(reading.detail.contains("code"), "{}", reading.detail);
        let everybody_waits = outcome.reason() == Reason::DestRateLimited;
        assert_eq!(reading.slow_down_ms.is_some(), everybody_waits, "{case}");
    }
}
