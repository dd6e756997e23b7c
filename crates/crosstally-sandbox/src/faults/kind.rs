//! The closed list of faults and their keys. A key that a kind does not know is an error that lists those it knows.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// Keys that every kind takes.
pub(crate) const COMMON_KEYS: &[&str] = &["times", "dataset", "platform", "probability", "seed"];

/// Every kind with its own keys.
pub(crate) const KINDS: &[(&str, &[&str])] = &[
    (
        "status",
        &[
            "status",
            "body",
            "content_type",
            "code",
            "subcode",
            "message",
            "is_transient",
            "retry_after",
            "accept",
        ],
    ),
    ("throttle", &["status", "code", "subcode", "minutes", "retry_after"]),
    ("server_error", &["status", "html", "accept"]),
    ("hang", &["ms", "accept"]),
    ("slow", &["ms"]),
    ("drip", &["ms_per_byte"]),
    ("reset_before", &[]),
    ("reset_after_accept", &[]),
    ("expired_token", &[]),
    ("permission", &[]),
    ("reject_event_id", &["event_id", "subcode"]),
    ("reject_event_name", &["event_name", "subcode"]),
    ("partial_count", &["missing"]),
    ("redirect", &["status", "location"]),
    ("endless_body", &["accept"]),
    ("garbage_json", &["body", "accept"]),
    ("wrong_version", &[]),
    ("raw", &["text", "repeat", "ms_per_byte", "end", "accept"]),
];

