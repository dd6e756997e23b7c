//! What is read, what is refused and in which words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::consent::{Choice, Consent};
use crate::identity::sha256_hex;

/// 2025-11-27T01:01:40Z
const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);

fn defaults() -> ServerDefaults<'static> {
    ServerDefaults { default_region: Some("US"), now: NOW }
}

fn read_text(text: &str) -> Result<ServerEvent, Vec<Invalid>> {
    read(text.as_bytes(), defaults())
}

fn event(value: &Value) -> OutboundEvent {
    read_text(&value.to_string()).unwrap().event
}

/// The mistakes of a text, as `pointer problem`.
fn problems(text: &str) -> Vec<String> {
    read_text(text)
        .unwrap_err()
        .into_iter()
        .map(|found| format!("{} {}", found.pointer, found.problem))
        .collect()
}

#[test]
fn the_documented_event_is_read_whole() {
    let read = event(&json!({
        "event": "Purchase", "event_time": "2025-11-27T01:00:00Z", "event_id": "e-1", "click_id": "c-1",
        "transaction_id": "T-1", "status": "approved", "value": "12.34", "currency": "usd", "external_id": "U 1",
        "action_source": "website", "event_source_url": "https://shop.example/thanks?id=7&utm_source=x#top",
        "referrer_url": "https://shop.example/checkout", "opt_out": false,
        "data_processing_options": ["LDU"], "data_processing_options_country": 1, "data_processing_options_state": 1000,
        "user": {
            "email": ["A@b.example", "c@d.example"], "phone": ["+1 650 555 1212"], "first_name": "Ann", "last_name": "B",
            "gender": "f", "birthdate": "1990-01-02", "city": "Rome", "state": "CA", "zip": 94035, "country": "US",
            "client_ip_address": "2001:db8::1", "client_user_agent": "UA/1.0 (x)",
            "fbc": "fb.1.1764198000000.AbC", "fbp": "fb.1.1764190000000.12", "lead_id": 1_234_567_890_123_456_u64,
            "subscription_id": "s"
        },
        "custom": {"content_ids": ["sku-1", 7], "contents": [{"id": "sku-1", "quantity": "1", "item_price": "12.340"}], "num_items": "1", "net_revenue": 4.5, "own": null},
        "original_event_data": {"event_name": "Lead", "event_time": "2025-11-26T00:00:00Z", "order_id": null},
        "attribution_data": {"ad_id": "1", "touchpoint_ts": 1_764_100_000_000_u64},
        "messaging_channel": "whatsapp"
    }));
    assert_eq!((read.event_name.as_str(), read.event_id.as_str()), ("Purchase", "e-1"));
    assert_eq!(read.event_time.to_string(), "2025-11-27T01:00:00.000Z");
    assert_eq!((read.value.as_deref(), read.currency.as_deref()), (Some("12.34"), Some("USD")));
    assert_eq!(read.event_source_url.as_deref(), Some("https://shop.example/thanks?id=7"));
    assert_eq!(read.referrer_url.as_deref(), Some("https://shop.example/checkout"));
    assert_eq!(read.opt_out, Some(false));
    assert_eq!(
        read.data_processing,
        Some(DataProcessing { options: vec!["LDU".into()], country: Some(1), state: Some(1000) })
    );
    assert_eq!(read.contact.email, [sha256_hex("a@b.example"), sha256_hex("c@d.example")]);
    assert_eq!(read.contact.phone, [sha256_hex("16505551212")]);
    assert_eq!(read.contact.zip, [sha256_hex("94035")]);
    assert_eq!(read.contact.external_id, [sha256_hex("u1")]);
    assert_eq!(read.contact.birthdate, [sha256_hex("19900102")]);
    assert_eq!(read.visitor.client_ip_address.as_deref(), Some("2001:db8::1"));
    assert_eq!(read.visitor.fbc.as_deref(), Some("fb.1.1764198000000.AbC"));
    assert_eq!(read.visitor.fbp.as_deref(), Some("fb.1.1764190000000.12"));
    assert_eq!(
        Value::from(read.visitor.other),
        json!({"subscription_id": "s", "lead_id": 1_234_567_890_123_456_u64})
    );
    assert_eq!(
        Value::from(read.custom).to_string(),
        r#"{"content_ids":["sku-1","7"],"contents":[{"id":"sku-1","quantity":1,"item_price":12.340}],"num_items":1,"net_revenue":4.5,"order_id":"T-1"}"#
    );
    assert_eq!(
        Value::from(read.extra),
        json!({
            "original_event_data": {"event_name": "Lead", "event_time": 1_764_115_200},
            "attribution_data": {"ad_id": "1", "touchpoint_ts": 1_764_100_000},
            "messaging_channel": "whatsapp",
        })
    );
    assert_eq!(
        read.origin,
        Origin {
            click_id: "c-1".into(),
            transaction_id: "T-1".into(),
            event: "Purchase".into(),
            external_id: "U 1".into(),
            status: "approved".into(),
            currency: "USD".into(),
            ..Origin::default()
        }
    );
}

