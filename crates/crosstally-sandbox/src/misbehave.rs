//! How a fault looks on the wire, as far as it is the same for all platforms. Knows no platform's error shapes.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::body::{self, Drip, Endless};
use crate::faults::{End, Kind, Raw};

/// More than any answer has.
const DRIPPED_BYTES_MAX: usize = 1 << 20;

/// Asks the server to leave HTTP and do this to the connection. Travels as a response extension.
#[derive(Clone, Debug)]
pub(crate) enum Takeover {
    /// Ends the connection in good order, without an answer.
    Close,
    /// Resets the connection.
    Reset,
    /// Writes these bytes.
    Wire(Wire),
}

/// Bytes in place of HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    /// What comes at once.
    pub(crate) first: Bytes,
    /// What comes then,
    pub(crate) then: Bytes,
    /// as often as this; 0 is for ever,
    pub(crate) repeat: u64,
    /// and this slowly.
    pub(crate) ms_per_byte: u64,
    pub(crate) end: End,
}

impl Default for Wire {
    fn default() -> Self {
        Self { first: Bytes::new(), then: Bytes::new(), repeat: 1, ms_per_byte: 0, end: End::Close }
    }
}

impl From<Raw> for Wire {
    fn from(raw: Raw) -> Self {
        Self {
            first: Bytes::new(),
            then: raw.text.into(),
            repeat: raw.repeat,
            ms_per_byte: raw.ms_per_byte,
            end: raw.end,
        }
    }
}

/// How long to wait before the answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    No,
    Ms(u64),
    /// Until the other side leaves.
    Forever,
}

/// What becomes of an answer.
pub(crate) struct Bent {
    pub(crate) response: Response,
    pub(crate) wait: Wait,
}

impl Bent {
    /// An answer as it is.
    pub(crate) const fn plain(response: Response) -> Self {
        Self { response, wait: Wait::No }
    }

    /// The status that the sender will see, if it sees any.
    pub(crate) fn status(&self) -> Option<u16> {
        let answered = self.response.extensions().get::<Takeover>().is_none();
        answered.then(|| self.response.status().as_u16())
    }

    /// Waits as the fault asks, then gives the answer.
    pub(crate) async fn sent(self) -> Response {
        match self.wait {
            Wait::No => {}
            Wait::Ms(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Wait::Forever => std::future::pending().await,
        }
        self.response
    }
}

/// Bends `answer` as `kind` asks. Kinds that a platform answers in its own words pass through.
pub(crate) async fn bend(kind: &Kind, answer: Response) -> Bent {
    let wait = match kind {
        Kind::Slow(slow) => Wait::Ms(slow.ms),
        Kind::Hang(hang) => hang.ms.map_or(Wait::Forever, Wait::Ms),
        _ => Wait::No,
    };
    let response = match kind {
        Kind::Hang(_) => takeover(Takeover::Close),
        Kind::ResetBefore | Kind::ResetAfterAccept => takeover(Takeover::Reset),
        Kind::Raw(raw) => takeover(Takeover::Wire(raw.clone().into())),
        Kind::Drip(drip) => dripping(answer, Duration::from_millis(drip.ms_per_byte)).await,
        Kind::EndlessBody(_) => json_body(StatusCode::OK, Body::new(Endless::new())),
        Kind::GarbageJson(garbage) => json_body(StatusCode::OK, Body::from(garbage.body.clone())),
        Kind::Redirect(redirect) => {
            let mut response = status(redirect.status).into_response();
            set(&mut response, header::LOCATION, &redirect.location);
            response
        }
        Kind::ServerError(error) if error.html => {
            let mut response = (status(error.status), HTML).into_response();
            set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
            response
        }
        _ => answer,
    };
    Bent { response, wait }
}

/// The answer that a `status` fault spells out. Without a body a platform's own words are used, if it has any.
pub(crate) fn spelled_out(kind: &Kind) -> Option<Response> {
    let Kind::Status(fault) = kind else { return None };
    let (body, kind) = match fault.body.as_ref() {
        None if fault.status >= 300 => return None,
        None => (String::new(), "text/plain; charset=utf-8"),
        Some(Value::String(text)) => (text.clone(), "text/plain; charset=utf-8"),
        Some(other) => (other.to_string(), "application/json"),
    };
    let mut response = (status(fault.status), body).into_response();
    set(&mut response, header::CONTENT_TYPE, fault.content_type.as_deref().unwrap_or(kind));
    if let Some(seconds) = fault.retry_after {
        set(&mut response, header::RETRY_AFTER, &seconds.to_string());
    }
    Some(response)
}

/// Sets a header whose value was checked when the fault was posted.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// A status that was checked when the fault was posted.
pub(crate) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

const HTML: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>\n";

/// Leaves HTTP in place of an answer.
pub(crate) fn takeover(how: Takeover) -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(how);
    response
}

fn json_body(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json; charset=UTF-8");
    response
}

async fn dripping(answer: Response, every: Duration) -> Response {
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let bytes = body::read(body, DRIPPED_BYTES_MAX).await.unwrap_or_default();
    Response::from_parts(head, Body::new(Drip::new(&bytes, every)))
}
