//! What a postback calls, and what its answer comes to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::consent::Europe;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{Origin, OutboundEvent, Visitor};
use crosstally_core::macro_names::names;
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::template::{Function, Style};
use crosstally_core::time::{DAY_MS, SECOND_MS, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

use super::Postback;
use crate::dialect::{BatchOutcome, Built, Dialect, Reading, Request, Response, Settings};

mod answers;
mod templates;

/// 2025-11-27T01:01:40Z
const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
const SECRET: &str = "s3c/r+t&x";
const BASE: &str = "https://partner.example/pb";

fn settings(values: &[(&str, Setting)]) -> Settings {
    let mut values: BTreeMap<String, Setting> =
        values.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())).collect();
    values.insert("secret".to_owned(), Setting::Secret(SecretRef::Env("S".to_owned())));
    Settings {
        values,
        secrets: BTreeMap::from([("secret".to_owned(), Secret::new(SECRET))]),
        ..Settings::default()
    }
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

fn map(pairs: &[(&str, &str)]) -> Setting {
    Setting::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn list(items: &[&str]) -> Setting {
    Setting::List(items.iter().map(|item| (*item).to_owned()).collect())
}

fn texts(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

fn event() -> OutboundEvent {
    OutboundEvent {
        event_name: "Purchase".to_owned(),
        event_time: NOW.plus_millis(-5 * SECOND_MS),
        event_id: "e-1".to_owned(),
        value: Some("12.34".to_owned()),
        currency: Some("EUR".to_owned()),
        visitor: Visitor {
            ad_click_ids: texts(&[("fbclid", "IwAR_x-Y"), ("ScCid", "sc")]),
            ..Visitor::default()
        },
        origin: Origin {
            goal: "purchase".to_owned(),
            conversion: "cnv_1".to_owned(),
            click_id: "c1".to_owned(),
            click_time: Some(NOW.plus_millis(-DAY_MS)),
            campaign: "summer".to_owned(),
            source: "facebook".to_owned(),
            partner: "acme".to_owned(),
            transaction_id: "T 1&x".to_owned(),
            event: "sale".to_owned(),
            external_id: "u-1".to_owned(),
            status: "approved".to_owned(),
            payout: "12.34".to_owned(),
            revenue: "99.00".to_owned(),
            currency: "EUR".to_owned(),
            params: texts(&[
                ("sub1", "a b&c=é\"<\r\n"),
                ("sub2", "{{ad.id}}"),
                ("secret", "visitor"),
                ("fbclid", "other"),
                ("dots", ".."),
                ("dot", "."),
            ]),
            malformed: Vec::new(),
            europe: Europe::Unsaid,
            erased: false,
            hops: 0,
            value_of: String::new(),
        },
        ..OutboundEvent::default()
    }
}

fn built(values: &[(&str, Setting)]) -> Built {
    Postback.build(&settings(values), &[event()], NOW)
}

fn request(values: &[(&str, Setting)]) -> Request {
    let built = built(values);
    assert_eq!(built.left_out, []);
    built.request.unwrap()
}

fn url_of(template: &str) -> String {
    request(&[("url", text(&format!("{BASE}{template}")))]).url.strip_prefix(BASE).unwrap().to_owned()
}

/// Macros, and what they are filled with in a URL.
const MACROS: &[(&str, &str)] = &[
    ("click_id", "c1"),
    ("transaction_id", "T%201%26x"),
    ("status", "approved"),
    ("payout", "12.34"),
    ("revenue", "99.00"),
    ("value", "12.34"),
    ("currency", "EUR"),
    ("event_name", "Purchase"),
    ("event_id", "e-1"),
    ("event_time", "1764205295"),
    ("click_time", "1764118900"),
    ("event", "sale"),
    ("external_id", "u-1"),
    ("campaign", "summer"),
    ("source", "facebook"),
    ("partner", "acme"),
    ("goal", "purchase"),
    ("conversion_id", "cnv_1"),
    ("fbclid", "IwAR_x-Y"),
    ("sccid", "sc"),
    ("event_time_ms", "1764205295000"),
    ("click_time_ms", "1764118900000"),
    ("CLICK_ID", "c1"),
    ("click.sub1", "a%20b%26c%3D%C3%A9%22%3C%0D%0A"),
    ("click.secret", "visitor"),
    ("click.fbclid", "IwAR_x-Y"),
    ("click.sub2", ""),
    ("sub1", "a%20b%26c%3D%C3%A9%22%3C%0D%0A"),
    ("SUB1", "a%20b%26c%3D%C3%A9%22%3C%0D%0A"),
    // An unfilled macro of the source, and names that nobody knows.
    ("sub2", ""),
    ("nothing", ""),
    ("gclid", ""),
    ("secret", "s3c%2Fr%2Bt%26x"),
];

#[test]
fn every_macro_has_its_value() {
    for (name, value) in MACROS {
        assert_eq!(url_of(&format!("?x={{{name}}}&y=1")), format!("?x={value}&y=1"), "{name}");
    }
    assert_eq!(url_of("/{campaign}/{nothing}?a={\"k\":1}&b={}"), "/summer/?a={%22k%22:1}&b={}");
}

#[test]
fn the_documentation_knows_every_setting_and_macro() {
    let page = include_str!("../../../../docs/destinations/postback.md");
    let settings = include_str!("../../../../docs/config.md");
    for field in Postback.fields() {
        assert!(settings.contains(&format!("`{}`", field.name)), "{}", field.name);
    }
    for (name, _) in names() {
        assert!(page.contains(&format!("{{{name}}}")), "{name}");
    }
    for function in Function::WORDS {
        assert!(page.contains(&format!("`{function}")), "{function}");
    }
    for style in Style::ALL {
        assert!(page.contains(&format!("`{}`", style.sample)), "{}", style.sample);
    }
}

#[test]
fn without_a_value_nothing_stands_there() {
    let template = "?p={payout}&v={value}&c={currency}&t={click_time}&s={secret}&k={click_id}";
    let mut settings = settings(&[("url", text(&format!("{BASE}{template}")))]);
    settings.secrets.clear();
    let built =
        Postback.build(&settings, &[OutboundEvent { event_time: NOW, ..OutboundEvent::default() }], NOW);
    assert_eq!(built.request.unwrap().url, format!("{BASE}?p=&v=&c=&t=&s=&k="));
}

#[test]
fn a_get_has_no_body_and_its_url_is_shown_masked() {
    let built = built(&[("url", text(&format!("{BASE}?k={{secret}}&c={{click_id}}")))]);
    let request = built.request.unwrap();
    assert_eq!((request.method, request.body.len()), ("GET", 0));
    assert_eq!(request.headers, [("crosstally-hops".to_owned(), "1".to_owned())]);
    assert!(request.url.contains("s3c%2Fr%2Bt%26x"));
    assert_eq!(request.url_shown(), format!("{BASE}?k=***&c=c1"));
    assert_eq!(built.payloads, [format!("{BASE}?k=***&c=c1")]);
    assert!(!format!("{request:?}").contains("s3c"));
}

#[test]
fn bodies_are_escaped_by_their_type() {
    for (content_type, template, body) in [
        (None, "id={click_id}&s={sub1}&n={nothing}", "id=c1&s=a%20b%26c%3D%C3%A9%22%3C%0D%0A&n="),
        (
            Some("application/json; charset=utf-8"),
            r#"{"s":"{sub1}","e":"\"{sub1}\"","p":{payout},"n":{nothing},"t":{sub1},"m":"{sub2}","a":[{event_time}]}"#,
            r#"{"s":"a b&c=é\"<\r\n","e":"\"a b&c=é\"<\r\n\"","p":12.34,"n":null,"t":"a b&c=é\"<\r\n","m":"","a":[1764205295]}"#,
        ),
        (Some("text/xml"), "<p s=\"{sub1}\">{payout}</p>", "<p s=\"a b&amp;c=é&quot;&lt;  \">12.34</p>"),
        (Some("text/plain"), "{sub1}|{payout}", "a b&c=é\"<  |12.34"),
    ] {
        let mut values = vec![("url", text(BASE)), ("method", text("POST")), ("body", text(template))];
        values.extend(content_type.map(|content_type| ("content_type", text(content_type))));
        assert_eq!(Postback.check(&settings(&values).values), [], "{content_type:?}");
        let built = built(&values);
        let request = built.request.unwrap();
        assert_eq!(String::from_utf8(request.body.clone()).unwrap(), body);
        assert_eq!(request.body, request.body_shown);
        assert_eq!(built.payloads, [body]);
        let expected = content_type.unwrap_or("application/x-www-form-urlencoded");
        assert_eq!(request.headers[0], ("content-type".to_owned(), expected.to_owned()));
    }
}

#[test]
fn a_secret_in_body_and_headers_is_masked() {
    let request = request(&[
        ("url", text(BASE)),
        ("method", text("POST")),
        ("body", text("k={secret}&c={click_id}")),
        ("headers", map(&[("Authorization", "Bearer {secret}"), ("X-Sub", "{sub1}")])),
    ]);
    assert_eq!(request.body, b"k=s3c%2Fr%2Bt%26x&c=c1");
    assert_eq!(request.body_shown, b"k=***&c=c1");
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("authorization", "Bearer s3c/r+t&x"),
            ("x-sub", "a b&c=%C3%A9\"<%0D%0A"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("crosstally-hops", "1")
        ]
    );
}

#[test]
fn one_call_carries_one_event_and_the_rest_waits() {
    let old = OutboundEvent { event_time: NOW.plus_millis(-30 * DAY_MS - 1), ..event() };
    let just = OutboundEvent { event_time: NOW.plus_millis(-30 * DAY_MS), ..event() };
    let built = Postback.build(&settings(&[("url", text(BASE))]), &[old.clone(), just, event()], NOW);
    assert_eq!(built.included, [1]);
    assert_eq!(
        built.left_out.iter().map(|left| (left.index, left.reason)).collect::<Vec<_>>(),
        [(0, Reason::EventTooOld)]
    );
    let longer = settings(&[("url", text(BASE)), ("max_age_days", Setting::Integer(31))]);
    assert_eq!(Postback.build(&longer, &[old], NOW).included, [0]);
    assert_eq!(Postback.max_age_ms(&longer.values, "website"), 31 * DAY_MS);
    assert_eq!(Postback.batch_max(), 1);
}

#[test]
fn a_url_that_grew_too_long_is_not_sent() {
    let mut event = event();
    event.origin.params.insert("long".to_owned(), json!("é".repeat(8000)));
    let built = Postback.build(&settings(&[("url", text(&format!("{BASE}?x={{long}}")))]), &[event], NOW);
    assert_eq!(built.left_out[0].reason, Reason::EventIncomplete);
    assert!(built.left_out[0].detail.contains("at most 16384"), "{}", built.left_out[0].detail);
}

#[test]
fn settings_that_cannot_work_are_named() {
    let post = || vec![("url", text(BASE)), ("method", text("POST"))];
    let with = |mut values: Vec<(&'static str, Setting)>, name: &'static str, setting: Setting| {
        values.push((name, setting));
        values
    };
    let cases: Vec<(Vec<(&str, Setting)>, &str)> = vec![
        (vec![("url", text("https://{sub1}.example/"))], "url"),
        (vec![("url", text("https://a.example{sub1}/"))], "url"),
        (vec![("url", text("https://a.example:{sub1}/"))], "url"),
        (vec![("url", text("https://{sub1}@a.example/"))], "url"),
        (vec![("url", text("https://u:p@a.example/?x={click_id}"))], "url"),
        (vec![("url", text("{sub1}"))], "url"),
        (vec![("url", text("/postback"))], "url"),
        (vec![("url", text("https://a.example/#{click_id}"))], "url"),
        (vec![("url", text(BASE)), ("method", text("get"))], "method"),
        (vec![("url", text(BASE)), ("method", text("PUT"))], "method"),
        (vec![("url", text(BASE)), ("body", text("x"))], "body"),
        (vec![("url", text(BASE)), ("content_type", text("text/plain"))], "content_type"),
        (with(post(), "content_type", text("image/png")), "content_type"),
        (with(post(), "content_type", text("text/plain\r\nx: y")), "content_type"),
        (
            with(with(post(), "content_type", text("application/json")), "body", text("{\"a\":{payout}")),
            "body",
        ),
        (
            with(with(post(), "content_type", text("application/json")), "body", text("{\"a\":-{payout}}")),
            "body",
        ),
        (with(post(), "headers", map(&[("a b", "x")])), "headers"),
        (with(post(), "headers", map(&[("", "x")])), "headers"),
        (with(post(), "headers", map(&[("Content-Length", "1")])), "headers"),
        (with(post(), "headers", map(&[("host", "other.example")])), "headers"),
        (with(post(), "headers", map(&[("x", "a\r\nb: c")])), "headers"),
        (with(post(), "headers", map(&[("x", "é")])), "headers"),
        (with(post(), "success_body_contains", text("")), "success_body_contains"),
        (vec![("method", text("GET"))], "url"),
        (vec![("preset", text("nosuchsource"))], "preset"),
        (with(post(), "brackets", text("|x|")), "brackets"),
        (with(post(), "success_body_matches", text("(")), "success_body_matches"),
        (with(post(), "success_status", list(&["2xx"])), "success_status"),
        (with(post(), "success_status", list(&["200-302"])), "success_status"),
        (with(post(), "constants", map(&[("a b", "x")])), "constants"),
        (with(post(), "constants", map(&[("a", " ")])), "constants"),
        (with(post(), "max_age_days", Setting::Integer(0)), "max_age_days"),
        (with(post(), "max_age_days", Setting::Integer(4000)), "max_age_days"),
    ];
    for (values, setting) in cases {
        let problems = Postback.check(&settings(&values).values);
        assert_eq!(
            problems.iter().map(|found| found.setting.as_str()).collect::<Vec<_>>(),
            [setting],
            "{values:?}"
        );
        assert!(problems[0].problem.contains("; "), "{}", problems[0].problem);
    }
    let good =
        with(with(post(), "headers", map(&[("X-Key", "{secret}")])), "success_body_contains", text("OK"));
    assert_eq!(Postback.check(&settings(&good).values), []);
}

fn answer(values: &[(&str, Setting)], status: u16, headers: &[(&str, &str)], body: &str) -> Reading {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = Response { status, headers, body: body.as_bytes().to_vec(), body_cut: false };
    Postback.read(&settings(values), &response, 1, NOW)
}

fn whole(reading: &Reading) -> Outcome {
    match &reading.outcome {
        BatchOutcome::Whole(outcome) => outcome.clone(),
        BatchOutcome::Each(_) => panic!("one call carries one event"),
    }
}

#[test]
fn each_status_has_its_meaning() {
    use Reason::{
        DestAuth, DestGone, DestMisconfigured, DestRateLimited, DestRedirected, DestRejected,
        DestServerError, DestTimeout, DestUnreadable,
    };
    let retry = |reason| Outcome::Retry { reason, after_ms: None };
    let pause = |reason| Outcome::Pause { reason };
    let refused = || Outcome::Doubted { reason: DestRejected };
    for (status, outcome) in [
        (100, retry(DestUnreadable)),
        (200, Outcome::Delivered),
        (204, Outcome::Delivered),
        (299, Outcome::Delivered),
        (301, retry(DestRedirected)),
        (302, retry(DestRedirected)),
        (304, retry(DestRedirected)),
        (400, refused()),
        (401, pause(DestAuth)),
        (403, pause(DestAuth)),
        (404, refused()),
        (405, refused()),
        (407, pause(DestMisconfigured)),
        (408, retry(DestTimeout)),
        (409, refused()),
        (410, pause(DestGone)),
        (413, refused()),
        (422, refused()),
        (425, retry(DestServerError)),
        (429, retry(DestRateLimited)),
        (451, refused()),
        (500, retry(DestServerError)),
        (503, retry(DestServerError)),
        (599, retry(DestServerError)),
    ] {
        let reading = answer(&[], status, &[], "some words");
        assert_eq!(whole(&reading), outcome, "{status}");
        assert!(reading.detail.starts_with(&status.to_string()), "{}", reading.detail);
    }
}

#[test]
fn a_wait_is_honoured_where_it_speaks_of_load() {
    let date = ("retry-after", "Thu, 27 Nov 2025 01:03:40 GMT");
    for (status, header, wait) in [
        (429, ("retry-after", "120"), Some(120_000)),
        (429, date, Some(120_000)),
        (503, ("retry-after", "120"), Some(120_000)),
        (429, ("x", "y"), None),
        (500, ("retry-after", "120"), None),
    ] {
        let reading = answer(&[], status, &[header], "");
        assert!(
            matches!(whole(&reading), Outcome::Retry { after_ms, .. } if after_ms == wait),
            "{status} {header:?}"
        );
        assert_eq!(reading.slow_down_ms, wait, "{status} {header:?}");
    }
}

#[test]
fn the_body_decides_where_the_settings_say_so() {
    let rule = [("success_body_contains", text("\"ok\""))];
    assert_eq!(whole(&answer(&rule, 200, &[], "{\"status\":\"ok\"}")), Outcome::Delivered);
    for body in ["", "{\"status\":\"error\"}", "\"OK\""] {
        let reading = answer(&rule, 200, &[], body);
        assert_eq!(whole(&reading), Outcome::Refused { reason: Reason::DestRejected }, "{body}");
        assert!(reading.detail.starts_with("the body does not contain"), "{}", reading.detail);
    }
    assert_eq!(
        whole(&answer(&rule, 500, &[], "\"ok\"")),
        Outcome::Retry { reason: Reason::DestServerError, after_ms: None }
    );
}

#[test]
fn answers_that_repeat_the_call_are_masked() {
    let encoded = "s3c%2Fr%2Bt%26x";
    for (status, headers, body) in [
        (200, vec![], format!("you sent {SECRET} and {encoded}")),
        (400, vec![], format!("<a href=\"?k={encoded}\">")),
        (302, vec![("location", "https://partner.example/pb?k=s3c%2fr%2bt%26x")], String::new()),
    ] {
        let reading = answer(&[("success_body_contains", text("no"))], status, &headers, &body);
        assert!(!reading.detail.contains("s3c") && reading.detail.contains("***"), "{}", reading.detail);
    }
}

proptest! {
    #[test]
    fn building_never_panics_and_no_value_escapes_its_place(
        value in "\\PC{0,24}|[\\x00-\\x7f]{0,24}",
        content_type in prop::sample::select(vec!["application/json", "text/xml", "text/plain", "application/x-www-form-urlencoded"]),
    ) {
        let mut event = event();
        event.origin.click_id = value.clone();
        event.origin.params.insert("v".to_owned(), json!(value));
        let template = match content_type {
            "application/json" => r#"{"a":"{click_id}","b":{v}}"#,
            "text/xml" => "<a b=\"{click_id}\">{v}</a>",
            _ => "a={click_id}&b={v}",
        };
        let settings = settings(&[
            ("url", text("https://partner.example/p/{v}/q?a={click_id}&b=1")),
            ("method", text("POST")),
            ("body", text(template)),
            ("content_type", text(content_type)),
            ("headers", map(&[("x-v", "{v}")])),
        ]);
        let built = Postback.build(&settings, &[event], NOW);
        if let Some(request) = built.request {
            let url = Url::parse(&request.url).unwrap();
            prop_assert_eq!(url.host_str(), Some("partner.example"));
            prop_assert_eq!(url.query_pairs().count(), 2);
            prop_assert_eq!(url.path_segments().unwrap().count(), 3);
            prop_assert!(url.fragment().is_none());
            prop_assert!(request.headers.iter().all(|(_, value)| value.bytes().all(|b| matches!(b, b' '..=b'~'))));
            let body = String::from_utf8(request.body).unwrap();
            match content_type {
                "application/json" => {
                    let json: Value = serde_json::from_str(&body).unwrap();
                    prop_assert_eq!(json.as_object().unwrap().len(), 2);
                }
                "text/xml" => prop_assert_eq!(body.matches(['<', '>']).count(), 4),
                "text/plain" => prop_assert!(!body.contains(char::is_control)),
                _ => prop_assert_eq!(body.matches('&').count(), 1),
            }
        } else {
            prop_assert!(matches!(value.as_str(), "." | ".."), "{:?}", built.left_out);
        }
    }

    #[test]
    fn reading_never_panics(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..64), header in ".{0,20}") {
        let headers = vec![("retry-after".to_owned(), header.clone()), ("location".to_owned(), header)];
        let response = Response { status, headers, body, body_cut: false };
        let reading = Postback.read(&settings(&[]), &response, 1, NOW);
        prop_assert_eq!(whole(&reading) == Outcome::Delivered, (200..300).contains(&status));
    }
}
