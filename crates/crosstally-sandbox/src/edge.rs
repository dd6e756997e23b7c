//! What the events edges of all JSON platforms but Meta have in common: read the body, meet a fault, check the token,
//! check each event, record, answer. What is right, and in which words, a platform's [`Edge`] says.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode, Uri, header};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::body::{self, ReadError};
use crate::faults::{Call, Kind, Met};
use crate::json::Checked;
use crate::ledger::{Arrival, Entry, Key, Refused, Source, join};
use crate::misbehave::{self, Bent};
use crate::platform::Platform;
use crate::state::Sandbox;

const HOUR_MS: i64 = 60 * 60 * 1000;
const INVALID_DATASET: &str = "(invalid)";
const DATASET_BYTES_MAX: usize = 64;

/// Where a platform wants its token.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    /// `Authorization: Bearer`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
    /// A parameter of the query.
    Query(&'static str),
    /// No token: [`Edge::check_call`] knows who may call.
    Own,
}

/// Why a call was not taken, to be said in a platform's words.
pub(crate) enum Trouble {
    /// No token, or one that is no longer good.
    Token,
    /// The token may not do this.
    Permission,
    /// Too many calls.
    Throttled,
    /// Not the sender's fault.
    Server(u16),
    /// The body or the envelope is not as it should be.
    Bad(String),
    /// There is no such dataset, path or version.
    Nowhere,
    /// A status that a fault asks for, with a code of the platform's own.
    Asked(u16, Option<i64>),
}

/// A status and a body.
pub(crate) struct Said(pub(crate) u16, pub(crate) Value);

/// What each event of a batch came to.
pub(crate) type Verdicts = Vec<Checked>;

/// When an event came first, in milliseconds: asked by its platform, name and id.
pub(crate) type Known<'a> = &'a dyn Fn(Platform, &str, &str) -> Option<i64>;

/// One platform's events edge.
pub(crate) trait Edge: Sync {
    fn platform(&self) -> Platform;
    fn token(&self) -> Token;
    /// Checks headers and signatures of a call.
    fn check_call(&self, _parts: &Parts, _body: &[u8], _now_ms: i64) -> Result<(), Trouble> {
        Ok(())
    }
    /// The keys on the way to the list of events; none if the body is one event.
    fn list(&self) -> &'static [&'static str];
    fn events_max(&self) -> usize;
    /// The dataset that a call is about.
    fn dataset(&self, uri: &Uri, main: Option<&Map<String, Value>>) -> Option<String>;
    /// The flag beside the events by which a call asks to be validated only, where there is one.
    fn validation_flag(&self) -> Option<&'static str> {
        None
    }
    /// The code under which a call is a test, if it is one.
    fn test_code(&self, _uri: &Uri, main: &Map<String, Value>) -> Option<String> {
        let flag = self.validation_flag()?;
        (main.get(flag) == Some(&Value::Bool(true))).then(|| flag.to_owned())
    }
    /// Whether a test is only validated.
    fn tests_are_forgotten(&self) -> bool {
        self.validation_flag().is_some()
    }
    /// Checks what stands around the events.
    fn check_main(&self, main: &Map<String, Value>) -> Checked;
    /// An event's name and id.
    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>);
    /// Checks one event.
    fn check(&self, event: &Map<String, Value>, main: &Map<String, Value>, now_ms: i64) -> Checked;
    /// Checks one event against what has come before. `knows` tells when an event of this edge's or another one's dataset came
    /// first, by its platform, name and id.
    fn check_against(&self, _event: &Map<String, Value>, _knows: Known<'_>, _now_ms: i64) -> Checked {
        Ok(())
    }
    /// Whether an event is recognised again by its id.
    fn is_recognised(&self, _event: &Map<String, Value>) -> bool {
        true
    }
    /// Whether one bad event refuses all.
    fn all_or_nothing(&self, main: &Map<String, Value>) -> bool;
    /// How long an event is recognised again.
    fn window_ms(&self) -> i64 {
        48 * HOUR_MS
    }
    /// The answer to a call of which at least something was read.
    fn taken(&self, verdicts: &Verdicts, main: &Map<String, Value>, trace: &str) -> Said;
    /// The answer to a call that was not taken.
    fn trouble(&self, trouble: &Trouble, trace: &str) -> Said;
}

