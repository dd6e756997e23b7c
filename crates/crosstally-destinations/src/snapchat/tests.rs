//! What is sent to Snapchat, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crosstally_core::time::DAY_MS;
use serde_json::{Value, json};

use super::SNAPCHAT;
use crate::dialect::Dialect;
use crate::sample::{
    NOW, TOKEN, check_answers, check_names, check_refusals, event, fixture, json_of, limited, of_kind, rich,
    sent,
};

#[test]
fn a_whole_request() {
    let more =
        [("/user/ScCid", json!("aB-c")), ("/user/sc_cookie1", json!("s-1")), ("/opt_out", json!(false))];
    let event = rich(&[&limited()[..], &more].concat());
    let (request, body) = sent(&SNAPCHAT, &[("test_event_code", "TEST1")], event);
    let hashed =
        [("PHONE", "16505551212"), ("ID_EXACT", "User-42"), ("ID_LOWER", "user-42"), ("GENDER", "f")];
    assert_eq!(body, fixture(include_str!("fixtures/request.json"), &hashed));
    assert_eq!(request.url, "https://tr.snapchat.com/v3/P1/events?access_token=EAAB-tok%2Fen%2B1");
    assert_eq!(request.url_shown(), "https://tr.snapchat.com/v3/P1/events?access_token=***");
    assert!(!format!("{:?} {:?}", request, request.headers).contains(TOKEN));
}

#[test]
fn names_are_snapchats() {
    check_names(
        &SNAPCHAT,
        "/event_name",
        &[
            ("Purchase", "PURCHASE"),
            ("Lead", "SIGN_UP"),
            ("CompleteRegistration", "SIGN_UP"),
            ("InitiateCheckout", "START_CHECKOUT"),
            ("AddPaymentInfo", "ADD_BILLING"),
            ("AddToCart", "ADD_CART"),
            ("CUSTOM_EVENT_3", "CUSTOM_EVENT_3"),
            ("LIST_VIEW", "LIST_VIEW"),
        ],
    );
}

#[test]
fn what_snapchat_would_refuse_is_left_out() {
    check_refusals(
        &SNAPCHAT,
        &[
            (&[("/event", json!("Approved"))], "event_name must be one that Snapchat lists; give `Approved`"),
            (&[("/event_source_url", Value::Null)], "event_source_url is required"),
            (&[("/value", Value::Null), ("/currency", Value::Null)], "value is required for a PURCHASE"),
            (
                &[("/user", json!({"ScCid": "aB", "client_ip_address": "192.0.2.1"}))],
                "user data is not enough",
            ),
            (&[("/action_source", json!("app"))], "app_data is required"),
            (&[("/action_source", json!("physical_store")), ("/event_source_url", Value::Null)], ""),
            (&[("/user", json!({"phone": "+16505551212"}))], ""),
            (&[("/user", json!({"madid": "m-1"}))], ""),
            (&[("/event", json!("Lead")), ("/value", Value::Null), ("/currency", Value::Null)], ""),
        ],
    );
}

#[test]
fn sources_are_snapchats_three() {
    for (ours, theirs) in [("website", "WEB"), ("physical_store", "OFFLINE"), ("phone_call", "OFFLINE")] {
        let event = event(&[("/action_source", json!(ours))]);
        let built = SNAPCHAT.build(&of_kind("snapchat", &[]), &[event], NOW);
        assert_eq!(json_of(&built.payloads[0]).get("action_source").unwrap(), theirs);
    }
}

#[test]
fn the_age_is_a_setting_within_bounds() {
    use crosstally_core::config::Setting;
    for (days, age, problems) in [(None, 7, 0), (Some(37), 37, 0), (Some(38), 37, 1), (Some(0), 1, 1)] {
        let mut settings = of_kind("snapchat", &[]).values;
        settings.extend(days.map(|days| ("max_age_days".to_owned(), Setting::Integer(days))));
        assert_eq!(SNAPCHAT.max_age_ms(&settings, "website"), age * DAY_MS);
        assert_eq!(SNAPCHAT.check(&settings).len(), problems, "{days:?}");
    }
}

#[test]
fn the_verdict_is_the_status_and_a_word() {
    check_answers(&SNAPCHAT, include_str!("fixtures/answers.json"));
}
