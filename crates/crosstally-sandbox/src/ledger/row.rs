//! The rows of the three lists and how they are written. Events are written byte for byte as they came.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ring::Weight;

/// What a row costs beside its text: pointers, numbers, the allocator.
const ROW_BYTES: usize = 256;

/// Which way an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The pixel.
    Browser,
    /// The API.
    Server,
}

impl Source {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "browser" => Some(Self::Browser),
            "server" => Some(Self::Server),
            _ => None,
        }
    }
}

/// What all rows begin with, and can be filtered by.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) platform: &'static str,
    pub(crate) dataset: Arc<str>,
    pub(crate) received_ms: i64,
    pub(crate) source: Source,
    pub(crate) event_name: Option<Box<str>>,
    pub(crate) event_id: Option<Box<str>>,
    pub(crate) test_event_code: Option<Arc<str>>,
}

impl Head {
    fn bytes(&self) -> usize {
        ROW_BYTES
            + self.event_name.as_ref().map_or(0, |name| name.len())
            + self.event_id.as_ref().map_or(0, |id| id.len())
    }
}

/// A row of a list.
pub(crate) trait Row: Weight + Clone {
    fn head(&self) -> &Head;

    /// Appends the row as one JSON object. `number` is its cursor.
    fn write_json(&self, number: u64, out: &mut Vec<u8>);
}

/// The other half of a browser and server pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paired {
    pub(crate) source: Source,
    pub(crate) received_ms: i64,
}

/// One accepted event.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) head: Head,
    pub(crate) event: Box<RawValue>,
    pub(crate) deduplicated_with: Option<Paired>,
}

/// One event that was recognised.
#[derive(Clone)]
pub(crate) struct Duplicate {
    pub(crate) head: Head,
    pub(crate) event: Box<RawValue>,
    pub(crate) by: &'static str,
    pub(crate) of: u64,
    pub(crate) first_received_ms: i64,
}

/// One refused request.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) head: Head,
    /// The position of the first bad event, if it was an event that was bad.
    pub(crate) index: Option<usize>,
    /// How many events the request held.
    pub(crate) events: u64,
    pub(crate) event: Option<Box<RawValue>>,
    /// The beginning of a body that could not be read as events.
    pub(crate) body: Option<String>,
    pub(crate) reason: String,
    pub(crate) status: u16,
    /// The error as answered.
    pub(crate) error: Box<RawValue>,
    /// The fault that asked for the refusal.
    pub(crate) fault: Option<String>,
}

impl Weight for Accepted {
    fn bytes(&self) -> usize {
        self.head.bytes() + self.event.get().len()
    }
}

impl Weight for Duplicate {
    fn bytes(&self) -> usize {
        self.head.bytes() + self.event.get().len()
    }
}

impl Weight for Refused {
    fn bytes(&self) -> usize {
        self.head.bytes()
            + self.event.as_ref().map_or(0, |event| event.get().len())
            + self.body.as_ref().map_or(0, String::len)
            + self.reason.len()
            + self.error.get().len()
    }
}

#[derive(Serialize)]
struct PairedOut {
    source: Source,
    received_at: String,
}

#[derive(Serialize)]
struct AcceptedOut<'a> {
    platform: &'a str,
    dataset: &'a str,
    received_at: String,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_event_code: Option<&'a str>,
    event: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplicated_with: Option<PairedOut>,
    cursor: String,
}

impl Row for Accepted {
    fn head(&self) -> &Head {
        &self.head
    }

    fn write_json(&self, number: u64, out: &mut Vec<u8>) {
        let paired = self
            .deduplicated_with
            .map(|pair| PairedOut { source: pair.source, received_at: rfc3339(pair.received_ms) });
        write(
            &AcceptedOut {
                platform: self.head.platform,
                dataset: &self.head.dataset,
                received_at: rfc3339(self.head.received_ms),
                source: self.head.source,
                test_event_code: self.head.test_event_code.as_deref(),
                event: &self.event,
                deduplicated_with: paired,
                cursor: number.to_string(),
            },
            out,
        );
    }
}

#[derive(Serialize)]
struct DuplicateOut<'a> {
    platform: &'a str,
    dataset: &'a str,
    received_at: String,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_event_code: Option<&'a str>,
    event: &'a RawValue,
    recognised_by: &'a str,
    duplicate_of: FirstOut,
    cursor: String,
}

#[derive(Serialize)]
struct FirstOut {
    cursor: String,
    first_received_at: String,
}

impl Row for Duplicate {
    fn head(&self) -> &Head {
        &self.head
    }

    fn write_json(&self, number: u64, out: &mut Vec<u8>) {
        write(
            &DuplicateOut {
                platform: self.head.platform,
                dataset: &self.head.dataset,
                received_at: rfc3339(self.head.received_ms),
                source: self.head.source,
                test_event_code: self.head.test_event_code.as_deref(),
                event: &self.event,
                recognised_by: self.by,
                duplicate_of: FirstOut {
                    cursor: self.of.to_string(),
                    first_received_at: rfc3339(self.first_received_ms),
                },
                cursor: number.to_string(),
            },
            out,
        );
    }
}

#[derive(Serialize)]
struct RefusedOut<'a> {
    platform: &'a str,
    dataset: &'a str,
    received_at: String,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_event_code: Option<&'a str>,
    reason: &'a str,
    index: Option<usize>,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    status: u16,
    error: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    cursor: String,
}

impl Row for Refused {
    fn head(&self) -> &Head {
        &self.head
    }

    fn write_json(&self, number: u64, out: &mut Vec<u8>) {
        write(
            &RefusedOut {
                platform: self.head.platform,
                dataset: &self.head.dataset,
                received_at: rfc3339(self.head.received_ms),
                source: self.head.source,
                test_event_code: self.head.test_event_code.as_deref(),
                reason: &self.reason,
                index: self.index,
                events: self.events,
                event: self.event.as_deref(),
                body: self.body.as_deref(),
                status: self.status,
                error: &self.error,
                fault: self.fault.as_deref(),
                cursor: number.to_string(),
            },
            out,
        );
    }
}

fn write(row: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, row)
        .expect("strings, numbers and valid JSON text always serialize into memory");
}

/// UTC with milliseconds where there are any. A clock far outside the calendar shows as its nearest end.
fn rfc3339(ms: i64) -> String {
    let nearest = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms).unwrap_or(nearest).to_string()
}
