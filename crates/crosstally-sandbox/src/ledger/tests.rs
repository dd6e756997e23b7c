#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

const HOUR_MS: i64 = 60 * 60 * 1000;
const ROOM: Room = Room {
    events_max: 3,
    event_bytes_max: 1 << 20,
    duplicates_max: 10,
    refused_max: 2,
    other_bytes_max: 1 << 20,
    dedup_keys_max: 6,
};

fn arrival(source: Source, received_ms: i64) -> Arrival {
    Arrival { platform: "meta", dataset: Arc::from("1"), received_ms, source, test_event_code: None }
}

fn entry(id: &str, mark: &str) -> Entry {
    Entry {
        event_name: "Purchase".to_owned(),
        event_id: Some(id.to_owned()),
        event: RawValue::from_string(json!({ "mark": mark }).to_string()).unwrap(),
        keys: vec![Key::new("event_id", id.to_owned(), 48 * HOUR_MS)],
    }
}

fn shown<T: Row>(ring: &Ring<T>) -> Vec<Value> {
    let (rows, _) = ring.page(0, 100, |_| true);
    let shown = rows.into_iter().map(|(number, row)| {
        let mut out = Vec::new();
        row.write_json(number, &mut out);
        serde_json::from_slice(&out).unwrap()
    });
    shown.collect()
}