#[test]
fn only_the_name_is_needed() {
    let read = event(&json!({"event": "PageView"}));
    let expected = OutboundEvent {
        event_name: "PageView".into(),
        event_time: NOW,
        action_source: "website".into(),
        origin: Origin { event: "PageView".into(), status: "approved".into(), ..Origin::default() },
        ..OutboundEvent::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn consent_is_read() {
    let said = json!({
        "gpc": true, "ad_user_data": "DENIED", "ad_personalization": "unspecified",
        "gdpr": 1, "gdpr_consent": "CPx-_.YAAA", "gpp": "DBAB~CPXx.QA", "gpp_sid": "2,6",
    });
    let read = event(&json!({"event": "x", "consent": said})).consent;
    let expected = Consent {
        gpc: true,
        ad_user_data: Some(Choice::Denied),
        ad_personalization: None,
        gdpr: Some("1".into()),
        gdpr_consent: Some("CPx-_.YAAA".into()),
        gpp: Some("DBAB~CPXx.QA".into()),
        gpp_sid: Some("2,6".into()),
    };
    assert_eq!(read, expected);
    for (said, place) in [
        (json!({"ad_user_data": "no"}), "/consent/ad_user_data"),
        (json!({"ad_storage": "denied"}), "/consent/ad_storage"),
        (json!({"gpc": 1}), "/consent/gpc"),
        (json!("denied"), "/consent"),
    ] {
        let problems = read_text(&json!({"event": "x", "consent": said}).to_string()).unwrap_err();
        assert_eq!(problems[0].pointer, place);
    }
    // A string that somebody mangled is no reason to lose the sale.
    let mangled = read_text(r#"{"event":"x","consent":{"gdpr":"1","gdpr_consent":"C P"}}"#).unwrap();
    assert_eq!(mangled.notes[0].pointer, "/consent/gdpr_consent");
    assert_eq!(
        (mangled.event.consent.gdpr.as_deref(), mangled.event.consent.gdpr_consent),
        (Some("1"), None)
    );
}

#[test]
fn money_is_read_exactly() {
    for (text, value) in [
        (r#""value":"12.30","currency":"USD""#, Some("12.30")),
        (r#""value":12.3,"currency":"USD""#, Some("12.30")),
        (r#""value":0.1,"currency":"USD""#, Some("0.10")),
        (r#""value":142.52,"currency":"EUR""#, Some("142.52")),
        (r#""value":9007199254740.99,"currency":"USD""#, Some("9007199254740.99")),
        (r#""value":1200,"currency":"JPY""#, Some("1200")),
        (r#""value":"1.234","currency":"KWD""#, Some("1.234")),
        (r#""payout":"1.00","currency":"USD""#, Some("1.00")),
        (r#""revenue":"3.00","currency":"USD""#, Some("3.00")),
        (r#""payout":"1.00","revenue":"3.00","currency":"USD""#, Some("1.00")),
        (r#""value":"2.00","payout":"1.00","revenue":"3.00","currency":"USD""#, Some("2.00")),
        (r#""currency":"USD""#, None),
    ] {
        let read = read_text(&format!("{{\"event\":\"x\",{text}}}")).unwrap().event;
        assert_eq!(read.value.as_deref(), value, "{text}");
    }
    let read = event(&json!({"event": "x", "payout": "1.5", "revenue": 3, "currency": "USD"}));
    assert_eq!((read.origin.payout.as_str(), read.origin.revenue.as_str()), ("1.50", "3.00"));
}

#[test]
fn times_come_in_every_usual_form() {
    for time in [
        json!(1_764_201_600),
        json!("1764201600"),
        json!(1_764_201_600_000_u64),
        json!("2025-11-27T02:00:00+02:00"),
    ] {
        assert_eq!(
            event(&json!({"event": "x", "event_time": time})).event_time.as_seconds(),
            1_764_201_600,
            "{time}"
        );
    }
    // A clock that is a little ahead is believed.
    assert!(read_text(r#"{"event":"x","event_time":1764205600}"#).is_ok());
}

#[test]
fn ids_are_derived_only_from_what_is_durable() {
    let id = |value: Value| event(&value).event_id;
    let derived = id(json!({"event": "Purchase", "transaction_id": "T-1"}));
    assert_eq!(derived.len(), 32);
    assert_eq!(
        derived,
        id(json!({"event": "purchase", "transaction_id": "T-1", "value": "1", "currency": "USD"}))
    );
    assert_ne!(derived, id(json!({"event": "Refund", "transaction_id": "T-1"})));
    assert_ne!(derived, id(json!({"event": "Purchase", "transaction_id": "T-2"})));
    assert_eq!(id(json!({"event": "Purchase", "transaction_id": "T-1", "event_id": "mine"})), "mine");
    assert_eq!(id(json!({"event": "Purchase", "click_id": "c"})), "");
}

#[test]
fn every_id_of_the_person_counts() {
    let read = event(&json!({"event": "x", "external_id": ["a", 7], "user": {"external_id": "b"}}));
    assert_eq!(read.contact.external_id, ["a", "7", "b"].map(sha256_hex));
    assert_eq!(read.origin.external_id, "a");
}

#[test]
fn white_space_around_a_person_costs_no_event() {
    let read = read_text(
        r#"{"event":"x","user":{"email":"\tanna@shop.co.uk\n","city":"New\r\nYork","external_id":["\n7\t"]}}"#,
    )
    .unwrap();
    let contact = read.event.contact;
    assert_eq!(contact.email, ["anna@shop.co.uk"].map(sha256_hex));
    assert_eq!(contact.city, ["newyork"].map(sha256_hex));
    assert_eq!(contact.exact_external_id.len() + contact.external_id.len(), 1);
}

#[test]
fn values_that_are_of_no_use_are_noted_and_not_repeated() {
    let text =
        r#"{"event":"x","user":{"email":["nobody","a@b.example"],"gender":"?","fbc":"AbC","fbp":"fb.x"}}"#;
    let read = read_text(text).unwrap();
    assert_eq!(read.event.contact.email.len(), 1);
    assert_eq!((read.event.visitor.fbc, read.event.visitor.fbp), (None, None));
    let notes: Vec<_> = read.notes.iter().map(|note| note.pointer.as_str()).collect();
    assert_eq!(notes, ["/user/email", "/user/gender", "/user/fbc", "/user/fbp"]);
    assert!(!format!("{:?}", read.notes).contains("nobody"));
}

/// A text, and the one mistake in it.
const MISTAKES: &[(&str, &str)] = &[
    ("", " is not one JSON value: EOF while parsing a value at line 1 column 0"),
    ("{\"event\":\"x\"} {}", " is not one JSON value: trailing characters at line 1 column 15"),
    ("{\"event\":\"x\",}", " is not one JSON value: key must be a string at line 1 column 14"),
    ("[1]", " must be a JSON object"),
    ("\"x\"", " must be a JSON object"),
    ("{}", "/event is required: the event's name, such as \"Purchase\""),
    (r#"{"event":" "}"#, "/event is required: the event's name, such as \"Purchase\""),
    (r#"{"event":7.5e3}"#, "/event is not a plain number such as 12.34"),
    (r#"{"event":["x"]}"#, "/event must be a text"),
    (r#"{"event":"a\u0000b"}"#, "/event contains NUL"),
    (r#"{"event":"a\nb"}"#, "/event has control characters"),
    (r#"{"event":"\ud800"}"#, "/event is not valid Unicode text"),
    (r#"{"event":"x","\udc00":1}"#, " has a key that is not valid Unicode text"),
    (r#"{"event":"x","event":"y"}"#, "/event comes twice; send each key once"),
    (
        r#"{"event":"x","custom":{"a":{"b":[{"c":1,"c":1}]}}}"#,
        "/custom/a/b/0/c comes twice; send each key once",
    ),
    (
        r#"{"event":"x","user":{"email":"a@b.example","email":"c@d.example"}}"#,
        "/user/email comes twice; send each key once",
    ),
    (r#"{"event":"x","event_name":"y"}"#, "/event_name is not a known key; did you mean `event`?"),
    (r#"{"event":"x","evnet_id":"y"}"#, "/evnet_id is not a known key; did you mean `event_id`?"),
    (r#"{"event":"x","user":{"emial":"y"}}"#, "/user/emial is not a known key; did you mean `email`?"),
    (r#"{"event":"x","user":{"em":"y"}}"#, "/user/em is not a known key; did you mean `email`?"),
    (r#"{"event":"x","user":{"IP":"y"}}"#, "/user/IP is not a known key; did you mean `client_ip_address`?"),
    (r#"{"event":"x","a/b~c":"y"}"#, "/a~1b~0c is not a known key; known are event, event_time"),
    (r#"{"event":"x","event_time":"yesterday"}"#, "/event_time is not a time; send RFC 3339"),
    (
        r#"{"event":"x","event_time":1764205601}"#,
        "/event_time is 2025-11-27T01:06:41.000Z, which is ahead of the clock here",
    ),
    (r#"{"event":"x","value":"1.00"}"#, "/currency is required beside `value`"),
    (
        r#"{"event":"x","value":"1.00","currency":"EURO"}"#,
        "/currency is not a currency of ISO 4217; send a code",
    ),
    (
        r#"{"event":"x","value":"1,00","currency":"EUR"}"#,
        "/value is not a plain decimal number such as 12.34 (EUR)",
    ),
    (
        r#"{"event":"x","value":1.005,"currency":"EUR"}"#,
        "/value has more decimals than the currency has (EUR)",
    ),
    (r#"{"event":"x","value":-1,"currency":"EUR"}"#, "/value is below zero; send refunds"),
    (r#"{"event":"x","value":1e400,"currency":"EUR"}"#, "/value is not a plain number such as 12.34"),
    (r#"{"event":"x","value":true,"currency":"EUR"}"#, "/value must be a text"),
    (r#"{"event":"x","payout":"x","currency":"EUR"}"#, "/payout is not a plain decimal"),
    (r#"{"event":"x","status":"paid"}"#, "/status must be one of lead, hold, approved, rejected, reversed"),
    (r#"{"event":"x","action_source":"web"}"#, "/action_source must be one of email, website"),
    (r#"{"event":"x","event_source_url":"/thanks"}"#, "/event_source_url is not an absolute URL"),
    (r#"{"event":"x","referrer_url":"nowhere"}"#, "/referrer_url is not an absolute URL"),
    (r#"{"event":"x","opt_out":"true"}"#, "/opt_out must be true or false"),
    (
        r#"{"event":"x","data_processing_options_country":1}"#,
        "/data_processing_options is required beside its country",
    ),
    (
        r#"{"event":"x","data_processing_options":["LDU"],"data_processing_options_country":"1"}"#,
        "/data_processing_options_country must be a whole number",
    ),
    (r#"{"event":"x","user":[]}"#, "/user must be an object"),
    (r#"{"event":"x","user":{"email":[1.5,{}]}}"#, "/user/email/1 must be a text, or a list of texts"),
    (
        r#"{"event":"x","user":{"client_ip_address":"192.0.2.1, 10.0.0.1"}}"#,
        "/user/client_ip_address is not one IPv4 or IPv6 address",
    ),
    (r#"{"event":"x","user":{"lead_id":[1]}}"#, "/user/lead_id must be a text"),
    (r#"{"event":"x","custom":7}"#, "/custom must be an object"),
    (r#"{"event":"x","custom":{"value":1}}"#, "/custom/value belongs beside `event`, as `value`"),
    (
        r#"{"event":"x","custom":{"currency":"USD"}}"#,
        "/custom/currency belongs beside `event`, as `currency`",
    ),
    (
        r#"{"event":"x","custom":{"contents":[{},{"item_price":"1,5"}]}}"#,
        "/custom/contents/1/item_price is not a plain number",
    ),
    (r#"{"event":"x","custom":{"predicted_ltv":"much"}}"#, "/custom/predicted_ltv is not a plain number"),
    (r#"{"event":"x","app_data":"x"}"#, "/app_data must be an object"),
    (
        r#"{"event":"x","original_event_data":{"event_time":"then"}}"#,
        "/original_event_data/event_time is not a time",
    ),
];

#[test]
fn mistakes_are_named_with_place_and_fix() {
    for (text, expected) in MISTAKES {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].starts_with(*expected), "{text}\n{found:?}");
    }
}

#[test]
fn all_mistakes_are_named_at_once_up_to_a_limit() {
    assert_eq!(problems(r#"{"evnt":"x","opt_out":1,"user":{"emial":1},"custom":[]}"#).len(), 5);
    let many: serde_json::Map<String, Value> =
        (0..500).map(|number| (format!("k{number}"), json!(1))).collect();
    assert_eq!(problems(&Value::from(many).to_string()).len(), PROBLEMS_MAX);
}

#[test]
fn limits_are_answers() {
    assert_eq!(
        problems(&format!("{{\"event\":\"{}\"}}", "x".repeat(257))),
        ["/event is longer than 256 bytes"]
    );
    assert_eq!(
        problems(&" ".repeat(EVENT_BYTES_MAX + 1)),
        [format!(" is longer than {EVENT_BYTES_MAX} bytes")]
    );
    let nested = |depth: usize| {
        format!("{{\"event\":\"x\",\"custom\":{{\"a\":{}1{}}}}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert!(read_text(&nested(14)).is_ok());
    assert!(problems(&nested(15))[0].ends_with("is nested deeper than 16 levels"));
    assert!(problems(&nested(100_000))[0].ends_with("is nested deeper than 16 levels"));
    let unclosed = problems(&"[".repeat(200_000));
    assert!(unclosed[0].starts_with(" is not one JSON value"), "{unclosed:?}");
    let key = problems(&format!("{{\"event\":\"x\",\"{}\":1}}", "k".repeat(10_000)));
    assert!(key[0].starts_with(&format!("/{} is not a known key", "k".repeat(64))), "{key:?}");
    assert_eq!(read(b"{\"event\":\"\xff\"}", defaults()).unwrap_err()[0].problem, "is not UTF-8");
}

#[test]
fn no_mistake_repeats_a_contact_value() {
    let text = r#"{"event":"x","user":{"email":["jane@private.example",{}],"client_ip_address":"203.0.113.77x","phone":"+1 650 555 1212 \u0007","emial":"jane@private.example"}}"#;
    let said = format!("{:?}", read_text(text).unwrap_err());
    for secret in ["jane", "203.0.113", "650"] {
        assert!(!said.contains(secret), "{said}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(read(&bytes, defaults()));
    }

    #[test]
    fn any_value_under_any_key_is_read_or_refused(
        key in prop::sample::select([KEYS, &["user/email", "user/fbc", "user/lead_id", "custom/contents", "custom/own"]].concat()),
        json in prop_oneof![
            Just("null".to_owned()), Just("[[]]".to_owned()), Just("{\"a\":{}}".to_owned()), "-?[0-9]{1,20}(\\.[0-9]{1,5})?",
            "\\PC{0,30}".prop_map(|text| Value::from(text).to_string()),
            "[a-f0-9ud\\\\]{0,8}".prop_map(|text| format!("\"{text}\"")),
        ],
    ) {
        let text = match key.split_once('/') {
            Some((outer, inner)) => format!("{{\"event\":\"x\",\"{outer}\":{{\"{inner}\":{json}}}}}"),
            None if key == "event" => format!("{{\"event\":{json}}}"),
            None => format!("{{\"event\":\"x\",\"{key}\":{json}}}"),
        };
        match read_text(&text) {
            Ok(read) => {
                // What was read can be stored, and comes back the same.
                let stored = serde_json::to_string(&read.event).unwrap();
                prop_assert!(!stored.contains("\\u0000"));
                prop_assert_eq!(serde_json::from_str::<OutboundEvent>(&stored).unwrap(), read.event);
            }
            Err(found) => prop_assert!(!found.is_empty() && found.len() <= PROBLEMS_MAX),
        }
    }
}

#[test]
fn ids_of_other_platforms_are_kept_byte_for_byte() {
    let visitor = event(&json!({"event": "x", "user": {
        "ttp": "2Fx", "rdt_uuid": "1.u", "ga_client_id": "GA1.1.2.3", "ga_session_id": "5", "ga_user_id": "u-1",
        "idfv": "{{idfv}}", "ttclid": "E.C.P.a-B_c", "ScCid": "a-B", "gclid": "{gclid}",
    }}))
    .visitor;
    let click_ids = json!({"ttclid": "E.C.P.a-B_c", "ScCid": "a-B"});
    assert_eq!(Value::from(visitor.ad_click_ids), click_ids);
    assert_eq!(
        Value::from(visitor.other),
        json!({
            "ttp": "2Fx", "rdt_uuid": "1.u", "ga_client_id": "GA1.1.2.3", "ga_session_id": "5", "ga_user_id": "u-1",
        })
    );
}
