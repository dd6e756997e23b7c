//! Meta's answers: success, and the error object in all its variants. Decides nothing.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use http::header;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::rule::Broken;
use crate::faults::Kind;
use crate::misbehave;

/// `messages` in one answer.
const MESSAGES_MAX: usize = 50;

/// The fields of Meta's error object, in its order.
#[derive(Clone, Debug, Serialize)]
struct GraphError {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_transient: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<String>,
    fbtrace_id: String,
}

/// A call that is not taken.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    error: Box<GraphError>,
    /// Tells the sender how to log in.
    challenge: bool,
    headers: Vec<(header::HeaderName, String)>,
}

impl Refusal {
    fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            error: Box::new(GraphError {
                message: message.into(),
                kind: "OAuthException",
                code,
                error_subcode: None,
                is_transient: None,
                error_user_title: None,
                error_user_msg: None,
                fbtrace_id: String::new(),
            }),
            challenge: false,
            headers: Vec::new(),
        }
    }

    fn subcode(mut self, subcode: impl Into<Option<u64>>) -> Self {
        self.error.error_subcode = subcode.into();
        self
    }

    fn transient(mut self, transient: bool) -> Self {
        self.error.is_transient = Some(transient);
        self
    }

    fn in_words(mut self, title: &'static str, message: impl Into<String>) -> Self {
        self.error.error_user_title = Some(title);
        self.error.error_user_msg = Some(message.into());
        self
    }

    /// The error of a rule that the event at `index` breaks. Meta names the event in prose only, and so does this.
    pub(crate) fn broken(index: usize, name: Option<&str>, broken: &Broken) -> Self {
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        Self::new(400, 100, "Invalid parameter")
            .subcode(broken.rule.subcode())
            .transient(false)
            .in_words(broken.rule.title(), format!("Event {index}{name}: {}.", broken.detail))
    }

    /// The error of a body or a field that is not as it should be.
    pub(crate) fn bad_parameter(detail: &str) -> Self {
        Self::new(400, 100, "Invalid parameter")
            .subcode(2_804_007)
            .transient(false)
            .in_words("Invalid Parameter Value", format!("{detail}."))
    }

    pub(crate) fn no_data() -> Self {
        Self::new(400, 100, "(#100) The parameter data is required")
    }

    pub(crate) fn no_token() -> Self {
        let mut refusal = Self::new(400, 104, "An access token is required to request this resource.");
        refusal.challenge = true;
        refusal
    }

    pub(crate) fn expired_token() -> Self {
        let mut refusal =
            Self::new(401, 190, "Error validating access token: Session has expired.").subcode(463);
        refusal.challenge = true;
        refusal
    }

    pub(crate) fn no_object(verb: &str, dataset: &str) -> Self {
        let message = format!(
            "Unsupported {} request. Object with ID '{dataset}' does not exist, cannot be loaded due to missing permissions, or does not support this operation.",
            verb.to_ascii_lowercase()
        );
        let mut refusal = Self::new(400, 100, message).subcode(33);
        refusal.error.kind = "GraphMethodException";
        refusal
    }

    pub(crate) fn unknown_path(path: &str) -> Self {
        Self::new(400, 2500, format!("Unknown path components: {path}"))
    }

    pub(crate) fn version_ended(latest: u32) -> Self {
        let message = format!(
            "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version: v{latest}.0."
        );
        Self::new(400, 2635, message)
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::bad_parameter(&format!("the body has more than {bytes_max} bytes")).with_status(413)
    }

    pub(crate) fn unreadable_encoding() -> Self {
        Self::bad_parameter("the body must not be compressed").with_status(415)
    }

    pub(crate) fn body_too_slow() -> Self {
        Self::bad_parameter("the body did not come in time").with_status(408)
    }

    /// The sandbox is full. Transient, so that senders keep their events.
    pub(crate) fn full() -> Self {
        Self::new(503, 2, "Service temporarily unavailable").transient(true).in_words(
            "Sandbox Full",
            "The sandbox holds as many deduplication keys as it may. Clear it: DELETE /_sandbox.",
        )
    }

    fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn with_header(mut self, name: header::HeaderName, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// What a fault asks for in Meta's own words. `None` for faults that have no words.
    pub(crate) fn asked_for(kind: &Kind, dataset: &str, latest: u32) -> Option<Self> {
        let refusal = match kind {
            Kind::Status(fault) => {
                // Status and code must tell the same story, unless the fault wants them to differ.
                let (code, passing) = match fault.status {
                    401 => (190, false),
                    403 => (10, false),
                    429 => (4, true),
                    500.. => (2, true),
                    _ => (100, false),
                };
                let code = fault.code.unwrap_or(code);
                let message = fault.message.clone().unwrap_or_else(|| "Asked for by a fault".to_owned());
                let transient = fault.is_transient.unwrap_or(passing);
                let refusal =
                    Self::new(fault.status, code, message).subcode(fault.subcode).transient(transient);
                refusal.retry_after(fault.retry_after)
            }
            Kind::Throttle(fault) => {
                let (message, subcode) = throttle_words(fault.code);
                Self::new(fault.status, fault.code, message)
                    .subcode(fault.subcode.or(subcode))
                    .transient(fault.code == 4)
                    .with_header(USAGE, usage(dataset, fault.minutes))
                    .with_header(APP_USAGE, r#"{"call_count":100,"total_cputime":100,"total_time":100}"#)
                    .retry_after(fault.retry_after)
            }
            Kind::ServerError(fault) => Self::new(
                fault.status,
                2,
                "An unexpected error has occurred. Please retry your request later.",
            )
            .transient(true),
            Kind::ExpiredToken => Self::expired_token(),
            Kind::Permission => {
                Self::new(403, 10, "(#10) Application does not have permission for this action")
            }
            Kind::RejectEventId(fault) => rejected(fault.subcode, &format!("event_id {}", fault.event_id)),
            Kind::RejectEventName(fault) => {
                rejected(fault.subcode, &format!("event_name {}", fault.event_name))
            }
            Kind::WrongVersion => Self::version_ended(latest),
            _ => return None,
        };
        Some(refusal)
    }

    fn retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with_header(header::RETRY_AFTER, seconds),
            None => self,
        }
    }

    /// The reason in one line, for the list of refused calls.
    pub(crate) fn reason(&self) -> String {
        self.error.error_user_msg.clone().unwrap_or_else(|| self.error.message.clone())
    }

    /// Numbers the answer. Both the list of refused calls and the sender see the same one.
    pub(crate) fn traced(mut self, trace_id: String) -> Self {
        self.error.fbtrace_id = trace_id;
        self
    }

    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        to_raw_value(&self.error).expect("strings and numbers always serialize")
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = json_response(self.status, &json!({ "error": self.error }));
        if self.challenge {
            let challenge =
                format!("OAuth \"Facebook Platform\" \"invalid_token\" \"{}\"", self.error.message);
            misbehave::set(&mut response, header::WWW_AUTHENTICATE, &challenge);
        }
        for (name, value) in self.headers {
            misbehave::set(&mut response, name, &value);
        }
        response
    }
}

