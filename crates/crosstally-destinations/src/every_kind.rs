//! What holds for every kind, whatever is configured, stored or answered.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use crosstally_core::config::Setting;
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{Adjustment, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::time::DAY_MS;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::catalog::KINDS;
use crate::dialect::{BatchOutcome, Dialect, FieldType, Reading, Response, Settings};
use crate::sample::{NOW, TOKEN, any_event, any_json, changed, event, of_kind, purchase, taken};

/// Every kind but those for a partner's own endpoint, whose verdict is its owner's.
fn platforms() -> impl Iterator<Item = (&'static dyn Dialect, Settings)> {
    let platforms = KINDS.iter().copied().filter(|dialect| !matches!(dialect.kind(), "postback" | "webhook"));
    platforms.map(|dialect| (dialect, of_kind(dialect.kind(), &[])))
}

fn numbered(count: usize) -> Vec<OutboundEvent> {
    let event = event(&[]);
    (0..count).map(|number| OutboundEvent { event_id: format!("e-{number}"), ..event.clone() }).collect()
}

fn answer(dialect: &dyn Dialect, status: u16, headers: &[(&str, &str)], body: &str) -> Reading {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = Response { status, headers, body: body.as_bytes().to_vec(), body_cut: false };
    dialect.read(&of_kind(dialect.kind(), &[]), &response, 2, NOW)
}

fn whole(reading: &Reading) -> (&'static str, Reason) {
    match &reading.outcome {
        BatchOutcome::Whole(outcome) => (outcome.as_str(), outcome.reason()),
        BatchOutcome::Each(_) => ("each", Reason::Delivered),
    }
}

#[test]
fn settings_are_named_once_and_documented() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let config = std::fs::read_to_string(docs.join("config.md")).unwrap();
    for dialect in KINDS {
        let kind = dialect.kind();
        let (_, section) = config.split_once(&format!("### `kind = \"{kind}\"`")).expect(kind);
        let section = section.split("\n##").next().unwrap();
        let page = std::fs::read_to_string(docs.join(format!("destinations/{kind}.md"))).expect(kind);
        assert!(page.contains(&format!("kind = \"{kind}\"")), "{kind}");
        assert!(dialect.help().ends_with('.'), "{kind}");
        for field in dialect.fields() {
            let name = field.name;
            assert_eq!(
                dialect.fields().iter().filter(|other| other.name == name).count(),
                1,
                "{kind} {name}"
            );
            assert!(field.help.ends_with('.'), "{kind} {name}");
            assert!(section.contains(&format!("`{name}`")), "docs/config.md lacks {name} of {kind}");
        }
    }
}

#[test]
fn a_sample_is_a_good_configuration_and_every_endpoint_is_checked() {
    for (dialect, settings) in platforms() {
        let kind = dialect.kind();
        assert_eq!(dialect.check(&settings.values), [], "{kind}");
        let required = dialect.fields().iter().filter(|field| field.required);
        let missing: Vec<_> = required
            .filter(|field| !settings.values.contains_key(field.name))
            .map(|field| field.name)
            .collect();
        assert_eq!(missing, [""; 0], "{kind}");
        for bad in ["", "a.example", "ftp://a.example", "https://a.example?x=1", "https://u:p@a.example"] {
            let problems = dialect.check(&of_kind(kind, &[("endpoint", bad)]).values);
            assert_eq!(problems.len(), 1, "{kind} {bad}");
            assert!(problems[0].problem.contains("; "), "{kind} {bad}");
        }
        for field in dialect.fields().iter().filter(|field| field.field_type == FieldType::Text) {
            let problems = dialect.check(&of_kind(kind, &[(field.name, "a\nb")]).values);
            assert_eq!(problems.len(), 1, "{kind} takes a line break in {}", field.name);
        }
    }
}

#[test]
fn the_endpoint_is_where_it_goes() {
    for (dialect, _) in platforms() {
        let kind = dialect.kind();
        let settings = of_kind(kind, &[("endpoint", "http://127.0.0.1:9100/p/")]);
        let request = dialect.build(&settings, &[event(&[])], NOW).request.unwrap();
        assert!(request.url.starts_with("http://127.0.0.1:9100/p/"), "{kind} {}", request.url);
        assert!(!request.url.starts_with("http://127.0.0.1:9100/p//"), "{kind} {}", request.url);
        let own = dialect.build(&of_kind(kind, &[]), &[event(&[])], NOW).request.unwrap();
        assert!(own.url.starts_with("https://"), "{kind} {}", own.url);
    }
}