/// Plays one call of an edge.
pub(crate) async fn play(
    edge: &'static dyn Edge,
    State(sandbox): State<Sandbox>,
    request: Request<Body>,
) -> Response {
    let mut play = Play { edge, sandbox, dataset: String::new() };
    let (parts, body) = request.into_parts();
    play.dataset = play.named(&parts.uri, None);
    if let Some(met) = play.meet(false, &[]) {
        play.count(|counts| counts.request());
        return play.sent(misbehave::bend(&met.kind, StatusCode::OK.into_response()).await).await;
    }
    let max = play.sandbox.limits().body_bytes_max;
    let bent = match body::receive(&parts.headers, body, max).await {
        Ok(bytes) => play.read(&parts, &bytes).await,
        Err(error) => {
            play.count(|counts| counts.request());
            Bent::plain(play.unread(error))
        }
    };
    play.sent(bent).await
}

struct Play {
    edge: &'static dyn Edge,
    sandbox: Sandbox,
    dataset: String,
}

/// A body, taken apart: what stands around the events, and the events byte for byte.
struct Batch<'a> {
    main: Map<String, Value>,
    events: Vec<Sent<'a>>,
}

struct Sent<'a> {
    raw: &'a RawValue,
    event: Map<String, Value>,
}

impl Play {
    fn name(&self) -> &'static str {
        self.edge.platform().name()
    }

    fn named(&self, uri: &Uri, main: Option<&Map<String, Value>>) -> String {
        let fits = |name: &String| {
            (1..=DATASET_BYTES_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        self.edge.dataset(uri, main).filter(fits).unwrap_or_else(|| INVALID_DATASET.to_owned())
    }

    fn count(&self, change: impl FnOnce(&mut crate::ledger::Counts)) {
        change(self.sandbox.ledger().counts(self.name(), &self.dataset));
    }

    async fn sent(&self, bent: Bent) -> Response {
        self.count(|counts| counts.answered(bent.status()));
        bent.sent().await
    }

    fn meet(&self, body_read: bool, events: &[Sent<'_>]) -> Option<Met> {
        let holds = |key: &str, text: &str| events.iter().any(|sent| self.holds(sent, key, text));
        let call = Call { platform: self.edge.platform(), dataset: &self.dataset, body_read, holds: &holds };
        let met = self.sandbox.faults().meet(&call)?;
        self.count(|counts| counts.faulted());
        Some(met)
    }

    fn holds(&self, sent: &Sent<'_>, key: &str, text: &str) -> bool {
        let (name, id) = self.edge.names(&sent.event);
        if key == "event_id" { id == Some(text) } else { name == Some(text) }
    }

    async fn read(&mut self, parts: &Parts, body: &Bytes) -> Bent {
        let batch = take_apart(body, self.edge.list(), self.edge.events_max());
        let main = batch.as_ref().ok().map(|batch| &batch.main);
        self.dataset = self.named(&parts.uri, main);
        self.count(|counts| counts.request());
        let events = batch.as_ref().map(|batch| batch.events.as_slice()).unwrap_or_default();
        let call = (parts, body.as_ref());
        let Some(met) = self.meet(true, events) else {
            return Bent::plain(self.take(call, batch, None));
        };
        let refuses_events = met.kind.wanted_text().is_some() || matches!(met.kind, Kind::PartialCount(_));
        let ordinary = (met.kind.carries_out() || refuses_events).then(|| self.take(call, batch, Some(&met)));
        let answer = misbehave::spelled_out(&met.kind)
            .or_else(|| self.asked_for(&met.kind))
            .or(ordinary)
            .unwrap_or_else(|| StatusCode::OK.into_response());
        misbehave::bend(&met.kind, answer).await
    }

    /// A fault in the platform's words, where it has words for it.
    fn asked_for(&self, kind: &Kind) -> Option<Response> {
        let (trouble, retry_after) = match kind {
            Kind::Status(fault) => (Trouble::Asked(fault.status, fault.code), fault.retry_after),
            Kind::Throttle(fault) => (Trouble::Throttled, fault.retry_after),
            Kind::ServerError(fault) => (Trouble::Server(fault.status), None),
            Kind::ExpiredToken => (Trouble::Token, None),
            Kind::Permission => (Trouble::Permission, None),
            Kind::WrongVersion => (Trouble::Nowhere, None),
            _ => return None,
        };
        let mut response = self.say(&self.edge.trouble(&trouble, &self.sandbox.next_trace_id()));
        if let Some(seconds) = retry_after {
            misbehave::set(&mut response, header::RETRY_AFTER, &seconds.to_string());
        }
        Some(response)
    }

    fn unread(&self, error: ReadError) -> Response {
        let what = match error {
            ReadError::TooLarge => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            ReadError::BrokenOff => "the body broke off",
            ReadError::Encoded => return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
            ReadError::TooSlow => return StatusCode::REQUEST_TIMEOUT.into_response(),
        };
        self.deny(&Trouble::Bad(what.to_owned()), 0)
    }

    /// Checks and records a call, and answers it.
    fn take(&self, (parts, body): (&Parts, &[u8]), batch: Checked<Batch<'_>>, met: Option<&Met>) -> Response {
        let count = batch.as_ref().map_or(0, |batch| batch.events.len());
        if !self.token_is_good(parts) {
            return self.deny(&Trouble::Token, count);
        }
        if self.dataset == INVALID_DATASET {
            return self.deny(&Trouble::Nowhere, count);
        }
        if let Err(trouble) = self.edge.check_call(parts, body, self.sandbox.now_ms()) {
            return self.deny(&trouble, count);
        }
        let batch = batch.and_then(|batch| self.edge.check_main(&batch.main).map(|()| batch));
        let batch = match batch {
            Ok(batch) => batch,
            Err(detail) => return self.deny(&Trouble::Bad(detail), count),
        };
        let test = self.edge.test_code(&parts.uri, &batch.main);
        let arrival = Arrival {
            platform: self.name(),
            dataset: Arc::from(self.dataset.as_str()),
            received_ms: self.sandbox.now_ms(),
            source: Source::Server,
            test_event_code: test.as_deref().map(Arc::from),
        };
        let verdicts = self.verdicts(&batch, &arrival, met);
        let said = self.edge.taken(&verdicts, &batch.main, &self.sandbox.next_trace_id());
        let forgotten = test.is_some() && self.edge.tests_are_forgotten();
        if !forgotten && !self.record(&arrival, batch, &verdicts, &said, met) {
            return self.deny(&Trouble::Server(503), count);
        }
        self.say(&said)
    }

    fn verdicts(&self, batch: &Batch<'_>, arrival: &Arrival, met: Option<&Met>) -> Verdicts {
        let missing = match met.map(|met| &met.kind) {
            Some(Kind::PartialCount(partial)) => partial.missing,
            _ => 0,
        };
        let kept = batch.events.len().saturating_sub(missing);
        let wanted = met.and_then(|met| met.kind.wanted_text());
        let verdict = |(index, sent): (usize, &Sent<'_>)| {
            if index >= kept || wanted.is_some_and(|(key, text)| self.holds(sent, key, text)) {
                return Err("refused by a fault".to_owned());
            }
            self.edge.check(&sent.event, &batch.main, arrival.received_ms)?;
            let knows = |platform: Platform, name: &str, id: &str| {
                let key = join(&[platform.name(), &self.dataset, name, id]);
                self.sandbox.ledger().came_first(&key, arrival.received_ms)
            };
            self.edge.check_against(&sent.event, &knows, arrival.received_ms)
        };
        batch.events.iter().enumerate().map(verdict).collect()
    }

    /// Records what is right and lists what is not; false if there is no room for it.
    fn record(
        &self,
        arrival: &Arrival,
        batch: Batch<'_>,
        verdicts: &Verdicts,
        said: &Said,
        met: Option<&Met>,
    ) -> bool {
        let count = batch.events.len() as u64;
        let whole = self.edge.all_or_nothing(&batch.main);
        let refuses = whole && verdicts.iter().any(Result::is_err);
        let mut entries = Vec::with_capacity(batch.events.len());
        let mut refused = Vec::new();
        for (index, (sent, verdict)) in batch.events.into_iter().zip(verdicts).enumerate() {
            let (name, id) = self.edge.names(&sent.event);
            match verdict {
                Ok(()) if !refuses => entries.push(Entry {
                    keys: self.keys(name, id.filter(|_| self.edge.is_recognised(&sent.event))),
                    event_name: name.unwrap_or_default().to_owned(),
                    event_id: id.map(str::to_owned),
                    event: sent.raw.to_owned(),
                }),
                Ok(()) => {}
                Err(_) if whole && !refused.is_empty() => {}
                Err(reason) => refused.push(Refused {
                    head: arrival.head(name, id),
                    index: Some(index),
                    events: if whole { count } else { 1 },
                    event: Some(sent.raw.to_owned()),
                    body: None,
                    reason: reason.clone(),
                    status: said.0,
                    error: to_raw_value(&said.1).expect("JSON always serializes"),
                    fault: met.map(|met| met.id.clone()),
                }),
            }
        }
        let mut ledger = self.sandbox.ledger();
        if !ledger.has_room_for(&entries, arrival.received_ms) {
            return false;
        }
        ledger.record(arrival, entries);
        refused.into_iter().for_each(|row| ledger.refuse(row));
        true
    }

    fn keys(&self, name: Option<&str>, id: Option<&str>) -> Vec<Key> {
        let Some(id) = id else { return Vec::new() };
        let parts = [self.name(), &self.dataset, name.unwrap_or_default(), id];
        vec![Key::new("event_id", join(&parts), self.edge.window_ms())]
    }

    fn token_is_good(&self, parts: &Parts) -> bool {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let token = match self.edge.token() {
            Token::Bearer => {
                header("authorization").and_then(|text| text.strip_prefix("Bearer ")).map(Cow::from)
            }
            Token::Header(name) => header(name).map(Cow::from),
            Token::Query(name) => query(&parts.uri, name),
            Token::Own => return true,
        };
        token.is_some_and(|token| !token.is_empty() && !token.to_ascii_lowercase().starts_with("expired"))
    }

    /// Lists a call that was refused as a whole, and answers it.
    fn deny(&self, trouble: &Trouble, events: usize) -> Response {
        let said = self.edge.trouble(trouble, &self.sandbox.next_trace_id());
        let arrival = Arrival {
            platform: self.name(),
            dataset: Arc::from(self.dataset.as_str()),
            received_ms: self.sandbox.now_ms(),
            source: Source::Server,
            test_event_code: None,
        };
        let reason = match trouble {
            Trouble::Token => "the token is missing or no longer good".to_owned(),
            Trouble::Nowhere => "there is no such place".to_owned(),
            Trouble::Bad(detail) => detail.clone(),
            _ => "the sandbox is full; DELETE /_sandbox clears it".to_owned(),
        };
        self.sandbox.ledger().refuse(Refused {
            head: arrival.head(None, None),
            index: None,
            events: events as u64,
            event: None,
            body: None,
            reason,
            status: said.0,
            error: to_raw_value(&said.1).expect("JSON always serializes"),
            fault: None,
        });
        self.say(&said)
    }

    fn say(&self, Said(status, body): &Said) -> Response {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = (misbehave::status(*status), body).into_response();
        misbehave::set(&mut response, header::CONTENT_TYPE, "application/json");
        response
    }
}

/// The first parameter of this name.
pub(crate) fn query<'u>(uri: &'u Uri, name: &str) -> Option<Cow<'u, str>> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

/// One segment of the path, counted from 0.
pub(crate) fn segment(uri: &Uri, at: usize) -> Option<String> {
    uri.path().split('/').nth(at + 1).map(str::to_owned)
}

/// A text of the envelope.
pub(crate) fn main_text(main: &Map<String, Value>, key: &str) -> Option<String> {
    main.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn take_apart<'a>(body: &'a [u8], list: &[&str], events_max: usize) -> Checked<Batch<'a>> {
    let mut main = Map::new();
    let mut rest: &RawValue = serde_json::from_slice(body).map_err(|error| {
        format!("the body is not JSON (line {}, column {})", error.line(), error.column())
    })?;
    for key in list {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(rest.get()).map_err(|_| format!("what holds {key} must be an object"))?;
        rest = fields.get(*key).copied().ok_or_else(|| format!("{key} is required"))?;
        for (name, raw) in fields.into_iter().filter(|(name, _)| name != key) {
            main.insert(name, serde_json::from_str(raw.get()).unwrap_or_default());
        }
    }
    let items: Vec<&RawValue> = if list.is_empty() {
        vec![rest]
    } else {
        serde_json::from_str(rest.get()).map_err(|_| "the events must be a list".to_owned())?
    };
    if items.is_empty() || items.len() > events_max {
        return Err(format!("the list must hold 1 to {events_max} events"));
    }
    let sent = |raw: &'a RawValue| {
        let event = serde_json::from_str(raw.get()).map_err(|_| "an event must be an object".to_owned())?;
        Ok(Sent { raw, event })
    };
    let events = items.into_iter().map(sent).collect::<Checked<Vec<_>>>()?;
    Ok(Batch { main, events })
}
