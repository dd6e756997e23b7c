//! Exact counts per dataset.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Datasets counted by name; calls for further ones are counted together under [`OTHERS`].
const DATASETS_MAX: usize = 10_000;
const OTHERS: &str = "(others)";

/// What happened on one dataset. Requests are calls of the platform's edge; events are what they held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    requests: u64,
    browser_hits: u64,
    accepted: u64,
    duplicates: u64,
    refused_requests: u64,
    refused_events: u64,
    faulted_requests: u64,
    by_status: BTreeMap<u16, u64>,
    unanswered: u64,
}

impl Counts {
    pub(crate) fn request(&mut self) {
        self.requests += 1;
    }

    pub(crate) fn browser_hit(&mut self) {
        self.browser_hits += 1;
    }

    pub(crate) fn faulted(&mut self) {
        self.faulted_requests += 1;
    }

    /// Counts an answer by its status; `None` is a call that was never answered.
    pub(crate) fn answered(&mut self, status: Option<u16>) {
        match status {
            Some(status) => *self.by_status.entry(status).or_default() += 1,
            None => self.unanswered += 1,
        }
    }

    pub(crate) fn recorded(&mut self, accepted: u64, duplicates: u64) {
        self.accepted += accepted;
        self.duplicates += duplicates;
    }

    pub(crate) fn refused(&mut self, events: u64) {
        self.refused_requests += 1;
        self.refused_events += events;
    }

    fn to_json(&self) -> Value {
        let by_status = self
            .by_status
            .iter()
            .map(|(status, count)| (status.to_string(), json!(count)))
            .collect::<Map<_, _>>();
        json!({
            "requests": self.requests,
            "browser_hits": self.browser_hits,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "refused_requests": self.refused_requests,
            "refused_events": self.refused_events,
            "faulted_requests": self.faulted_requests,
            "by_status": by_status,
            "unanswered": self.unanswered,
        })
    }
}

/// The counts of all datasets.
#[derive(Default)]
pub(crate) struct Stats {
    by_dataset: BTreeMap<(&'static str, String), Counts>,
}

impl Stats {
    pub(crate) fn of(&mut self, platform: &'static str, dataset: &str) -> &mut Counts {
        let full = self.by_dataset.len() >= DATASETS_MAX;
        let key = (platform, dataset.to_owned());
        let key =
            if full && !self.by_dataset.contains_key(&key) { (platform, OTHERS.to_owned()) } else { key };
        self.by_dataset.entry(key).or_default()
    }

    /// `[{"platform":..,"dataset":..,counts..}]` in the order of names.
    pub(crate) fn to_json(&self) -> Value {
        let rows = self.by_dataset.iter().map(|((platform, dataset), counts)| {
            let mut row = Map::new();
            row.insert("platform".to_owned(), json!(platform));
            row.insert("dataset".to_owned(), json!(dataset));
            if let Value::Object(counts) = counts.to_json() {
                row.extend(counts);
            }
            Value::Object(row)
        });
        rows.collect()
    }
}
