//! What is sent to TikTok, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crosstally_core::time::DAY_MS;
use serde_json::{Value, json};

use super::TIKTOK;
use crate::dialect::Dialect;
use crate::sample::{
    NOW, TOKEN, check_answers, check_names, check_refusals, event, fixture, json_of, of_kind, refusal,
};

const WHOLE: &str = include_str!("fixtures/request.json");
const ANSWERS: &str = include_str!("fixtures/answers.json");

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
        ("/user/lead_id", json!(123_456_789_012_345_u64)),
        ("/custom", json!({"lead_event_source": "crm"})),
    ]);
    let settings = of_kind("tiktok", &[("test_event_code", "TEST1")]);
    let request = TIKTOK.build(&settings, &[purchase, lead], NOW).request.unwrap();
    assert_eq!(request.url, "https://business-api.tiktok.com/open_api/v1.3/event/track/");
    assert!(request.headers.contains(&("access-token".to_owned(), TOKEN.to_owned())));
    let expected = fixture(
        WHOLE,
        &[
            ("PHONE_CN", "13812345678"),
            ("PHONE_US", "+16505551212"),
            ("PHONE_E164_CN", "+8613812345678"),
            ("ID_EXACT", "User-42"),
            ("ID_LOWER", "user-42"),
            ("FIRST", "oneil"),
            ("LAST", "smith"),
            ("ZIP", "10001"),
        ],
    );
    assert_eq!(json_of(std::str::from_utf8(&request.body).unwrap()), expected);
    assert_eq!(request.body, request.body_shown);
}

#[test]
fn names_are_tiktoks() {
    check_names(
        &TIKTOK,
        "/event",
        &[("PageView", "Pageview"), ("Purchase", "Purchase"), ("Lead", "Lead"), ("Own name", "Own name")],
    );
}

#[test]
fn what_tiktok_could_not_use_is_left_out() {
    check_refusals(
        &TIKTOK,
        &[
            (&[("/event_source_url", Value::Null)], "event_source_url is required for an event of the web"),
            (&[("/user", json!({"client_ip_address": "192.0.2.1"}))], "user data is not enough"),
            (&[("/opt_out", json!(true))], "opt_out is true, which TikTok cannot be told"),
            (&[("/custom", json!({"contents": [{"quantity": 1}]}))], "custom.contents[0].id is required"),
            (&[("/user", json!({"client_ip_address": "192.0.2.1", "client_user_agent": "UA"}))], ""),
            (&[("/user", json!({"ttclid": "E.C.P.x"}))], ""),
            (&[("/opt_out", json!(false))], ""),
        ],
    );
    let offline = [("event_source", "offline")];
    assert_eq!(refusal(&TIKTOK, &offline, &[("/event_source_url", Value::Null)]), "");
    assert_eq!(refusal(&TIKTOK, &[("event_source", "crm")], &[]), "");
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
        let built = TIKTOK.build(&of_kind("tiktok", &[]), &[event(&changes)], NOW);
        let sent = json_of(&built.payloads[0]);
        assert_eq!(sent.get("limited_data_use").cloned().unwrap_or_default(), wanted);
    }
}

#[test]
fn the_web_is_younger_than_the_rest() {
    for (source, days) in [("web", 7), ("offline", 28), ("crm", 28)] {
        let settings = of_kind("tiktok", &[("event_source", source)]);
        assert_eq!(TIKTOK.max_age_ms(&settings.values, "website"), days * DAY_MS);
        assert_eq!(TIKTOK.check(&settings.values), []);
    }
    assert_eq!(TIKTOK.check(&of_kind("tiktok", &[("event_source", "app")]).values).len(), 1);
}

#[test]
fn the_verdict_is_the_code() {
    check_answers(&TIKTOK, ANSWERS);
}
