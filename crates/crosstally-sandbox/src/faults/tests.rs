#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::response::IntoResponse;
use serde_json::json;

use super::kind::KINDS;
use super::*;

fn call<'a>(dataset: &'a str, holds: &'a dyn Fn(&str, &str) -> bool) -> Call<'a> {
    Call { platform: Platform::Meta, dataset, body_read: true, holds }
}

fn holds_nothing(_: &str, _: &str) -> bool {
    false
}

/// A setting for each key of each kind that parses.
fn example(kind: &str, key: &str) -> Value {
    match key {
        "status" if kind == "redirect" => json!(307),
        "status" => json!(503),
        "code" | "subcode" | "minutes" | "retry_after" | "ms" | "ms_per_byte" | "missing" | "repeat" => {
            json!(1)
        }
        "accept" | "html" | "is_transient" => json!(true),
        "end" => json!("reset"),
        _ => json!("text"),
    }
}

#[test]
fn the_table_of_kinds_is_complete_and_each_refuses_other_keys() {
    for (name, keys) in KINDS {
        let mut fault = Map::new();
        fault.insert("kind".to_owned(), json!(name));
        for key in *keys {
            fault.insert((*key).to_owned(), example(name, key));
        }
        for key in kind::COMMON_KEYS {
            let value = match *key {
                "dataset" => json!("1"),
                "platform" => json!("meta"),
                _ => json!(3),
            };
            fault.insert((*key).to_owned(), value);
        }
        let mut faults = Faults::default();
        faults.post(Value::Object(fault.clone())).unwrap();
        fault.insert("tmies".to_owned(), json!(1));
        assert!(faults.post(Value::Object(fault)).is_err(), "{name} with an unknown key");
    }
}

#[test]
fn what_cannot_be_understood_is_refused_whole() {
    let mut faults = Faults::default();
    for bad in [
        json!("status"),
        json!({}),
        json!({ "kind": "explode" }),
        json!({ "kind": "status" }),
        json!({ "kind": "status", "status": 99 }),
        json!({ "kind": "status", "status": 1000 }),
        json!({ "kind": "slow", "ms": "100" }),
        json!({ "kind": "raw", "text": "", "repeat": 0 }),
        json!({ "kind": "raw", "text": "x", "end": "explode" }),
        json!({ "kind": "hang", "times": 0 }),
        json!({ "kind": "hang", "times": -1 }),
        json!({ "kind": "hang", "probability": 101 }),
        json!({ "kind": "hang", "platform": "myspace" }),
        json!({ "kind": "redirect", "location": "a\nb" }),
        json!([{ "kind": "permission" }, { "kind": "explode" }]),
    ] {
        let problem = faults.post(bad.clone()).unwrap_err();
        assert_eq!(problem.into_response().status(), 400, "{bad}");
    }
    assert_eq!(faults.to_json(), json!({ "data": [] }));
}

#[test]
fn a_fault_is_used_up_and_the_next_takes_over() {
    let mut faults = Faults::default();
    let posted = json!([
        { "kind": "permission", "times": 2 },
        { "kind": "expired_token", "dataset": "2" },
    ]);
    assert_eq!(faults.post(posted).unwrap()["data"][1]["id"], "f2");
    let mut meet = |dataset| faults.meet(&call(dataset, &holds_nothing)).map(|met| met.id);
    assert_eq!(meet("2").as_deref(), Some("f1"));
    assert_eq!(meet("1").as_deref(), Some("f1"));
    assert_eq!(meet("1"), None);
    assert_eq!(meet("2").as_deref(), Some("f2"));
    assert_eq!(meet("2").as_deref(), Some("f2"));
    let shown = faults.to_json();
    assert_eq!((&shown["data"][0]["hits"], &shown["data"][0]["remaining"]), (&json!(2), &json!(0)));
    assert_eq!((&shown["data"][1]["hits"], &shown["data"][1]["remaining"]), (&json!(2), &Value::Null));
    assert!(faults.remove("f2"));
    assert!(!faults.remove("f2"));
    assert!(faults.meet(&call("2", &holds_nothing)).is_none());
}

#[test]
fn probability_is_seeded() {
    let hits = |seed: u64| {
        let mut faults = Faults::default();
        faults.post(json!({ "kind": "permission", "probability": 30, "seed": seed })).unwrap();
        (0..1000).map(|_| faults.meet(&call("1", &holds_nothing)).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(hits(1), hits(1));
    assert_ne!(hits(1), hits(2));
    let share = hits(1).into_iter().filter(|hit| *hit).count();
    assert!((250..350).contains(&share), "{share} of 1000");
}

#[test]
fn some_faults_wait_for_an_event_or_for_the_body() {
    let mut faults = Faults::default();
    faults
        .post(json!([{ "kind": "reject_event_id", "event_id": "bad" }, { "kind": "reset_before" }]))
        .unwrap();
    assert!(faults.meet(&call("1", &holds_nothing)).is_none());
    let holds = |key: &str, text: &str| key == "event_id" && text == "bad";
    assert_eq!(faults.meet(&call("1", &holds)).unwrap().id, "f1");
    let early = Call { body_read: false, ..call("1", &holds) };
    assert_eq!(faults.meet(&early).unwrap().id, "f2");
}

#[test]
fn there_is_an_end_to_faults_and_used_ones_make_room() {
    let mut faults = Faults::default();
    for _ in 0..FAULTS_MAX {
        faults.post(json!({ "kind": "permission", "times": 1 })).unwrap();
    }
    assert!(faults.post(json!({ "kind": "permission" })).is_err());
    faults.meet(&call("1", &holds_nothing)).unwrap();
    faults.post(json!({ "kind": "permission" })).unwrap();
}
