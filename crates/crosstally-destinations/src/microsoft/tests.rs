//! What is sent to Microsoft, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::MICROSOFT;
use crate::dialect::Dialect;
use crate::sample::{
    NOW, TOKEN, check_answers, check_names, check_refusals, event, fixture, json_of, of_kind,
};

#[test]
fn a_whole_request() {
    let event = event(&[
        ("/transaction_id", json!("T-1")),
        ("/event_source_url", json!("https://shop.example/thanks?order=7")),
        ("/user/phone", json!("+1 650 555 1212")),
        ("/user/external_id", json!("User-42")),
        ("/user/msclkid", json!("0123456789abcdef0123456789abcdef")),
        ("/opt_out", json!(true)),
        (
            "/custom",
            json!({
                "content_ids": ["7"], "search_string": "shirt", "own": "stays here",
                "contents": [{"id": 7, "quantity": 2, "item_price": "5.00", "title": "Shirt", "brand": "B"}],
            }),
        ),
    ]);
    let request = MICROSOFT.build(&of_kind("microsoft", &[]), &[event], NOW).request.unwrap();
    let hashed = [("ID_EXACT", "User-42"), ("PHONE", "16505551212")];
    let expected = fixture(include_str!("fixtures/request.json"), &hashed);
    assert_eq!(json_of(std::str::from_utf8(&request.body).unwrap()), expected);
    assert_eq!(request.url, "https://capi.uet.microsoft.com/v1/T1/events");
    assert!(request.headers.contains(&("authorization".to_owned(), format!("Bearer {TOKEN}"))));
}

#[test]
fn names_are_ones_own() {
    check_names(&MICROSOFT, "/eventName", &[("Purchase", "Purchase"), ("Own name", "Own name")]);
    check_names(&MICROSOFT, "/eventType", &[("Purchase", "custom"), ("PageView", "pageLoad")]);
}

#[test]
fn a_click_id_that_is_none_is_not_sent() {
    for (given, sent) in [
        ("0123456789ABCDEF0123456789abcdef", true),
        ("01234567-89ab-cdef-0123-456789abcdef", true),
        ("0123456789abcdef", false),
        ("0123456789abcdef0123456789abcdeg", false),
    ] {
        let event = event(&[("/user/msclkid", json!(given))]);
        let built = MICROSOFT.build(&of_kind("microsoft", &[]), &[event], NOW);
        assert_eq!(built.payloads[0].contains(given), sent, "{given}");
    }
}

#[test]
fn what_microsoft_would_refuse_is_left_out() {
    check_refusals(
        &MICROSOFT,
        &[
            (
                &[("/event", json!("PageView")), ("/event_source_url", Value::Null)],
                "event_source_url is required for a pageLoad",
            ),
            (&[("/user", json!({"client_user_agent": "UA", "msclkid": "x"}))], "user data is not enough"),
            (
                &[
                    ("/data_processing_options", json!(["LDU"])),
                    ("/data_processing_options_country", json!(0)),
                    ("/data_processing_options_state", json!(0)),
                ],
                "data_processing_options is LDU, which Microsoft cannot be told",
            ),
            (&[("/event_source_url", Value::Null)], ""),
            (&[("/user", json!({"phone": "+16505551212"}))], ""),
        ],
    );
}

#[test]
fn wrong_events_are_found_by_their_places() {
    check_answers(&MICROSOFT, include_str!("fixtures/answers.json"));
}