#[test]
fn one_bad_event_is_left_out_and_its_neighbours_go_in_order() {
    for (dialect, settings) in platforms().filter(|(dialect, _)| dialect.batch_max() > 1) {
        let kind = dialect.kind();
        let mut events = numbered(5);
        events[1].value = Some("-1.00".to_owned());
        events[3].event_time = NOW.plus_millis(-400 * DAY_MS);
        let built = dialect.build(&settings, &events, NOW);
        assert_eq!(built.included, [0, 2, 4], "{kind}: {:?}", built.left_out);
        let left: Vec<_> = built.left_out.iter().map(|left| (left.index, left.reason)).collect();
        assert_eq!(left, [(1, Reason::EventIncomplete), (3, Reason::EventTooOld)], "{kind}");
        let body = String::from_utf8(built.request.unwrap().body).unwrap();
        for (index, payload) in built.included.iter().zip(&built.payloads) {
            assert!(body.contains(payload.as_str()), "{kind}");
            assert!(payload.contains(&format!("e-{index}")), "{kind}");
        }
    }
}

#[test]
fn a_request_carries_as_many_as_the_platform_takes() {
    for (dialect, settings) in platforms() {
        let max = dialect.batch_max();
        let built = dialect.build(&settings, &numbered(max + 1), NOW);
        assert_eq!((built.included.len(), built.left_out.len()), (max, 0), "{}", dialect.kind());
        assert!(dialect.build(&settings, &[], NOW).request.is_none(), "{}", dialect.kind());
    }
}

/// Of which nothing is left when it is written as the platform compares it: the hash of that would match everybody.
#[test]
fn nothing_is_no_contact_value() {
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa";
    let keys = [
        "email",
        "phone",
        "first_name",
        "last_name",
        "gender",
        "birthdate",
        "city",
        "state",
        "zip",
        "country",
        "external_id",
    ];
    let mut sent = 0;
    for (dialect, settings) in platforms() {
        for nothing in
            ["", " ", "\u{a0}", "\t\n", "-", "--", "+", "()", ".", "'", "\u{200b}", "@", "0", "\u{ad}"]
        {
            for key in keys {
                let Some(event) = taken(&changed(purchase(), &[(&format!("/user/{key}"), json!(nothing))]))
                else {
                    continue;
                };
                let built = dialect.build(&settings, &[event], NOW);
                let Some(request) = built.request else { continue };
                let body = String::from_utf8(request.body).unwrap();
                sent += 1;
                let found = body.contains(HEX) || body.to_lowercase().contains(HEX) || body.contains(BASE64);
                assert!(!found, "{} {key} {nothing:?}: {body}", dialect.kind());
            }
        }
    }
    assert!(sent > 1_000, "only {sent} were sent at all");
}

#[test]
fn an_event_that_is_too_large_is_left_out() {
    for (dialect, settings) in platforms() {
        let mut large = OutboundEvent { event_id: "x".repeat(300_000), ..event(&[]) };
        large.visitor.client_user_agent = Some("y".repeat(300_000));
        let built = dialect.build(&settings, &[large], NOW);
        assert!(built.request.is_none() && built.left_out[0].detail.contains("bytes"), "{}", dialect.kind());
    }
}

#[test]
fn the_clock_may_differ_by_a_little() {
    for (dialect, settings) in platforms() {
        for (ahead, included) in [(0, 1), (60_000, 1), (61_000, 0)] {
            let event = OutboundEvent { event_time: NOW.plus_millis(ahead), ..event(&[]) };
            assert_eq!(
                dialect.build(&settings, &[event], NOW).included.len(),
                included,
                "{} {ahead}",
                dialect.kind()
            );
        }
    }
}

