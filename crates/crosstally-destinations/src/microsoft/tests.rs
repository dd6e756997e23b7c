//! What is sent to Microsoft, what is not, and what its answers come to.

use serde_json::{Value, json};

use super::MICROSOFT;
use crate::dialect::Dialect;
use crate::sample::{
    NOW, check_answers, check_names, check_refusals, event, fixture, is_bearer, limited, of_kind, rich, sent,
};

#[test]
fn a_whole_request() {
    let click_id = "0123456789abcdef0123456789abcdef";
    let more = [("/user/msclkid", json!(click_id)), ("/opt_out", json!(true))];
    let (request, body) = sent(&MICROSOFT, &[], rich(&more));
    let hashed = [("ID_EXACT", "User-42"), ("PHONE", "16505551212")];
    assert_eq!(body, fixture(include_str!("fixtures/request.json"), &hashed));
    assert_eq!(request.url, "https://capi.uet.microsoft.com/v1/T1/events");
    assert!(is_bearer(&request));
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
            (&limited(), "data_processing_options is LDU, which Microsoft cannot be told"),
            (&[("/event_source_url", Value::Null)], ""),
            (&[("/user", json!({"phone": "+16505551212"}))], ""),
        ],
    );
}

#[test]
fn wrong_events_are_found_by_their_places() {
    check_answers(&MICROSOFT, include_str!("fixtures/answers.json"));
}
