//! The browser's side: an image request whose query is the event. Always answered with the image, as the real one does;
//! what was wrong stands in the list of refused calls.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode, header};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::dedup;
use super::request::is_dataset;
use crate::body;
use crate::ledger::{Arrival, Entry, Refused, Source};
use crate::misbehave;
use crate::platform::Platform;
use crate::state::Sandbox;

/// Browsers send a query or a form; neither is long.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// One transparent point.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// `GET` or `POST /tr`
pub(crate) async fn hit(State(sandbox): State<Sandbox>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let form = body::read(body, FORM_BYTES_MAX).await.unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let pairs = form_urlencoded::parse(query).chain(form_urlencoded::parse(&form));
    let mut view = View::default();
    for (key, value) in pairs {
        view.put(&key, &value);
    }
    record(&sandbox, view, &parts.headers);

    let mut response = (StatusCode::OK, GIF).into_response();
    misbehave::set(&mut response, header::CONTENT_TYPE, "image/gif");
    misbehave::set(&mut response, header::CACHE_CONTROL, "no-cache, no-store");
    response
}

/// What the browser said.
#[derive(Default)]
struct View {
    dataset: String,
    event: Map<String, Value>,
    user: Map<String, Value>,
    custom: Map<String, Value>,
    time_ms: Option<i64>,
}

impl View {
    fn put(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let inner = |prefix: &str| key.strip_prefix(prefix)?.strip_suffix(']');
        match key {
            "id" => value.clone_into(&mut self.dataset),
            "ev" => _ = self.event.insert("event_name".to_owned(), value.into()),
            "eid" => _ = self.event.insert("event_id".to_owned(), value.into()),
            "dl" => _ = self.event.insert("event_source_url".to_owned(), value.into()),
            "rl" => _ = self.event.insert("referrer_url".to_owned(), value.into()),
            "ts" => self.time_ms = value.parse().ok(),
            "fbp" | "fbc" => _ = self.user.insert(key.to_owned(), value.into()),
            _ => {
                if let Some(name) = inner("cd[") {
                    self.custom.insert(name.to_owned(), value.into());
                } else if let Some(name) = inner("ud[") {
                    self.user.insert(name.to_owned(), value.into());
                }
            }
        }
    }
}

fn record(sandbox: &Sandbox, view: View, headers: &HeaderMap) {
    let now_ms = sandbox.now_ms();
    let platform = Platform::Meta.name();
    let known = is_dataset(&view.dataset);
    let arrival = Arrival {
        platform,
        dataset: Arc::from(if known { view.dataset.as_str() } else { "(invalid)" }),
        received_ms: now_ms,
        source: Source::Browser,
        test_event_code: None,
    };
    let named = view.event.contains_key("event_name");
    let event = as_event(view, headers, now_ms);
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let mut ledger = sandbox.ledger();
    ledger.counts(platform, &arrival.dataset).browser_hit();
    let entry = Entry {
        keys: dedup::keys(&arrival.dataset, &event, Source::Browser),
        event_name: text("event_name").unwrap_or_default().to_owned(),
        event_id: text("event_id").map(str::to_owned),
        event: to_raw_value(&event).expect("a map of strings always serializes"),
    };
    let reason = if !known {
        "id must name a dataset"
    } else if !named {
        "ev must name the event"
    } else if !ledger.has_room_for(std::slice::from_ref(&entry), now_ms) {
        "the sandbox is full: DELETE /_sandbox"
    } else {
        return ledger.record(&arrival, vec![entry]);
    };
    let error = to_raw_value(&json!({ "message": reason })).expect("a string always serializes");
    ledger.refuse(Refused {
        head: arrival.head(Some(&entry.event_name), entry.event_id.as_deref()),
        index: None,
        events: 1,
        event: Some(entry.event),
        body: None,
        reason: reason.to_owned(),
        status: 200,
        error,
        fault: None,
    });
}

/// The hit in the words of a server event, so that both sides can be compared.
fn as_event(view: View, headers: &HeaderMap, now_ms: i64) -> Map<String, Value> {
    let mut map = view.event;
    map.insert("event_time".to_owned(), view.time_ms.unwrap_or(now_ms).div_euclid(1000).into());
    map.insert("action_source".to_owned(), "website".into());
    let mut user = view.user;
    if let Some(agent) = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        user.insert("client_user_agent".to_owned(), agent.into());
    }
    map.insert("user_data".to_owned(), Value::Object(user));
    if !view.custom.is_empty() {
        map.insert("custom_data".to_owned(), Value::Object(view.custom));
    }
    map
}