#[test]
fn ages_are_checked_when_it_is_sent() {
    for (dialect, settings) in platforms() {
        let max = dialect.max_age_ms(&settings.values, "website");
        for (age, included) in [(max, 1), (max + 1, 0)] {
            let event = OutboundEvent { event_time: NOW.plus_millis(-age), ..event(&[]) };
            let built = dialect.build(&settings, &[event], NOW);
            assert_eq!(built.included.len(), included, "{} {age}: {:?}", dialect.kind(), built.left_out);
        }
    }
}

#[test]
fn digits_go_out_as_they_are() {
    for (dialect, settings) in platforms() {
        for (value, currency) in [("10.00", "EUR"), ("9007199254740.99", "USD"), ("1200", "JPY")] {
            let event = event(&[("/value", json!(value)), ("/currency", json!(currency))]);
            let built = dialect.build(&settings, &[event], NOW);
            let value = if IN_MINOR_UNITS.contains(&dialect.kind()) {
                value.replace('.', "")
            } else {
                value.to_owned()
            };
            assert!(built.payloads[0].contains(&value), "{} {}", dialect.kind(), built.payloads[0]);
            assert!(built.payloads[0].contains(currency), "{} {}", dialect.kind(), built.payloads[0]);
        }
    }
}

#[test]
fn a_node_without_the_token_can_still_show_the_request() {
    for (dialect, mut settings) in platforms() {
        settings.secrets.clear();
        assert!(dialect.build(&settings, &[event(&[])], NOW).request.is_some(), "{}", dialect.kind());
    }
}

/// Answers in nobody's words: of a proxy, or of a platform that is down.
#[test]
fn what_stands_between_is_read_by_its_status() {
    for (dialect, _) in platforms() {
        let kind = dialect.kind();
        for (status, expected) in [
            (302, ("retry", Reason::DestRedirected)),
            (404, ("paused", Reason::DestMisconfigured)),
            (408, ("retry", Reason::DestTimeout)),
            (410, ("paused", Reason::DestGone)),
            (413, ("split", Reason::DestRejected)),
            (429, ("retry", Reason::DestRateLimited)),
            (500, ("retry", Reason::DestServerError)),
            (503, ("retry", Reason::DestServerError)),
        ] {
            let reading = answer(dialect, status, &[], "<html>no</html>");
            assert_eq!(whole(&reading), expected, "{kind} {status}");
        }
        let reading = answer(dialect, 429, &[("retry-after", "120")], "<html>");
        assert_eq!(reading.slow_down_ms, Some(120_000), "{kind}");
        assert_eq!(
            reading.outcome,
            BatchOutcome::Whole(Outcome::Retry { reason: Reason::DestRateLimited, after_ms: Some(120_000) })
        );
        assert_eq!(answer(dialect, 429, &[], "").slow_down_ms, Some(60_000), "{kind}");
    }
}

#[test]
fn an_answer_that_repeats_the_token_is_masked() {
    for (dialect, _) in platforms() {
        for status in [200, 302, 400, 500] {
            let to = format!("https://a.example/?t={TOKEN}");
            let reading =
                answer(dialect, status, &[("location", &to)], &format!("{{\"message\":\"{TOKEN}\"}}"));
            assert!(!reading.detail.contains(TOKEN), "{} {}", dialect.kind(), reading.detail);
        }
    }
}

