//! Every preset calls exactly what its file says, and nobody without the source's click id.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::delivery::Outcome;
use crosstally_core::event::{Origin, OutboundEvent};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::{BatchOutcome, Dialect, Request, Response, Settings};
use crate::postback::Postback;

/// 2025-11-27T01:01:40Z
const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
const SECRET: &str = "s3cret";

/// What somebody writes who uses the preset.
fn settings(preset: &Preset) -> Settings {
    let text = |text: &str| Setting::Text(text.to_owned());
    let mut values = BTreeMap::from([("preset".to_owned(), text(&preset.name))]);
    let constants = preset.constants.keys().map(|name| (name.clone(), format!("{name}-1")));
    values.insert("constants".to_owned(), Setting::Map(constants.collect()));
    let mut secrets = BTreeMap::new();
    if preset.secret.is_some() {
        values.insert("secret".to_owned(), Setting::Secret(SecretRef::Env("S".to_owned())));
        secrets.insert("secret".to_owned(), Secret::new(SECRET));
    }
    Settings { values, secrets, ..Settings::default() }
}

fn link(preset: &Preset) -> impl Iterator<Item = (&'static str, &'static str)> {
    preset.source().unwrap().link_pairs()
}

/// The sample conversion, whose click came with this value of its source's click id.
fn event(preset: &Preset, click_id: Option<&str>) -> OutboundEvent {
    let mut params: Map<String, Value> =
        link(preset).map(|(name, _)| (name.to_owned(), json!(format!("{name}-1")))).collect();
    params.remove(&preset.click_params()[0]);
    params.extend(click_id.map(|id| (preset.click_params()[0].clone(), json!(id))));
    OutboundEvent {
        event_name: "Purchase".to_owned(),
        event_time: NOW.plus_millis(-5_000),
        event_id: "e-1001".to_owned(),
        value: Some("12.34".to_owned()),
        currency: Some("USD".to_owned()),
        origin: Origin {
            status: "approved".to_owned(),
            payout: "12.34".to_owned(),
            currency: "USD".to_owned(),
            transaction_id: "T-1001".to_owned(),
            params,
            ..Origin::default()
        },
        ..OutboundEvent::default()
    }
}

fn request(preset: &Preset, event: OutboundEvent) -> Result<Request, Reason> {
    let built = Postback.build(&settings(preset), &[event], NOW);
    built.request.ok_or_else(|| built.left_out[0].reason)
}

#[test]
fn every_file_is_listed_and_says_where_it_comes_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut there: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".toml", "")).collect();
    there.sort();
    let listed: Vec<&str> = all().iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(listed, there);
    assert!(listed.len() >= 20);
    for preset in all() {
        let name = &preset.name;
        assert!(preset.docs.starts_with("http") && preset.docs.contains("://"), "{name}");
        for text in [&preset.note, &preset.statuses] {
            assert!(text.ends_with('.'), "{name}: {text}");
        }
        assert!(link(preset).any(|(known, _)| known == preset.click_params()[0]), "{name}");
        assert!(preset.url.contains("{source_click_id|required}"), "{name}");
        assert_eq!(preset.url.contains("{secret}"), preset.secret.is_some(), "{name}");
    }
}

#[test]
fn every_preset_calls_exactly_what_its_file_says() {
    for preset in all() {
        let name = &preset.name;
        assert_eq!(Postback.check(&settings(preset).values), [], "{name}");
        let request = request(preset, event(preset, Some("src-Click_1"))).unwrap();
        assert_eq!((request.method, request.url.as_str()), ("GET", preset.expected.as_str()), "{name}");
        assert!(request.body.is_empty(), "{name}");
        assert_eq!(request.headers, [("crosstally-hops".to_owned(), "1".to_owned())], "{name}");
        assert!(!request.url_shown().contains(SECRET), "{name}");
    }
}

#[test]
fn no_preset_calls_anybody_without_the_sources_click_id() {
    for preset in all() {
        // None, an empty one, and the source's own macro that it did not fill in.
        let unfilled = link(preset).find(|(name, _)| *name == preset.click_params()[0]).unwrap().1;
        for click_id in [None, Some(""), Some(unfilled)] {
            let refused = request(preset, event(preset, click_id)).err();
            // Adsterra's token has brackets within brackets.
            if unfilled.contains('(') && click_id == Some(unfilled) {
                continue;
            }
            assert_eq!(refused, Some(Reason::TemplateUnresolved), "{} {click_id:?}", preset.name);
        }
    }
}

#[test]
fn what_an_account_has_to_give_is_asked_for() {
    for preset in all() {
        let mut values = settings(preset).values;
        values.remove("constants");
        values.remove("secret");
        let mut asked: Vec<&str> = preset.constants.keys().map(|_| "constants").collect();
        asked.extend(preset.secret.as_ref().map(|_| "secret"));
        let problems = Postback.check(&values);
        let mut found: Vec<&str> = problems.iter().map(|found| found.setting.as_str()).collect();
        found.sort_unstable();
        asked.sort_unstable();
        assert_eq!(found, asked, "{}", preset.name);
        for help in preset.constants.values() {
            assert!(problems.iter().any(|found| found.problem.contains(help.as_str())), "{}", preset.name);
        }
    }
}

#[test]
fn a_preset_gives_way_to_what_the_destination_says_itself() {
    let preset = named("propellerads").unwrap();
    let mut settings = settings(preset);
    let text = |text: &str| Setting::Text(text.to_owned());
    settings.values.insert("url".to_owned(), text("https://own.example/c?v={source_click_id}&a={const.aid}"));
    settings.values.insert("click_params".to_owned(), Setting::List(vec!["sub9".to_owned()]));
    assert_eq!(Postback.check(&settings.values), []);
    let mut event = event(preset, Some("other"));
    event.origin.params.insert("sub9".to_owned(), json!("mine"));
    let request = Postback.build(&settings, &[event], NOW).request.unwrap();
    assert_eq!(request.url, "https://own.example/c?v=mine&a=aid-1");
}

#[test]
fn an_answer_that_says_no_is_no_success() {
    for preset in all() {
        let Some(words) = &preset.failure_body_contains else { continue };
        let response =
            Response { status: 200, body: format!("x {words} y").into_bytes(), ..Response::default() };
        let reading = Postback.read(&settings(preset), &response, 1, NOW);
        let refused = BatchOutcome::Whole(Outcome::Refused { reason: Reason::DestRejected });
        assert_eq!(reading.outcome, refused, "{}", preset.name);
    }
}
