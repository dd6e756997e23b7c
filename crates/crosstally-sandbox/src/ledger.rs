//! What came in: accepted events, swallowed duplicates, refused requests, and exact counts of all three.
//!
//! Called by the platforms to record and by `inspect` to read. Decides who is a duplicate of whom by the keys that a
//! platform gives; knows no platform's rules, no HTTP and no clock.

mod dedup;
mod ring;
mod row;
mod stats;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::value::RawValue;

use self::dedup::{Dedup, Seen};
use self::ring::Ring;
pub(crate) use self::row::{Accepted, Duplicate, Head, Paired, Refused, Row, Source};
pub(crate) use self::stats::{Counts, Stats};

/// A browser event that comes this soon after the server's takes its place.
const BROWSER_WINS_WITHIN_MS: i64 = 5 * 60 * 1000;

/// The sandbox's `Limits` as far as they concern the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) events_max: usize,
    pub(crate) event_bytes_max: usize,
    pub(crate) duplicates_max: usize,
    pub(crate) refused_max: usize,
    pub(crate) other_bytes_max: usize,
    pub(crate) dedup_keys_max: usize,
}

/// One name under which an event can be recognised again, and how long it counts.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// What the platform compares, for people.
    pub(crate) by: &'static str,
    /// All parts of the name, unambiguously joined.
    pub(crate) text: String,
    pub(crate) window_ms: i64,
    /// If the name was registered within its window, the event is a duplicate. The first hit wins.
    pub(crate) checks: bool,
    /// The name is registered when the event is accepted.
    pub(crate) registers: bool,
}

impl Key {
    /// A name that is checked and registered.
    pub(crate) const fn new(by: &'static str, text: String, window_ms: i64) -> Self {
        Self { by, text, window_ms, checks: true, registers: true }
    }
}

/// Joins parts so that no two lists of parts give the same text.
pub(crate) fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text
}

/// One valid event, ready to be recorded.
pub(crate) struct Entry {
    pub(crate) event_name: String,
    pub(crate) event_id: Option<String>,
    pub(crate) event: Box<RawValue>,
    pub(crate) keys: Vec<Key>,
}

/// Where and when a request came in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) platform: &'static str,
    pub(crate) dataset: Arc<str>,
    pub(crate) received_ms: i64,
    pub(crate) source: Source,
    pub(crate) test_event_code: Option<Arc<str>>,
}

impl Arrival {
    /// The head of a row for one event of this request.
    pub(crate) fn head(&self, event_name: Option<&str>, event_id: Option<&str>) -> Head {
        Head {
            platform: self.platform,
            dataset: Arc::clone(&self.dataset),
            received_ms: self.received_ms,
            source: self.source,
            event_name: event_name.map(Into::into),
            event_id: event_id.map(Into::into),
            test_event_code: self.test_event_code.clone(),
        }
    }
}

/// Everything that one sandbox has seen.
pub(crate) struct Ledger {
    room: Room,
    accepted: Ring<Accepted>,
    duplicates: Ring<Duplicate>,
    refused: Ring<Refused>,
    dedup: Dedup,
    stats: Stats,
}