/// A fault's kind with its settings. See the table in the crate's documentation.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Status(Status),
    Throttle(Throttle),
    ServerError(ServerError),
    Hang(Hang),
    Slow(Slow),
    Drip(Drip),
    ResetBefore,
    ResetAfterAccept,
    ExpiredToken,
    Permission,
    RejectEventId(RejectEventId),
    RejectEventName(RejectEventName),
    PartialCount(PartialCount),
    Redirect(Redirect),
    EndlessBody(Plain),
    GarbageJson(GarbageJson),
    WrongVersion,
    Raw(Raw),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) content_type: Option<String>,
    pub(crate) code: Option<i64>,
    pub(crate) subcode: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) is_transient: Option<bool>,
    pub(crate) retry_after: Option<u64>,
    #[serde(default)]
    pub(crate) accept: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Throttle {
    pub(crate) status: u16,
    pub(crate) code: i64,
    pub(crate) subcode: Option<u64>,
    pub(crate) minutes: u64,
    pub(crate) retry_after: Option<u64>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { status: 400, code: 80_004, subcode: None, minutes: 1, retry_after: None }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerError {
    pub(crate) status: u16,
    pub(crate) html: bool,
    pub(crate) accept: bool,
}

impl Default for ServerError {
    fn default() -> Self {
        Self { status: 500, html: false, accept: false }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hang {
    pub(crate) ms: Option<u64>,
    pub(crate) accept: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    pub(crate) ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drip {
    pub(crate) ms_per_byte: u64,
}

impl Default for Drip {
    fn default() -> Self {
        Self { ms_per_byte: 1000 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectEventId {
    pub(crate) event_id: String,
    pub(crate) subcode: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectEventName {
    pub(crate) event_name: String,
    pub(crate) subcode: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PartialCount {
    pub(crate) missing: usize,
}

impl Default for PartialCount {
    fn default() -> Self {
        Self { missing: 1 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    pub(crate) location: String,
}

impl Default for Redirect {
    fn default() -> Self {
        // A sender that follows ends at a page that is not there, still inside the sandbox.
        Self { status: 302, location: "/_sandbox/redirected".to_owned() }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Plain {
    pub(crate) accept: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GarbageJson {
    pub(crate) body: String,
    pub(crate) accept: bool,
}

impl Default for GarbageJson {
    fn default() -> Self {
        Self { body: r#"{"events_received": 1, "messages": ["#.to_owned(), accept: false }
    }
}

/// What follows the last raw byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    #[default]
    Close,
    Reset,
    Hang,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub(crate) text: String,
    /// 0 is for ever.
    #[serde(default = "once")]
    pub(crate) repeat: u64,
    #[serde(default)]
    pub(crate) ms_per_byte: u64,
    #[serde(default)]
    pub(crate) end: End,
    #[serde(default)]
    pub(crate) accept: bool,
}

const fn once() -> u64 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Kind {
    /// Reads a fault without its common keys.
    pub(crate) fn parse(mut own: Map<String, Value>) -> Result<Self, Problem> {
        let Some(Value::String(name)) = own.shift_remove("kind") else {
            return Err(unknown("A fault needs a \"kind\"."));
        };
        let own = Value::Object(own);
        let kind = match name.as_str() {
            "status" => Self::Status(settings(&name, own)?),
            "throttle" => Self::Throttle(settings(&name, own)?),
            "server_error" => Self::ServerError(settings(&name, own)?),
            "hang" => Self::Hang(settings(&name, own)?),
            "slow" => Self::Slow(settings(&name, own)?),
            "drip" => Self::Drip(settings(&name, own)?),
            "reject_event_id" => Self::RejectEventId(settings(&name, own)?),
            "reject_event_name" => Self::RejectEventName(settings(&name, own)?),
            "partial_count" => Self::PartialCount(settings(&name, own)?),
            "redirect" => Self::Redirect(settings(&name, own)?),
            "endless_body" => Self::EndlessBody(settings(&name, own)?),
            "garbage_json" => Self::GarbageJson(settings(&name, own)?),
            "raw" => Self::Raw(settings(&name, own)?),
            other => Self::parse_bare(other, own)?,
        };
        kind.check()?;
        Ok(kind)
    }

    fn parse_bare(name: &str, own: Value) -> Result<Self, Problem> {
        let kind = match name {
            "reset_before" => Self::ResetBefore,
            "reset_after_accept" => Self::ResetAfterAccept,
            "expired_token" => Self::ExpiredToken,
            "permission" => Self::Permission,
            "wrong_version" => Self::WrongVersion,
            _ => return Err(unknown(format!("There is no fault of kind {name:?}."))),
        };
        let Nothing {} = settings(name, own)?;
        Ok(kind)
    }

    /// Values that could not be sent as HTTP are refused now, not when the fault strikes.
    fn check(&self) -> Result<(), Problem> {
        let status = match self {
            Self::Status(fault) => fault.status,
            Self::Throttle(fault) => fault.status,
            Self::ServerError(fault) => fault.status,
            Self::Redirect(fault) => fault.status,
            _ => 200,
        };
        if !(200..=599).contains(&status) {
            return Err(unknown(format!("status is 200 to 599, not {status}.")));
        }
        if matches!(self, Self::Raw(raw) if raw.text.is_empty()) {
            return Err(unknown("text must not be empty."));
        }
        let header = match self {
            Self::Status(fault) => fault.content_type.as_deref(),
            Self::Redirect(fault) => Some(fault.location.as_str()),
            _ => None,
        };
        if header.is_some_and(|text| http::HeaderValue::from_str(text).is_err()) {
            return Err(unknown("content_type and location must be valid header values."));
        }
        Ok(())
    }

    /// Whether the fault strikes only when the whole request has been read.
    pub(crate) const fn waits_for_body(&self) -> bool {
        !matches!(self, Self::ResetBefore)
    }

    /// The key and text that an event must have for the fault to strike.
    pub(crate) fn wanted_text(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::RejectEventId(fault) => Some(("event_id", &fault.event_id)),
            Self::RejectEventName(fault) => Some(("event_name", &fault.event_name)),
            _ => None,
        }
    }

    /// Whether the call is carried out before it is answered, well or badly.
    pub(crate) const fn carries_out(&self) -> bool {
        match self {
            Self::Slow(_) | Self::Drip(_) | Self::ResetAfterAccept | Self::PartialCount(_) => true,
            Self::Status(Status { accept, .. })
            | Self::ServerError(ServerError { accept, .. })
            | Self::Hang(Hang { accept, .. })
            | Self::EndlessBody(Plain { accept })
            | Self::GarbageJson(GarbageJson { accept, .. })
            | Self::Raw(Raw { accept, .. }) => *accept,
            _ => false,
        }
    }
}

fn settings<T: DeserializeOwned>(name: &str, own: Value) -> Result<T, Problem> {
    serde_json::from_value(own).map_err(|error| unknown(format!("A fault of kind {name:?}: {error}.")))
}

/// The one answer to a fault that cannot be understood; it lists what can be.
pub(crate) fn unknown(detail: impl Into<String>) -> Problem {
    let kinds = KINDS.iter().map(|(name, keys)| ((*name).to_owned(), json!(keys))).collect::<Map<_, _>>();
    Problem::bad_request("Unknown fault", detail)
        .with("kinds", Value::Object(kinds))
        .with("common_keys", json!(COMMON_KEYS))
}
