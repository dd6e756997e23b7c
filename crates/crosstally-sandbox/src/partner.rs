//! A partner or traffic source that takes postbacks, played: `GET` or `POST` on anything below `/partner/{name}/`.
//!
//! It answers as many real ones do, 200 whatever it thinks of the call: `OK`, or `ERROR` and why. A call has to say
//! something, and nothing in it may be a macro that somebody forgot to fill in. What it takes is listed as
//! `{"method", "path", "query", "body"}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::body;
use crate::faults::{Call, Kind};
use crate::ledger::{Arrival, Entry, Refused, Source};
use crate::misbehave::{self, Bent};
use crate::platform::Platform;
use crate::state::Sandbox;

const NAME: &str = Platform::Partner.name();
const INVALID: &str = "(invalid)";
const NAME_BYTES_MAX: usize = 64;

/// Any call of a partner.
pub(crate) async fn call(State(sandbox): State<Sandbox>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let name = named(&parts.uri);
    sandbox.ledger().counts(NAME, &name).request();
    let received = body::receive(&parts.headers, body, sandbox.limits().body_bytes_max).await;
    let Ok(bytes) = received else { return StatusCode::BAD_REQUEST.into_response() };
    let event = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        "body": String::from_utf8_lossy(&bytes),
    });
    let holds = |key: &str, text: &str| event["query"][key].as_str() == Some(text);
    let met = sandbox.faults().meet(&Call {
        platform: Platform::Partner,
        dataset: &name,
        body_read: true,
        holds: &holds,
    });
    let bent = match met {
        None => Bent::plain(taken(&sandbox, &name, &event)),
        Some(met) => {
            sandbox.ledger().counts(NAME, &name).faulted();
            let ordinary = met.kind.carries_out().then(|| taken(&sandbox, &name, &event));
            let answer = misbehave::spelled_out(&met.kind).or(ordinary).unwrap_or_else(|| refused(&met.kind));
            misbehave::bend(&met.kind, answer).await
        }
    };
    sandbox.ledger().counts(NAME, &name).answered(bent.status());
    bent.sent().await
}

/// A fault in a partner's words: the status that it asks for, or an error that comes as 200.
fn refused(kind: &Kind) -> Response {
    let (status, retry_after) = match kind {
        Kind::Status(fault) => (fault.status, fault.retry_after),
        Kind::Throttle(fault) => (429, fault.retry_after),
        Kind::ServerError(fault) => (fault.status, None),
        Kind::ExpiredToken => (401, None),
        Kind::Permission => (403, None),
        _ => (200, None),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, "ERROR refused by a fault").into_response();
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The partner's name in the path.
fn named(uri: &Uri) -> String {
    let name = uri.path().split('/').nth(2).unwrap_or_default();
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if fits { name.to_owned() } else { INVALID.to_owned() }
}

fn pairs(query: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(query)
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect()
}

/// Records what is right, lists what is not.
fn taken(sandbox: &Sandbox, name: &str, event: &Value) -> Response {
    let arrival = Arrival {
        platform: NAME,
        dataset: Arc::from(name),
        received_ms: sandbox.now_ms(),
        source: Source::Server,
        test_event_code: None,
    };
    let raw = to_raw_value(event).expect("JSON always serializes");
    let method = event["method"].as_str().unwrap_or_default();
    let mut ledger = sandbox.ledger();
    let reason = match wrong(event) {
        Some(reason) => reason,
        None => {
            let entry =
                Entry { event_name: method.to_owned(), event_id: None, event: raw.clone(), keys: Vec::new() };
            if ledger.has_room_for(std::slice::from_ref(&entry), arrival.received_ms) {
                ledger.record(&arrival, vec![entry]);
                return (StatusCode::OK, "OK").into_response();
            }
            "the sandbox is full: DELETE /_sandbox".to_owned()
        }
    };
    ledger.refuse(Refused {
        head: arrival.head(Some(method), None),
        index: None,
        events: 1,
        event: Some(raw),
        body: None,
        reason: reason.clone(),
        status: 200,
        error: to_raw_value(&json!({ "message": reason })).expect("JSON always serializes"),
        fault: None,
    });
    (StatusCode::OK, format!("ERROR {reason}")).into_response()
}

/// What a real one could not read.
fn wrong(event: &Value) -> Option<String> {
    let query = event["query"].as_object()?;
    let path = event["path"].as_str().unwrap_or_default();
    let says_something = !query.is_empty()
        || event["body"] != ""
        || path.split('/').filter(|part| !part.is_empty()).count() > 2;
    if !says_something {
        return Some("the call says nothing".to_owned());
    }
    let unfilled = |text: &str| {
        let marks = [("{", "}"), ("[", "]"), ("##", "##"), ("__", "__"), ("%7B", "%7D"), ("%5B", "%5D")];
        marks.iter().any(|(open, close)| {
            text.len() > open.len() + close.len() && text.starts_with(open) && text.ends_with(close)
        })
    };
    let values = query.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let in_query = values.filter(|(_, value)| unfilled(value)).map(|(name, _)| name.to_owned()).next();
    let in_path = || path.split('/').find(|part| unfilled(part)).map(str::to_owned);
    in_query.or_else(in_path).map(|place| format!("a macro was not filled in: {place}"))
}
