//! What is sent to Reddit, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::REDDIT;
use crate::dialect::Dialect;
use crate::sample::{
    NOW, check_answers, check_names, check_refusals, event, fixture, is_bearer, json_of, limited, of_kind,
    rich, sent,
};

#[test]
fn a_whole_request() {
    let more = [("/user/rdt_cid", json!("aB-c")), ("/user/rdt_uuid", json!("1.u"))];
    let event = rich(&[&limited()[..], &more].concat());
    let (request, body) = sent(&REDDIT, &[("test_id", "t2_1")], event);
    let hashed = [("PHONE", "+16505551212"), ("ID_EXACT", "User-42"), ("ADDRESS", "2001:db8::1")];
    assert_eq!(body, fixture(include_str!("fixtures/request.json"), &hashed));
    assert_eq!(request.url, "https://ads-api.reddit.com/api/v3/pixels/P1/conversion_events");
    assert!(is_bearer(&request));
}

#[test]
fn an_address_loses_what_reddit_drops() {
    let event = event(&[("/user/email", json!("Al.ice$+Apple@Example.Com"))]);
    let built = REDDIT.build(&of_kind("reddit", &[]), &[event], NOW);
    let email = json_of(&built.payloads[0]).pointer("/user/email").unwrap().clone();
    assert_eq!(email, "ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976");
}

#[test]
fn names_are_reddits_or_ones_own() {
    check_names(
        &REDDIT,
        "/type/tracking_type",
        &[
            ("Purchase", "PURCHASE"),
            ("CompleteRegistration", "SIGN_UP"),
            ("PageView", "PAGE_VISIT"),
            ("LEAD", "LEAD"),
            ("InitiateCheckout", "CUSTOM"),
        ],
    );
    check_names(&REDDIT, "/type/custom_event_name", &[("InitiateCheckout", "InitiateCheckout")]);
}

#[test]
fn what_reddit_would_refuse_is_left_out() {
    check_refusals(
        &REDDIT,
        &[
            (&[("/user", json!({"client_user_agent": "UA"}))], "user data is not enough"),
            (&[("/opt_out", json!(true))], "opt_out is true, which Reddit cannot be told"),
            (&[("/user", json!({"rdt_cid": "x"}))], ""),
            (&[("/user", json!({"client_ip_address": "192.0.2.1"}))], ""),
            (&[("/event_source_url", Value::Null)], ""),
        ],
    );
}

#[test]
fn limits_of_use_name_the_state() {
    for (country, state, wanted) in [
        (1, 1013, json!({"modes": ["LDU"], "country": "US", "region": "US-RI"})),
        (0, 0, json!({"modes": ["LDU"]})),
    ] {
        let event = event(&[
            ("/data_processing_options", json!(["LDU"])),
            ("/data_processing_options_country", json!(country)),
            ("/data_processing_options_state", json!(state)),
        ]);
        let built = REDDIT.build(&of_kind("reddit", &[]), &[event], NOW);
        let sent = json_of(&built.payloads[0]);
        assert_eq!(sent.pointer("/user/data_processing_options").unwrap(), &wanted);
    }
}

#[test]
fn the_verdict_is_the_status() {
    check_answers(&REDDIT, include_str!("fixtures/answers.json"));
}
