//! Meta's Conversions API, played: `POST /v{N}.0/{dataset}/events` and the pixel.
//!
//! A call goes down a list of steps: read the body, meet a fault, check version, dataset and token, check each event,
//! record. Any step may refuse the whole call, as Meta does. The rules are in `validate`, the answers in `answer`.

mod answer;
mod dedup;
mod pixel;
mod request;
mod rule;
mod validate;
mod version;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use serde_json::Value;
use serde_json::value::RawValue;

use self::answer::Refusal;
use self::request::{Fields, Sent, Unreadable, is_dataset};
use self::version::Version;
use crate::body::{self, ReadError};
use crate::faults::{Call, Kind, Met};
use crate::ledger::{Arrival, Entry, Refused, Source};
use crate::misbehave::{self, Bent};
use crate::platform::Platform;
use crate::state::Sandbox;

pub(crate) use self::pixel::hit;

const NAME: &str = Platform::Meta.name();
/// How much of an unreadable body is kept for people.
const EXCERPT_BYTES: usize = 2048;
const INVALID_DATASET: &str = "(invalid)";

/// `POST /v{N}.0/{dataset}/events`
pub(crate) async fn events(
    State(sandbox): State<Sandbox>,
    Path((version, dataset)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let version = Version::read(&version, sandbox.now_ms());
    let edge = Edge { sandbox, path: request.uri().path().to_owned(), version, dataset };
    let dataset = edge.counted_as();
    edge.sandbox.ledger().counts(NAME, dataset).request();
    let mut bent = edge.call(request).await;
    if let Some(warning) = version.warning() {
        misbehave::set(&mut bent.response, VERSION_WARNING, &warning);
    }
    edge.sandbox.ledger().counts(NAME, dataset).answered(bent.status());
    bent.sent().await
}

const VERSION_WARNING: header::HeaderName = header::HeaderName::from_static("x-ad-api-version-warning");

/// Any other verb on the edge: it only creates.
pub(crate) async fn unsupported(
    State(sandbox): State<Sandbox>,
    Path((_, dataset)): Path<(String, String)>,
    method: Method,
) -> Response {
    Refusal::no_object(method.as_str(), &dataset).traced(sandbox.next_trace_id()).into_response()
}

/// A path that is neither an edge nor the sandbox's own.
pub(crate) async fn unknown_path(State(sandbox): State<Sandbox>, uri: Uri) -> Response {
    Refusal::unknown_path(uri.path()).traced(sandbox.next_trace_id()).into_response()
}

/// One call of the events edge.
struct Edge {
    sandbox: Sandbox,
    path: String,
    version: Version,
    dataset: String,
}

/// Why a call was not taken.
struct Denied {
    refusal: Refusal,
    /// The position of the first bad event.
    index: Option<usize>,
    event: Option<Box<RawValue>>,
    event_name: Option<String>,
    event_id: Option<String>,
    /// How many events the call held, as far as it could be read.
    events: usize,
    /// The beginning of what could not be read.
    body: Option<String>,
}

impl Denied {
    fn whole(refusal: Refusal, events: usize) -> Box<Self> {
        let (index, event, event_name, event_id, body) = (None, None, None, None, None);
        Box::new(Self { refusal, index, event, event_name, event_id, events, body })
    }

    fn unreadable(refusal: Refusal, events: usize, body: String) -> Box<Self> {
        Box::new(Self { body: Some(body), ..*Self::whole(refusal, events) })
    }
}

/// What the body gave: events, none, or trouble.
type Read<'a> = Result<Option<Vec<Sent<'a>>>, Unreadable>;

impl Edge {
    /// The dataset's name in counts and lists.
    fn counted_as(&self) -> &str {
        if is_dataset(&self.dataset) { &self.dataset } else { INVALID_DATASET }
    }

    fn arrival(&self, test_event_code: Option<&str>) -> Arrival {
        Arrival {
            platform: NAME,
            dataset: Arc::from(self.counted_as()),
            received_ms: self.sandbox.now_ms(),
            source: Source::Server,
            test_event_code: test_event_code.map(Arc::from),
        }
    }

    fn meet(&self, body_read: bool, holds: &dyn Fn(&str, &str) -> bool) -> Option<Met> {
        let call = Call { platform: Platform::Meta, dataset: &self.dataset, body_read, holds };
        let met = self.sandbox.faults().meet(&call)?;
        self.sandbox.ledger().counts(NAME, self.counted_as()).faulted();
        Some(met)
    }

    async fn call(&self, request: Request<Body>) -> Bent {
        if let Some(met) = self.meet(false, &|_, _| false) {
            return misbehave::bend(&met.kind, StatusCode::OK.into_response()).await;
        }
        let (parts, body) = request.into_parts();
        let body = match self.read_body(&parts.headers, body).await {
            Ok(body) => body,
            Err(refusal) => {
                let answer = self.deny(*Denied::whole(refusal, 0), None, None);
                return Bent::plain(answer);
            }
        };
        let mut fields = Fields::beside_body(&parts);
        let data = fields.read_body(&parts, &body).await;
        let data = data.and_then(|()| fields.data());
        let read: Read<'_> = match &data {
            Ok(text) => text.as_deref().map(request::split).transpose(),
            Err(unreadable) => Err(unreadable.clone()),
        };
        let met = {
            let events = read.as_ref().ok().and_then(Option::as_deref).unwrap_or_default();
            self.meet(true, &|key, text| events.iter().any(|sent| sent.holds(key, text)))
        };
        match met {
            None => Bent::plain(self.take(&fields, read, &body, 0)),
            Some(met) => {
                let answer = self.faulty(&met, &fields, read, &body);
                misbehave::bend(&met.kind, answer).await
            }
        }
    }

    /// The answer under a fault, in Meta's words where it has words for it.
    fn faulty(&self, met: &Met, fields: &Fields<'_>, read: Read<'_>, body: &Bytes) -> Response {
        let missing = if let Kind::PartialCount(partial) = &met.kind { partial.missing } else { 0 };
        let events = read.as_ref().map_or(0, |events| events.as_ref().map_or(0, Vec::len));
        let ordinary = met.kind.carries_out().then(|| self.take(fields, read, body, missing));
        if let Some(answer) = misbehave::spelled_out(&met.kind) {
            return answer;
        }
        match Refusal::asked_for(&met.kind, &self.dataset, version::LATEST) {
            Some(refusal) if met.kind.wanted_text().is_some() => {
                let code = fields.test_event_code.as_deref();
                self.deny(*Denied::whole(refusal, events), code, Some(met.id.clone()))
            }
            Some(refusal) => refusal.traced(self.sandbox.next_trace_id()).into_response(),
            None => ordinary.unwrap_or_else(|| StatusCode::OK.into_response()),
        }
    }

    async fn read_body(&self, headers: &http::HeaderMap, body: Body) -> Result<Bytes, Refusal> {
        let max = self.sandbox.limits().body_bytes_max;
        body::receive(headers, body, max).await.map_err(|error| match error {
            ReadError::TooLarge => Refusal::too_large(max),
            ReadError::BrokenOff => Refusal::bad_parameter("the body broke off"),
            ReadError::Encoded => Refusal::unreadable_encoding(),
            ReadError::TooSlow => Refusal::body_too_slow(),
        })
    }

    /// Checks and records a call. The last `missing` events are lost on the way, without a word.
    fn take(&self, fields: &Fields<'_>, read: Read<'_>, body: &Bytes, missing: usize) -> Response {
        let arrival = self.arrival(fields.test_event_code.as_deref());
        let taken = self.check(&arrival, fields, read, body).and_then(|(mut entries, messages)| {
            entries.truncate(entries.len().saturating_sub(missing));
            let kept = entries.len();
            self.record(&arrival, entries)?;
            Ok((kept, messages))
        });
        match taken {
            Ok((kept, messages)) => answer::taken(kept, &messages, &self.sandbox.next_trace_id()),
            Err(denied) => self.deny(*denied, fields.test_event_code.as_deref(), None),
        }
    }

    fn check(
        &self,
        arrival: &Arrival,
        fields: &Fields<'_>,
        read: Read<'_>,
        body: &Bytes,
    ) -> Result<(Vec<Entry>, BTreeSet<String>), Box<Denied>> {
        let count = read.as_ref().map_or(0, |events| events.as_ref().map_or(0, Vec::len));
        self.may_call(fields).map_err(|refusal| Denied::whole(refusal, count))?;
        let token = fields.token.as_deref();
        let unreadable = |refusal| Denied::unreadable(refusal, 0, excerpt(body, token));
        let events = match read {
            Ok(Some(events)) => events,
            Ok(None) => return Err(unreadable(Refusal::no_data())),
            Err(trouble) => return Err(unreadable(Refusal::bad_parameter(&trouble.detail))),
        };
        let agent_fits = fields.partner_agent.as_deref().is_none_or(is_partner_agent);
        if !agent_fits {
            let must = "partner_agent must have less than 23 characters, 2 of them letters";
            return Err(Denied::whole(Refusal::bad_parameter(must), count));
        }
        let mut messages = BTreeSet::new();
        let mut entries = Vec::with_capacity(count);
        for (index, sent) in events.into_iter().enumerate() {
            let (entry, warnings) = self.check_event(arrival, index, sent).map_err(|mut denied| {
                denied.events = count;
                denied
            })?;
            entries.push(entry);
            messages.extend(warnings);
        }
        Ok((entries, messages))
    }

    fn check_event(
        &self,
        arrival: &Arrival,
        index: usize,
        sent: Sent<'_>,
    ) -> Result<(Entry, Vec<String>), Box<Denied>> {
        let event = sent.read().map_err(|trouble| {
            let refusal = Refusal::bad_parameter(&format!("Event {index}: {}", trouble.detail));
            let mut denied = Denied::unreadable(refusal, 0, excerpt(sent.text().as_bytes(), None));
            denied.index = Some(index);
            denied
        })?;
        let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
        match validate::event(&event, arrival.received_ms) {
            Ok(warnings) => {
                let entry = Entry {
                    keys: dedup::keys(&self.dataset, &event, arrival.source),
                    event_name: text("event_name").unwrap_or_default(),
                    event_id: text("event_id"),
                    event: sent.into_raw(),
                };
                Ok((entry, warnings))
            }
            Err(broken) => {
                let (event_name, event_id) = (text("event_name"), text("event_id"));
                Err(Box::new(Denied {
                    refusal: Refusal::broken(index, event_name.as_deref(), &broken),
                    index: Some(index),
                    event: Some(sent.into_raw()),
                    event_name,
                    event_id,
                    events: 0,
                    body: None,
                }))
            }
        }
    }

    /// Version, dataset and token.
    fn may_call(&self, fields: &Fields<'_>) -> Result<(), Refusal> {
        match self.version {
            Version::Live(_) | Version::MovedUp { .. } => {}
            Version::Ended => return Err(Refusal::version_ended(version::LATEST)),
            Version::Unknown => return Err(Refusal::unknown_path(&self.path)),
        }
        match fields.token.as_deref() {
            None => return Err(Refusal::no_token()),
            Some(token) if token.to_ascii_lowercase().starts_with("expired") => {
                return Err(Refusal::expired_token());
            }
            Some(_) => {}
        }
        if is_dataset(&self.dataset) { Ok(()) } else { Err(Refusal::no_object("post", &self.dataset)) }
    }

    fn record(&self, arrival: &Arrival, entries: Vec<Entry>) -> Result<(), Box<Denied>> {
        let mut ledger = self.sandbox.ledger();
        if !ledger.has_room_for(&entries, arrival.received_ms) {
            return Err(Denied::whole(Refusal::full(), entries.len()));
        }
        ledger.record(arrival, entries);
        Ok(())
    }

    /// Lists a refused call and answers it.
    fn deny(&self, denied: Denied, test_event_code: Option<&str>, fault: Option<String>) -> Response {
        let refusal = denied.refusal.traced(self.sandbox.next_trace_id());
        let arrival = self.arrival(test_event_code);
        self.sandbox.ledger().refuse(Refused {
            head: arrival.head(denied.event_name.as_deref(), denied.event_id.as_deref()),
            index: denied.index,
            events: denied.events as u64,
            event: denied.event,
            body: denied.body,
            reason: refusal.reason(),
            status: refusal.status,
            error: refusal.to_raw(),
            fault,
        });
        refusal.into_response()
    }
}

fn is_partner_agent(text: &str) -> bool {
    text.chars().count() < 23 && text.chars().filter(|letter| letter.is_alphabetic()).count() >= 2
}

/// The beginning of a body without its token.
fn excerpt(body: &[u8], token: Option<&str>) -> String {
    let mut text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT_BYTES)]).into_owned();
    if let Some(token) = token {
        text = text.replace(token, "[token]");
    }
    let is_token =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '|' | '%');
    let mut masked = String::with_capacity(text.len());
    for (index, piece) in text.split("access_token").enumerate() {
        if index == 0 {
            masked.push_str(piece);
            continue;
        }
        let quotes = piece.len() - piece.trim_start_matches(|letter| !is_token(letter)).len();
        let (before, rest) = piece.split_at(quotes);
        masked.push_str("access_token");
        masked.push_str(before);
        masked.push_str("[token]");
        masked.push_str(rest.trim_start_matches(is_token));
    }
    masked
}
