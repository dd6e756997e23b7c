//! What is sent to Pinterest, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::PINTEREST;
use crate::dialect::{Dialect, Response};
use crate::sample::{
    NOW, check_answers, check_names, check_refusals, event, fixture, is_bearer, limited, of_kind, rich, sent,
};

#[test]
fn a_whole_request() {
    let more = [("/user/epik", json!("aB-c")), ("/opt_out", json!(true))];
    let (request, body) = sent(&PINTEREST, &[], rich(&[&limited()[..], &more].concat()));
    let hashed =
        [("PHONE", "16505551212"), ("ID_EXACT", "User-42"), ("ID_LOWER", "user-42"), ("GENDER", "f")];
    assert_eq!(body, fixture(include_str!("fixtures/request.json"), &hashed));
    assert_eq!(request.url, "https://api.pinterest.com/v5/ad_accounts/A1/events");
    assert!(is_bearer(&request));
}

#[test]
fn a_test_is_asked_for_in_the_url() {
    let mut settings = of_kind("pinterest", &[]);
    settings.values.insert("test".to_owned(), crosstally_core::config::Setting::Flag(true));
    let request = PINTEREST.build(&settings, &[event(&[])], NOW).request.unwrap();
    assert_eq!(request.url, "https://api.pinterest.com/v5/ad_accounts/A1/events?test=true");
    let body = br#"{"events":[{"status":"processed"}]}"#.to_vec();
    let response = Response { status: 200, body, ..Response::default() };
    let detail = PINTEREST.read(&settings, &response, 1, NOW).detail;
    assert_eq!(detail, "only checked, not recorded; 200: processed 1 of 1");
}

#[test]
fn names_are_pinterests() {
    check_names(
        &PINTEREST,
        "/event_name",
        &[
            ("Purchase", "checkout"),
            ("Lead", "lead"),
            ("CompleteRegistration", "signup"),
            ("PageView", "page_visit"),
            ("custom", "custom"),
            ("watch_video", "watch_video"),
        ],
    );
}

#[test]
fn what_pinterest_would_refuse_is_left_out() {
    check_refusals(
        &PINTEREST,
        &[
            (
                &[("/event", json!("Approved"))],
                "event_name must be one that Pinterest lists; give `Approved`",
            ),
            (&[("/event_id", Value::Null)], "event_id is required"),
            (
                &[("/user", json!({"epik": "x", "phone": "+16505551212"}))],
                "user data is not enough for Pinterest",
            ),
            (&[("/action_source", json!("app"))], "app_data.extinfo[0] must be a2"),
            (&[("/user", json!({"client_ip_address": "192.0.2.1", "client_user_agent": "UA"}))], ""),
            (&[("/action_source", json!("email")), ("/event_source_url", Value::Null)], ""),
        ],
    );
}

#[test]
fn each_event_has_its_own_verdict() {
    check_answers(&PINTEREST, include_str!("fixtures/answers.json"));
}