fn marks<T: Row>(ring: &Ring<T>) -> Vec<String> {
    shown(ring).iter().map(|row| row["event"]["mark"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_window_starts_with_the_first_receipt_and_is_not_prolonged() {
    let mut ledger = Ledger::new(ROOM);
    for (hours, mark) in [(0, "first"), (1, "again"), (47, "again"), (48, "new"), (95, "again"), (96, "new")]
    {
        ledger.record(&arrival(Source::Server, hours * HOUR_MS), vec![entry("a", mark)]);
    }
    assert_eq!(marks(ledger.accepted()), ["first", "new", "new"]);
    assert_eq!(marks(ledger.duplicates()), ["again", "again", "again"]);
    let counts = &ledger.report()["datasets"][0];
    assert_eq!((&counts["accepted"], &counts["duplicates"]), (&json!(3), &json!(3)));
}

#[test]
fn the_browser_is_kept_within_five_minutes_else_the_first() {
    let minute = 60 * 1000;
    for (server_at, browser_at, kept) in [
        (0, 5 * minute, "browser"),
        (0, 5 * minute + 1, "server"),
        (5 * minute, 0, "browser"),
        (50 * minute, 0, "browser"),
    ] {
        let mut ledger = Ledger::new(ROOM);
        let mut both = [(server_at, Source::Server, "server"), (browser_at, Source::Browser, "browser")];
        both.sort_by_key(|(at, _, _)| *at);
        for (at, source, mark) in both {
            ledger.record(&arrival(source, at), vec![entry("a", mark)]);
        }
        let other = if kept == "browser" { "server" } else { "browser" };
        let rows = shown(ledger.accepted());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["event"]["mark"], kept, "server {server_at}, browser {browser_at}");
        assert_eq!(rows[0]["source"], kept);
        assert_eq!(rows[0]["deduplicated_with"]["source"], other);
        let rows = shown(ledger.duplicates());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["event"]["mark"], other);
        assert_eq!(rows[0]["duplicate_of"]["cursor"], "1");
    }
}

#[test]
fn a_resend_of_the_same_side_pairs_with_nothing() {
    let mut ledger = Ledger::new(ROOM);
    ledger.record(&arrival(Source::Server, 0), vec![entry("a", "one"), entry("a", "two")]);
    assert!(shown(ledger.accepted())[0].get("deduplicated_with").is_none());
    assert_eq!(marks(ledger.duplicates()), ["two"]);
}

#[test]
fn full_lists_drop_the_oldest_but_counts_and_dedup_stay() {
    let mut ledger = Ledger::new(ROOM);
    for id in ["a", "b", "c", "d", "e"] {
        ledger.record(&arrival(Source::Server, 0), vec![entry(id, id)]);
    }
    ledger.record(&arrival(Source::Server, 1), vec![entry("a", "again")]);
    ledger.record(&arrival(Source::Browser, 1), vec![entry("b", "browser")]);
    assert_eq!(marks(ledger.accepted()), ["c", "d", "e"]);
    assert_eq!(marks(ledger.duplicates()), ["again", "browser"]);
    let report = ledger.report();
    assert_eq!(report["datasets"][0]["accepted"], 5);
    assert_eq!(report["kept"]["events"]["rows"], 3);
    assert_eq!(report["kept"]["events"]["dropped"], 2);
    assert_eq!(shown(ledger.accepted())[0]["cursor"], "3", "cursors are not moved by dropping");
}

#[test]
fn bytes_are_capped_too() {
    let mut ledger = Ledger::new(Room { events_max: 100, event_bytes_max: 2_000, ..ROOM });
    for id in ["a", "b", "c", "d", "e", "f"] {
        ledger.record(&arrival(Source::Server, 0), vec![entry(id, &"x".repeat(400))]);
    }
    let report = ledger.report();
    assert_eq!(report["kept"]["events"]["rows"], 2);
    assert!(report["kept"]["events"]["bytes"].as_u64().unwrap() <= 2_000);
}

#[test]
fn there_is_room_again_when_windows_end() {
    let mut ledger = Ledger::new(ROOM);
    let many = |count: usize| (0..count).map(|id| entry(&id.to_string(), "x")).collect::<Vec<_>>();
    assert!(ledger.has_room_for(&many(6), 0));
    assert!(!ledger.has_room_for(&many(7), 0));
    ledger.record(&arrival(Source::Server, 0), many(6));
    assert!(!ledger.has_room_for(&many(1), 48 * HOUR_MS - 1));
    assert!(ledger.has_room_for(&many(6), 48 * HOUR_MS));
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let mut ledger = Ledger::new(Room { events_max: 100, dedup_keys_max: 100, ..ROOM });
    for id in 0..25 {
        ledger.record(&arrival(Source::Server, 0), vec![entry(&id.to_string(), &id.to_string())]);
    }
    let even =
        |row: &Accepted| row.head.event_id.as_deref().unwrap().parse::<u32>().unwrap().is_multiple_of(2);
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let (rows, next) = ledger.accepted().page(after, 4, even);
        assert!(rows.len() <= 4);
        seen.extend(rows.iter().map(|(_, row)| row.head.event_id.as_deref().unwrap().to_owned()));
        let Some(next) = next else { break };
        after = next;
    }
    assert_eq!(seen, (0..25).step_by(2).map(|id| id.to_string()).collect::<Vec<_>>());
    let (rows, next) = ledger.accepted().page(25, 4, |_| true);
    assert!(rows.is_empty() && next.is_none());
    let (rows, next) = ledger.accepted().page(0, 25, |_| true);
    assert_eq!((rows.len(), next), (25, None), "a page that just fits is the last");
}

#[test]
fn swept_keys_are_those_whose_window_is_over() {
    let mut dedup = Dedup::default();
    let seen = |at| Seen { first_ms: at, accepted: 1, source: Source::Server };
    for number in 0..100_000 {
        dedup.register(&format!("old {number}"), HOUR_MS, seen(0));
    }
    for number in 0..10 {
        dedup.register(&format!("new {number}"), HOUR_MS, seen(HOUR_MS));
    }
    assert_eq!(dedup.len(), 10, "the old ones went when there were too many");
    assert!(dedup.find("new 3", HOUR_MS).is_some());
    assert!(dedup.find("old 3", HOUR_MS).is_none());
}

#[test]
fn times_outside_the_calendar_do_not_stop_a_listing() {
    let mut ledger = Ledger::new(ROOM);
    for at in [i64::MIN, 1_764_201_600_123, i64::MAX] {
        ledger.record(&arrival(Source::Server, at), vec![entry(&at.to_string(), "x")]);
    }
    assert_eq!(shown(ledger.accepted())[1]["received_at"], "2025-11-27T00:00:00.123Z");
}