impl Ledger {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            accepted: Ring::new(room.events_max, room.event_bytes_max),
            duplicates: Ring::new(room.duplicates_max, room.other_bytes_max),
            refused: Ring::new(room.refused_max, room.other_bytes_max),
            dedup: Dedup::default(),
            stats: Stats::default(),
        }
    }

    /// Whether these events can be recorded without ever guessing about a duplicate.
    pub(crate) fn has_room_for(&mut self, entries: &[Entry], now_ms: i64) -> bool {
        let keys = entries.iter().flat_map(|entry| &entry.keys).filter(|key| key.registers).count();
        self.dedup.has_room_for(keys, self.room.dedup_keys_max, now_ms)
    }

    /// When the event came whose key this is, if it would still be recognised.
    pub(crate) fn came_first(&self, key: &str, now_ms: i64) -> Option<i64> {
        self.dedup.find(key, now_ms).map(|seen| seen.first_ms)
    }

    /// Records the valid events of one request.
    pub(crate) fn record(&mut self, arrival: &Arrival, entries: Vec<Entry>) {
        let mut accepted = 0;
        let mut duplicates = 0;
        for entry in entries {
            let now_ms = arrival.received_ms;
            let mut checked = entry.keys.iter().filter(|key| key.checks);
            let seen = checked.find_map(|key| Some((key.by, self.dedup.find(&key.text, now_ms)?)));
            match seen {
                Some((by, seen)) => {
                    duplicates += 1;
                    self.swallow(arrival, entry, by, seen);
                }
                None => {
                    accepted += 1;
                    self.accept(arrival, entry);
                }
            }
        }
        self.stats.of(arrival.platform, &arrival.dataset).recorded(accepted, duplicates);
    }

    fn accept(&mut self, arrival: &Arrival, entry: Entry) {
        let row = Accepted {
            head: arrival.head(Some(&entry.event_name), entry.event_id.as_deref()),
            event: entry.event,
            deduplicated_with: None,
        };
        let number = self.accepted.push(row);
        let seen = Seen { first_ms: arrival.received_ms, accepted: number, source: arrival.source };
        for key in entry.keys.iter().filter(|key| key.registers) {
            self.dedup.register(&key.text, key.window_ms, seen);
        }
    }

    /// Puts one event of a pair aside: the newcomer, or the kept one if the newcomer's claim is better.
    fn swallow(&mut self, arrival: &Arrival, entry: Entry, by: &'static str, seen: Seen) {
        let newcomer = Accepted {
            head: arrival.head(Some(&entry.event_name), entry.event_id.as_deref()),
            event: entry.event,
            deduplicated_with: None,
        };
        let late_ms = arrival.received_ms - seen.first_ms;
        let pair = arrival.source != seen.source;
        let takes_over = pair && arrival.source == Source::Browser && late_ms <= BROWSER_WINS_WITHIN_MS;
        let mut aside = newcomer;
        if takes_over {
            for key in entry.keys.iter().filter(|key| key.registers) {
                self.dedup.change_source(&key.text, arrival.source);
            }
        }
        if pair {
            self.accepted.change(seen.accepted, |kept| {
                if takes_over {
                    std::mem::swap(kept, &mut aside);
                }
                if kept.deduplicated_with.is_none() {
                    kept.deduplicated_with =
                        Some(Paired { source: aside.head.source, received_ms: aside.head.received_ms });
                }
            });
        }
        self.duplicates.push(Duplicate {
            head: aside.head,
            event: aside.event,
            by,
            of: seen.accepted,
            first_received_ms: seen.first_ms,
        });
    }

    /// Keeps a refused request and counts its events.
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.stats.of(refused.head.platform, &refused.head.dataset).refused(refused.events);
        self.refused.push(refused);
    }

    /// The counts of one dataset, to add to.
    pub(crate) fn counts(&mut self, platform: &'static str, dataset: &str) -> &mut Counts {
        self.stats.of(platform, dataset)
    }

    pub(crate) fn accepted(&self) -> &Ring<Accepted> {
        &self.accepted
    }

    pub(crate) fn duplicates(&self) -> &Ring<Duplicate> {
        &self.duplicates
    }

    pub(crate) fn refused(&self) -> &Ring<Refused> {
        &self.refused
    }

    /// All counts, and what is kept, as JSON.
    pub(crate) fn report(&self) -> serde_json::Value {
        serde_json::json!({
            "datasets": self.stats.to_json(),
            "kept": {
                "events": self.accepted.summary(),
                "duplicates": self.duplicates.summary(),
                "refused": self.refused.summary(),
                "dedup_keys": self.dedup.len(),
            },
            "limits": {
                "events_max": self.room.events_max,
                "event_bytes_max": self.room.event_bytes_max,
                "duplicates_max": self.room.duplicates_max,
                "refused_max": self.room.refused_max,
                "other_bytes_max": self.room.other_bytes_max,
                "dedup_keys_max": self.room.dedup_keys_max,
            },
            "note": "Counts and deduplication are exact since the last DELETE /_sandbox; the lists drop their oldest rows when full (see dropped).",
        })
    }
}
