//! Settings: what is refused, and what goes where.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;
use serde_json::Value;

use super::{Meta, NOW, TOKEN, event, settings};
use crate::dialect::{Dialect, FieldType};

#[test]
fn what_cannot_work_is_named_with_its_fix() {
    for (name, good, bad) in [
        ("dataset_id", &["1234567890", "7"][..], &["", "PIXEL1", "12 34", "１２", "../me"][..]),
        (
            "endpoint",
            &["http://127.0.0.1:9100", "https://proxy.example/meta/"],
            &[
                "",
                "graph.facebook.com",
                "ftp://a.example",
                "https://a.example?x=1",
                "https://a.example/#x",
                "https://u:p@a.example",
            ],
        ),
        (
            "api_version",
            &["v26.0", "v7.0", "v100.0"],
            &["", "26.0", "v26", "v26.1", "v0.0", "v026.0", "v26.0/me", "V26.0"],
        ),
        (
            "partner_agent",
            &["crosstally", "acme_s2s", "ab1"],
            &["", "a1", "1234", "a name", "twenty-three-characters", "café-tracker"],
        ),
        ("test_event_code", &["TEST12345"], &["", "TEST 1", "TEST\n1", "a\"b"]),
        ("namespace_id", &["11"], &["", "a\0b"]),
        ("upload_id", &["555"], &[""]),
        ("upload_tag", &["store data 2025-11"], &["a\nb"]),
        ("upload_source", &["pos"], &[""]),
    ] {
        let check =
            |text: &str| Meta.check(&BTreeMap::from([(name.to_owned(), Setting::Text(text.to_owned()))]));
        for text in good {
            assert_eq!(check(text), [], "{name} {text}");
        }
        for text in bad {
            let problems = check(text);
            assert_eq!(problems.len(), 1, "{name} {text:?}");
            assert_eq!(problems[0].setting, name);
            assert!(problems[0].problem.contains("; "), "{}", problems[0].problem);
        }
    }
    assert_eq!(Meta.check(&settings(&[]).values), []);
}

#[test]
fn fields_are_listed_once_and_the_token_is_a_secret() {
    let fields = Meta.fields();
    for field in fields {
        assert_eq!(fields.iter().filter(|other| other.name == field.name).count(), 1, "{}", field.name);
        assert!(field.help.ends_with('.'), "{}", field.name);
    }
    let required: Vec<_> =
        fields.iter().filter(|field| field.required).map(|field| (field.name, field.field_type)).collect();
    assert_eq!(required, [("dataset_id", FieldType::Text), ("access_token", FieldType::Secret)]);
}

#[test]
fn the_documentation_knows_every_field_and_code() {
    let page = include_str!("../../../../../docs/destinations/meta.md");
    let settings = include_str!("../../../../../docs/config.md");
    for field in Meta.fields() {
        assert!(settings.contains(&format!("`{}`", field.name)), "{}", field.name);
    }
    for (key, _) in crate::meta::rules::EXTRA {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
    for code in [
        "4, 17, 32, 613, 80000 to 80014",
        "1, 2, 341, 5000, 21009",
        "368",
        "102, 104, 190",
        "2635",
        "100, 105, 2655",
    ] {
        assert!(page.contains(code), "{code}");
    }
}

#[test]
fn defaults_are_the_platforms_own_host_and_the_newest_version() {
    let request = Meta.build(&settings(&[]), &[event(&[])], NOW).request.unwrap();
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://graph.facebook.com/v26.0/1234567890/events")
    );
    assert!(request.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body.get("partner_agent").unwrap(), "crosstally");
    assert_eq!(body.get("test_event_code"), None);
}

#[test]
fn settings_change_host_version_and_body() {
    let settings = settings(&[
        ("endpoint", "http://127.0.0.1:9100/meta/"),
        ("api_version", "v25.0"),
        ("test_event_code", "TEST1"),
        ("upload_tag", "store"),
    ]);
    let request = Meta.build(&settings, &[event(&[])], NOW).request.unwrap();
    assert_eq!(request.url, "http://127.0.0.1:9100/meta/v25.0/1234567890/events");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body.get("test_event_code").unwrap(), "TEST1");
    assert_eq!(body.get("upload_tag").unwrap(), "store");
}

#[test]
fn the_token_stands_in_the_body_and_nowhere_else() {
    let built = Meta.build(&settings(&[]), &[event(&[])], NOW);
    let request = built.request.unwrap();
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    let mut shown: Value = serde_json::from_slice(&request.body_shown).unwrap();
    assert_eq!(body.as_object_mut().unwrap().remove("access_token").unwrap(), TOKEN);
    assert_eq!(shown, body);
    assert!(shown.get_mut("access_token").is_none());
    assert_eq!(request.secrets.len(), 1);
    for text in [
        request.url.to_string(),
        format!("{request:?}"),
        format!("{:?}", request.headers),
        built.payloads.join(""),
    ] {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[test]
fn a_node_without_the_token_can_still_show_the_request() {
    let mut settings = settings(&[]);
    settings.secrets.clear();
    let request = Meta.build(&settings, &[event(&[])], NOW).request.unwrap();
    assert_eq!(request.body, request.body_shown);
}

#[test]
fn ages_are_those_of_the_platform() {
    let none = BTreeMap::new();
    assert_eq!(Meta.max_age_ms(&none, "website"), 7 * DAY_MS);
    assert_eq!(Meta.max_age_ms(&none, "system_generated"), 7 * DAY_MS);
    assert_eq!(Meta.max_age_ms(&none, "physical_store"), 62 * DAY_MS);
    assert_eq!(Meta.batch_max(), 1000);
}
