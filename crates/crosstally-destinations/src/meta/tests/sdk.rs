//! Meta's own libraries as the yardstick: requests that they sent for the same input, captured on a loopback port.
//!
//! Lists of contact values are compared as sets, currencies in any case and numbers by their worth, as the fixture's
//! notes say. What else may differ is named here, with its reason.

use std::collections::BTreeSet;

use crosstally_core::identity::sha256_hex;
use serde_json::{Map, Value, json};

use super::{Meta, NOW, body, read, settings};
use crate::dialect::{Built, Dialect};

const SAMPLES: &str = include_str!("../fixtures/sdk_samples.json");

fn samples() -> Vec<Value> {
    let file: Value = serde_json::from_str(SAMPLES).unwrap();
    file.get("samples").unwrap().as_array().unwrap().clone()
}

/// A library's input as one of our server events.
fn server_event(input: &Value) -> Value {
    const USER: &[(&str, &str)] = &[
        ("emails", "email"),
        ("phones", "phone"),
        ("first_names", "first_name"),
        ("last_names", "last_name"),
        ("genders", "gender"),
        ("dates_of_birth", "birthdate"),
        ("cities", "city"),
        ("states", "state"),
        ("zip_codes", "zip"),
        ("country_codes", "country"),
        ("external_ids", "external_id"),
    ];
    let mut event = input.as_object().unwrap().clone();
    let renamed = |map: Map<String, Value>| -> Map<String, Value> {
        let name = |key: &str| {
            USER.iter().find(|(theirs, _)| *theirs == key).map_or(key, |(_, ours)| *ours).to_owned()
        };
        map.into_iter().map(|(key, value)| (name(&key), value)).collect()
    };
    let take = |event: &mut Map<String, Value>, key: &str| match event.remove(key) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let name = event.remove("event_name").unwrap();
    let user = renamed(take(&mut event, "user_data"));
    let mut custom = take(&mut event, "custom_data");
    for key in ["value", "currency"] {
        if let Some(value) = custom.remove(key) {
            event.insert(key.to_owned(), value);
        }
    }
    let own = take(&mut custom, "custom_properties");
    custom.extend(own);
    for item in custom.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        let id = item.remove("product_id").unwrap();
        item.insert("id".to_owned(), id);
    }
    event.extend([
        ("event".to_owned(), name),
        ("user".to_owned(), user.into()),
        ("custom".to_owned(), custom.into()),
    ]);
    event.into()
}

fn built(sample: &Value, input: &Value) -> Built {
    let options = sample.get("request_options").cloned().unwrap_or_default();
    let options: Vec<(&str, &str)> = options
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (&*key.clone().leak(), &*value.as_str().unwrap().to_owned().leak()))
        .collect();
    let events: Vec<_> = input.as_array().unwrap().iter().map(|event| read(&server_event(event))).collect();
    Meta.build(&settings(&options), &events, NOW)
}

/// Numbers by their worth, currencies in capitals.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            json!({ "number": text })
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = match value.as_str() {
                    Some(code) if key == "currency" => code.to_uppercase().into(),
                    _ => comparable(value),
                };
                (key.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}

fn set(value: &Value) -> BTreeSet<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Compares the contact values and takes them out of both.
fn compare_user(name: &str, ours: &mut Map<String, Value>, theirs: &mut Map<String, Value>) {
    let lists: Vec<String> =
        ours.iter().filter(|(_, value)| value.is_array()).map(|(key, _)| key.clone()).collect();
    for key in lists {
        let (ours, theirs) = (ours.remove(&key).unwrap(), theirs.remove(&key).unwrap());
        let (ours, theirs) = (set(&ours), set(&theirs));
        match key.as_str() {
            // Hashed by our choice, as Meta's documentation recommends and its newest library does.
            "external_id" => {
                let hashed: Vec<String> = theirs.iter().map(|id| sha256_hex(id)).collect();
                assert_eq!(ours, hashed.iter().map(String::as_str).collect(), "{name} {key}");
            }
            // The documented form without punctuation and the libraries' form with it: both go.
            "fn" | "ln" => assert!(ours.is_superset(&theirs) && ours.len() <= 2, "{name} {key}: {ours:?}"),
            _ => assert_eq!(ours, theirs, "{name} {key}"),
        }
    }
}

/// Compares two bodies without what is ours alone to say: token and, unless it was asked for, the agent.
fn compare(name: &str, built: &Built, expected: &Value, ours_alone: &[&str]) {
    assert_eq!(built.left_out, [], "{name}");
    let mut ours = body(built).as_object().unwrap().clone();
    let mut theirs = expected.as_object().unwrap().clone();
    theirs.retain(|_, value| !value.is_null());
    for key in ["access_token", "id"] {
        ours.remove(key);
        theirs.remove(key);
    }
    if !theirs.contains_key("partner_agent") {
        assert_eq!(ours.remove("partner_agent"), Some("crosstally".into()));
    }
    let (Some(Value::Array(our_events)), Some(Value::Array(their_events))) =
        (ours.remove("data"), theirs.remove("data"))
    else {
        panic!("{name}: no list of events")
    };
    assert_eq!(ours, theirs, "{name}");
    assert_eq!(our_events.len(), their_events.len(), "{name}");
    for (ours, theirs) in our_events.iter().zip(&their_events) {
        let (mut ours, mut theirs) = (comparable(ours), comparable(theirs));
        for key in ours_alone {
            assert!(ours.as_object_mut().unwrap().remove(*key).is_some(), "{name}: no {key}");
        }
        compare_user(
            name,
            ours.get_mut("user_data").unwrap().as_object_mut().unwrap(),
            theirs.get_mut("user_data").unwrap().as_object_mut().unwrap(),
        );
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn requests_equal_those_of_the_python_library() {
    let mut seen = 0;
    for sample in samples().iter().filter(|sample| sample.get("canonical_json_body").is_some()) {
        let name = sample.get("name").unwrap().as_str().unwrap();
        let built = built(sample, sample.get("input").unwrap());
        compare(name, &built, sample.get("canonical_json_body").unwrap(), &[]);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn requests_equal_that_of_the_node_library() {
    let samples = samples();
    let (python, node) = (&samples[0], samples.last().unwrap());
    let name = node.get("name").unwrap().as_str().unwrap();
    assert_eq!(name, "website_purchase_rich__node_sdk_24.0.1");
    let built = built(python, python.get("input").unwrap());
    // That version knows no referrer_url and drops an opt_out of false, which means the same.
    compare(name, &built, node.get("json_body").unwrap(), &["referrer_url", "opt_out"]);
}
