//! What is sent to OpenAI, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::OPENAI;
use crate::dialect::{Dialect, Response};
use crate::sample::{
    NOW, check_answers, check_names, check_refusals, event, fixture, is_bearer, limited, of_kind, rich, sent,
};

#[test]
fn a_whole_request() {
    let (request, body) = sent(
        &OPENAI,
        &[],
        rich(&[
            ("/event_source_url", json!("https://shop.example/thanks?order=7")),
            ("/user/oppref", json!("oppref_aB")),
            ("/opt_out", json!(true)),
        ]),
    );
    assert_eq!(body, fixture(include_str!("fixtures/request.json"), &[("ID_EXACT", "User-42")]));
    assert_eq!(request.url, "https://bzr.openai.com/v1/events?pid=P1");
    assert!(is_bearer(&request));
}

#[test]
fn a_test_is_asked_for_in_the_body() {
    let mut settings = of_kind("openai", &[]);
    settings.values.insert("validate_only".to_owned(), crosstally_core::config::Setting::Flag(true));
    let request = OPENAI.build(&settings, &[event(&[])], NOW).request.unwrap();
    assert!(request.body.starts_with(b"{\"validate_only\":true,"));
    let response = Response { status: 200, body: b"{}".to_vec(), ..Response::default() };
    let detail = OPENAI.read(&settings, &response, 1, NOW).detail;
    assert_eq!(detail, "only checked, not recorded; 200: {}");
}

#[test]
fn names_are_openais_or_ones_own_and_have_their_data() {
    check_names(
        &OPENAI,
        "/type",
        &[
            ("Purchase", "order_created"),
            ("Lead", "lead_created"),
            ("CompleteRegistration", "registration_completed"),
            ("Subscribe", "subscription_created"),
            ("order_created", "order_created"),
            ("Donate", "custom"),
        ],
    );
    check_names(&OPENAI, "/custom_event_name", &[("Donate", "Donate"), ("won_deal", "won_deal")]);
    check_names(
        &OPENAI,
        "/data/type",
        &[
            ("Purchase", "contents"),
            ("Lead", "customer_action"),
            ("StartTrial", "plan_enrollment"),
            ("Donate", "custom"),
        ],
    );
}

#[test]
fn amounts_are_whole_numbers_of_the_smallest_unit() {
    for (value, currency, sent) in
        [("129.99", "USD", "12999"), ("1200", "JPY", "1200"), ("1.234", "KWD", "1234"), ("0", "EUR", "0")]
    {
        let event = event(&[("/value", json!(value)), ("/currency", json!(currency))]);
        let built = OPENAI.build(&of_kind("openai", &[]), &[event], NOW);
        let wanted = format!("\"amount\":{sent},\"currency\":\"{currency}\"");
        assert!(built.payloads[0].contains(&wanted), "{}", built.payloads[0]);
    }
    // A lead's data has no place for money.
    let lead = OPENAI.build(&of_kind("openai", &[]), &[event(&[("/event", json!("Lead"))])], NOW);
    assert!(!lead.payloads[0].contains("amount"), "{}", lead.payloads[0]);
}

#[test]
fn what_openai_would_refuse_is_left_out() {
    check_refusals(
        &OPENAI,
        &[
            (&[("/event", json!("Own name"))], "event_name must be one that OpenAI lists"),
            (&[("/event", json!("_x"))], "event_name must be one that OpenAI lists"),
            (&[("/event_id", Value::Null)], "event_id is required"),
            (&[("/event_source_url", Value::Null)], "event_source_url is required for a website event"),
            (
                &[("/user", json!({"client_user_agent": "UA", "phone": "+16505551212"}))],
                "user data is not enough",
            ),
            (&limited(), "data_processing_options is LDU, which OpenAI cannot be told"),
            (&[("/user", json!({"oppref": "x"}))], ""),
            (&[("/action_source", json!("phone_call")), ("/event_source_url", Value::Null)], ""),
        ],
    );
}

#[test]
fn the_verdict_is_the_status() {
    check_answers(&OPENAI, include_str!("fixtures/answers.json"));
}