/// What was taken back is told in the kind's own way, or not at all.
#[test]
fn an_adjustment_goes_where_it_is_taken() {
    let adjustment = Adjustment {
        event: "evt_1".into(),
        event_time: NOW.plus_millis(-DAY_MS),
        movement: 2,
        booked_at: Some(NOW),
        left: Some("7.50".into()),
        taken_back: Some("2.50".into()),
        again: false,
    };
    let mut reversed =
        OutboundEvent { adjustment: Some(adjustment), value: Some("7.50".into()), ..event(&[]) };
    reversed.origin.status = "reversed".into();
    for dialect in KINDS {
        let kind = dialect.kind();
        let mut settings = match kind {
            "webhook" => crate::sample::settings("secret", &[("url", "https://a.example/hook")]),
            kind => of_kind(kind, &[]),
        };
        let told: &[&str] = match kind {
            "ga4" => &[r#""name":"refund""#, r#""value":2.50"#],
            "google_data_manager" => &[
                r#""conversionValue":7.50"#,
                r#""eventTimestamp":"2025-11-26"#,
                r#""lastUpdatedTimestamp":"2025-11-27"#,
            ],
            "webhook" => &[r#""status":"reversed""#, r#""taken_back":"2.50""#, r#""value":"7.50""#],
            "postback" => &["st=reversed"],
            _ => &[],
        };
        if matches!(kind, "google_data_manager" | "postback") {
            assert!(!dialect.adjusts(&settings, &reversed), "{kind} does only what it is told to");
        }
        settings.values.insert("adjustments".into(), Setting::Flag(true));
        if kind == "postback" {
            settings.values.insert("url".into(), Setting::Text("https://a.example/?st={status}".into()));
        }
        assert_eq!(dialect.adjusts(&settings, &reversed), !told.is_empty(), "{kind}");
        if told.is_empty() {
            continue;
        }
        let request = dialect.build(&settings, &[reversed.clone()], NOW).request.unwrap();
        let sent = format!("{} {}", request.url, String::from_utf8(request.body).unwrap());
        for words in told {
            assert!(sent.contains(words), "{kind} {words}: {sent}");
        }
    }
    // A partner whose template has no word for it is not called.
    let postback = crate::catalog::by_kind("postback").unwrap();
    for (map, takes) in [("approved=1", false), ("approved=1,reversed=0", true), ("approved=1,*=0", true)] {
        let url = format!("https://a.example/?st={{status|map:{map}}}");
        let settings = crate::sample::settings("secret", &[("url", &url)]);
        assert_eq!(postback.adjusts(&settings, &reversed), takes, "{map}");
    }
}

proptest! {
    #[test]
    fn building_never_panics_and_accounts_for_every_event(events in prop::collection::vec(any_event(), 0..6)) {
        for (dialect, settings) in platforms() {
            let built = dialect.build(&settings, &events, NOW);
            prop_assert!(built.included.len() + built.left_out.len() <= events.len());
            prop_assert!(dialect.batch_max() < events.len() || built.included.len() + built.left_out.len() == events.len());
            prop_assert_eq!(built.included.len(), built.payloads.len());
            for payload in &built.payloads {
                prop_assert!(serde_json::from_str::<Value>(payload).is_ok(), "{}", payload);
                prop_assert!(!payload.contains(TOKEN));
            }
            for left in &built.left_out {
                prop_assert!(!left.detail.is_empty() && !left.detail.contains(TOKEN));
            }
            prop_assert_eq!(built.request.is_some(), !built.included.is_empty());
            if let Some(request) = built.request {
                prop_assert!(serde_json::from_slice::<Value>(&request.body).is_ok());
                let shown = String::from_utf8(request.body_shown.clone()).unwrap();
                let debug = format!("{request:?}");
                for text in [shown, request.url_shown(), debug] {
                    prop_assert!(!text.contains(TOKEN), "{}", text);
                }
            }
        }
    }

    #[test]
    fn reading_never_panics_and_never_takes_noise_for_success(
        status in any::<u16>(),
        body in prop_oneof![any_json().prop_map(|json| json.to_string().into_bytes()), prop::collection::vec(any::<u8>(), 0..64)],
        header in ".{0,20}",
        sent in 1_usize..1000,
    ) {
        for (dialect, settings) in platforms() {
            let headers = ["retry-after", "x-app-usage", "x-business-use-case-usage", "location"]
                .map(|name| (name.to_owned(), header.clone()))
                .to_vec();
            let response = Response { status, headers, body: body.clone(), body_cut: false };
            let reading = dialect.read(&settings, &response, sent, NOW);
            let taken = BatchOutcome::Whole(Outcome::Delivered);
            // Some platforms say all is well by the status alone.
            prop_assert!(reading.outcome != taken || (200..300).contains(&status), "{} {}", dialect.kind(), status);
            prop_assert!(reading.outcome != taken || BY_STATUS_ALONE.contains(&dialect.kind()), "{}", dialect.kind());
            prop_assert!(reading.slow_down_ms.is_none_or(|wait| wait >= 0));
        }
    }
}

/// Platforms whose success is a status and no words.
const BY_STATUS_ALONE: &[&str] = &["reddit", "openai", "linkedin"];
/// Platforms that count in cents.
const IN_MINOR_UNITS: &[&str] = &["openai"];
