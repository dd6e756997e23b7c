//! `capi validate`: everything that would keep events from being sent to a destination, and what would be left out of
//! them, without sending.

use crosstally_core::event::OutboundEvent;
use crosstally_core::event::server_event::{self, Invalid};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_destinations::consent::Leaving;
use crosstally_destinations::findings::findings;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::defaults;
use crate::Engine;
use crate::geo::Geo;
use crate::snapshot::{ReadyDestination, Snapshot};

/// Events that are looked at in one call.
pub const EVENTS_MAX: usize = 1_000;

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The place, as a JSON pointer; empty for the event as a whole.
    pub at: String,
    /// The reason code.
    pub code: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Whether the event is not sent for it; else only the value is left out.
    pub refuses: bool,
}

/// One event that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The line that it begins in, from 1.
    pub line: usize,
    /// Its name, as far as it could be read.
    pub event: String,
    /// Its id, likewise.
    pub event_id: String,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Validated {
    /// Whether it would not be sent.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.refuses)
    }
}

/// Why nothing was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotValidated {
    /// No destination has this name; these are known.
    UnknownDestination(Vec<String>),
    /// There is no event.
    Empty,
    /// More than [`EVENTS_MAX`].
    TooMany(usize),
}

impl Engine {
    /// Looks at one event, or at many, one a line.
    ///
    /// # Errors
    /// Nothing could be looked at.
    pub fn validate_events(&self, destination: &str, text: &[u8]) -> Result<Vec<Validated>, NotValidated> {
        let ready = self.ready_destination(destination).map_err(NotValidated::UnknownDestination)?;
        let events = events(text);
        match events.len() {
            0 => return Err(NotValidated::Empty),
            count if count > EVENTS_MAX => return Err(NotValidated::TooMany(count)),
            _ => {}
        }
        let snapshot = self.snapshot.load();
        let now = self.clock.now();
        Ok(events
            .into_iter()
            .map(|(line, json)| validate((&snapshot, &self.geo), &ready, line, json, now))
            .collect())
    }
}

/// The events in a text with the lines that they begin in: the whole text if it is one, else one a line.
fn events(text: &[u8]) -> Vec<(usize, &[u8])> {
    let mut lines =
        text.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| (at + 1, line.trim_ascii()));
    let is_whole = |line: &[u8]| line.starts_with(b"{") && line.ends_with(b"}");
    let mut filled = lines.by_ref().filter(|(_, line)| !line.is_empty());
    let Some(first) = filled.next() else { return Vec::new() };
    // A single event that is broken is told once, not line by line.
    if serde_json::from_slice::<IgnoredAny>(text).is_ok() || !is_whole(first.1) {
        return vec![(first.0, text)];
    }
    std::iter::once(first).chain(filled).collect()
}

fn validate(
    (snapshot, geo): (&Snapshot, &Geo),
    ready: &ReadyDestination,
    line: usize,
    json: &[u8],
    now: Timestamp,
) -> Validated {
    match server_event::read(json, defaults(snapshot, now)) {
        Ok(read) => {
            let (_, mut all) = leaving(ready, &read.event, geo, now);
            all.extend(read.notes.iter().map(|note| of_note(note, false)));
            let event = read.event;
            Validated { line, event: event.event_name, event_id: event.event_id, findings: all }
        }
        Err(problems) => {
            let mut all: Vec<Finding> = problems.iter().map(|problem| of_note(problem, true)).collect();
            // What the platform asks for is told too, of what could be read.
            let rest = without(json, &problems);
            if let Some(Ok(read)) = rest.map(|rest| server_event::read(&rest, defaults(snapshot, now))) {
                all.extend(leaving(ready, &read.event, geo, now).1);
                all.extend(read.notes.iter().map(|note| of_note(note, false)));
            }
            Validated { line, event: named(json, "event"), event_id: named(json, "event_id"), findings: all }
        }
    }
}

/// The event as it would leave, after what its visitor allows, and what keeps it from leaving or is left out of it.
pub(super) fn leaving(
    ready: &ReadyDestination,
    event: &OutboundEvent,
    geo: &Geo,
    now: Timestamp,
) -> (OutboundEvent, Vec<Finding>) {
    let consent = |why: &str, fix: &str, refuses: bool| {
        told("/consent".to_owned(), Reason::ConsentDenied, why, fix, refuses)
    };
    let (event, mut all) = match ready.leaving(event, geo) {
        Leaving::InFull => (event.clone(), Vec::new()),
        Leaving::Limited { event, why } => {
            (*event, vec![consent(&why, "nothing; the visitor wants it so", false)])
        }
        Leaving::Withheld { why } => {
            let fix = Reason::ConsentDenied.about().fix;
            return (event.clone(), vec![consent(&why, fix, true)]);
        }
    };
    let found = findings(ready.dialect, &ready.settings, &event, now);
    all.extend(found.into_iter().map(|finding| {
        let fix = if finding.reason == Reason::EventIncomplete {
            "write it as the rule says"
        } else {
            finding.reason.about().fix
        };
        told(finding.at, finding.reason, &finding.detail, fix, true)
    }));
    (event, all)
}

/// What reading an event found.
pub(super) fn of_note(invalid: &Invalid, refuses: bool) -> Finding {
    let fix = if refuses { "write it as the rule says" } else { "mend the value, or leave it away" };
    told(invalid.pointer.clone(), Reason::EventIncomplete, &invalid.problem, fix, refuses)
}

/// Where the words have a fix of their own it stands behind a semicolon.
fn told(at: String, reason: Reason, words: &str, fix: &str, refuses: bool) -> Finding {
    let (problem, fix) = match words.split_once("; ") {
        Some((problem, own)) => (problem, own),
        None if words.contains("is required") => (words, "add it"),
        None => (words, fix),
    };
    Finding { at, code: reason.code(), problem: problem.to_owned(), fix: fix.to_owned(), refuses }
}

/// The event without the values that could not be read.
fn without(json: &[u8], problems: &[Invalid]) -> Option<Vec<u8>> {
    let mut event: Value = serde_json::from_slice(json).ok()?;
    for problem in problems {
        let (parent, key) = problem.pointer.rsplit_once('/')?;
        event.pointer_mut(parent)?.as_object_mut()?.remove(key);
    }
    serde_json::to_vec(&event).ok()
}

fn named(json: &[u8], name: &str) -> String {
    let event: Value = serde_json::from_slice(json).unwrap_or_default();
    event.get(name).and_then(Value::as_str).unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_or_one_a_line() {
        let lines =
            |text: &str| events(text.as_bytes()).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(lines("{\"a\":1}"), [1]);
        assert_eq!(lines("\n{\n\"a\":1\n}\n"), [2]);
        assert_eq!(lines("{\"a\":1}\n\n{\"b\":2}\r\n"), [1, 3]);
        assert_eq!(lines("{\"a\":1}\n{broken}\n"), [1, 2]);
        // Broken over several lines: told once.
        assert_eq!(lines("{\n\"a\":\n}"), [1]);
        assert_eq!(lines(" \n\n"), [0; 0]);
    }
}
