//! What a plan shows, and what it never shows.

use super::*;
use crate::secret::Secret;

fn told(old: &str, new: &str) -> String {
    let changes: Vec<String> = plan(&good(old), &good(new)).iter().map(ToString::to_string).collect();
    changes.join("\n")
}

#[test]
fn the_same_configuration_changes_nothing() {
    assert_eq!(plan(&good(FULL), &good(FULL)), []);
    assert_eq!(plan(&Config::empty(), &Config::empty()), []);
    // Where a section stands does not matter.
    let turned = FULL.replace("[[partner]]\nslug = \"plain\"\n", "");
    assert_eq!(told(FULL, &format!("[[partner]]\nslug = \"plain\"\n{turned}")), "");
    assert_eq!(told(FULL, &turned), "- partner plain");
}

#[test]
fn changes_stand_in_the_order_of_sections_with_old_and_new() {
    let new = FULL
        .replace("base_currency = \"EUR\"", "base_currency = \"USD\"")
        .replace("default_region = \"DE\"\n", "")
        .replace("[[source]]\nslug = \"mail\"", "[[source]]\nslug = \"post\"")
        .replace("currency = \"USD\"\nvalue", "currency = \"EUR\"\nvalue")
        .replace("payout = \"sum\"", "revenue = \"sum\"")
        .replace("Declined = \"rejected\"", "Declined = \"reversed\"")
        .replace("\"203.0.113.0/24\", ", "")
        .replace("test_event_code = \"TEST123\"\n", "")
        .replace("timeout_s = 10", "timeout_s = 20")
        .replace("[\"a\", \"b\"]", "[\"b\"]")
        .replace("delay = \"48h\"", "delay = \"90m\"");
    let expected = "\
~ workspace
    base_currency: EUR -> USD
    default_region: DE -> not set
+ source post
    preset: generic
- source mail
~ campaign winter_2
    cost_model.currency: EUR -> USD
~ partner acme
    currency: USD -> EUR
    params.revenue: not set -> sum
    statuses.declined: rejected -> reversed
    auth.allow: [203.0.113.0/24, 2001:db8::1/128] -> [2001:db8::1/128]
    params.payout: sum -> not set
~ destination meta-main
    test_event_code: TEST123 -> not set
~ destination net
    events: [a, b] -> [b]
    timeout_s: 10 -> 20
~ goal purchase
    delay: 2d -> 90m";
    assert_eq!(told(FULL, &new), expected);
}

#[test]
fn what_is_new_is_told_in_full() {
    let partner =
        "[[partner]]\nslug = \"acme\"\nparams = { payout = \"sum\" }\nauth = { token = { env = \"T\" } }\n";
    let expected = "\
+ partner acme
    preset: generic
    params.payout: sum
    auth.token: { env = \"T\" }";
    assert_eq!(told("", partner), expected);
    assert_eq!(told(partner, ""), "- partner acme");
    let json = serde_json::to_value(&plan(&good(partner), &good(""))[0]).unwrap();
    assert_eq!(json, serde_json::json!({ "kind": "removed", "what": "partner acme", "details": [] }));
}

fn with_token(token: SecretRef) -> Config {
    let mut config = good("[[partner]]\nslug = \"acme\"\n");
    config.partners[0].auth.token = Some(token);
    config
}

#[test]
fn secrets_are_named_and_never_shown() {
    let sealed = |text: &str| with_token(SecretRef::Sealed(text.into()));
    let literal = |text: &str| with_token(SecretRef::Literal(Secret::new(text)));
    let env = |name: &str| with_token(SecretRef::Env(name.into()));
    for (old, new, expected) in [
        (sealed("aaaa"), sealed("bbbb"), "auth.token: changed"),
        (literal("aaaa"), literal("bbbb"), "auth.token: changed"),
        (sealed("aaaa"), literal("bbbb"), "auth.token: sealed -> in plain text"),
        (env("OLD"), env("NEW"), "auth.token: { env = \"OLD\" } -> { env = \"NEW\" }"),
        (env("OLD"), sealed("bbbb"), "auth.token: { env = \"OLD\" } -> sealed"),
        (good("[[partner]]\nslug = \"acme\"\n"), literal("bbbb"), "auth.token: not set -> in plain text"),
    ] {
        let changes = plan(&old, &new);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].details, [expected]);
    }
    assert_eq!(plan(&sealed("aaaa"), &sealed("aaaa")), []);
}

#[test]
fn headers_and_token_parameters_of_urls_are_not_shown() {
    let old =
        "[[destination]]\nslug = \"net\"\nkind = \"postback\"\nheaders = { Authorization = \"Bearer aaaa\" }
url = \"https://net.example/?Token=aaaa&secret={sub1}&c={click_id}\"\n";
    let expected = "\
~ destination net
    headers.Authorization: changed
    url: changed";
    assert_eq!(told(old, &old.replace("aaaa", "bbbb")), expected);
    let moved = "\
~ destination net
    url: https://net.example/?Token=***&secret={sub1}&c={click_id} -> \
https://other.example/?Token=***&secret={sub1}&c={click_id}";
    assert_eq!(told(old, &old.replace("net.example", "other.example")), moved);
    assert!(!told("", old).contains("aaaa"));
}

#[test]
fn long_texts_are_cut_and_hidden_signs_are_written_out() {
    let goal = |when: &str| format!("[[goal]]\nslug = \"g\"\nrole = \"funnel_fact\"\nwhen = \"{when}\"\n");
    let long = format!("event == '{}'", "x".repeat(1_000));
    let detail = &plan(&good(&goal("true")), &good(&goal(&long)))[0].details[0];
    assert!(detail.chars().count() < 400 && detail.ends_with('…'), "{detail}");
    let detail = &plan(&good(&goal("true")), &good(&goal("event == '\\u202e'\\n")))[0].details[0];
    assert_eq!(detail, "when: true -> \"event == '\\u202E'\\n\"");
}