const USAGE: header::HeaderName = header::HeaderName::from_static("x-business-use-case-usage");
const APP_USAGE: header::HeaderName = header::HeaderName::from_static("x-app-usage");

fn throttle_words(code: i64) -> (String, Option<u64>) {
    match code {
        4 => ("(#4) Application request limit reached".to_owned(), Some(1_504_022)),
        17 => ("(#17) User request limit reached".to_owned(), Some(2_446_079)),
        613 => ("(#613) Calls to this api have exceeded the rate limit.".to_owned(), Some(1_487_742)),
        _ => {
            let message = format!(
                "(#{code}) There have been too many calls to this ad-account. Wait a bit and try again."
            );
            (message, Some(2_446_079))
        }
    }
}

fn usage(dataset: &str, minutes: u64) -> Value {
    json!({ dataset: [{
        "type": "ads_management",
        "call_count": 100,
        "total_cputime": 100,
        "total_time": 100,
        "estimated_time_to_regain_access": minutes,
    }] })
}

fn rejected(subcode: Option<u64>, what: &str) -> Refusal {
    Refusal::new(400, 100, "Invalid parameter")
        .subcode(subcode.unwrap_or(2_804_017))
        .transient(false)
        .in_words("Invalid Parameter Value", format!("A fault rejects every request that holds {what}."))
}

/// The answer to a call that was taken.
pub(crate) fn taken(events_received: usize, messages: &BTreeSet<String>, trace_id: &str) -> Response {
    let messages = messages.iter().take(MESSAGES_MAX).collect::<Vec<_>>();
    let body = json!({
        "events_received": events_received,
        "messages": messages,
        "fbtrace_id": trace_id,
    });
    json_response(200, &body)
}

fn json_response(status: u16, body: &Value) -> Response {
    let mut response = (misbehave::status(status), body.to_string()).into_response();
    misbehave::set(&mut response, header::CONTENT_TYPE, "application/json; charset=UTF-8");
    response
}
