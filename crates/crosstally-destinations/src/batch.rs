//! Gathering events into one request under a destination's limits.

use crosstally_core::event::OutboundEvent;
use crosstally_core::secret::Secret;

use crate::dialect::{Built, LeftOut, Request, Settings};
use crate::refused::Refused;

/// Bytes of one event that are sent. Nothing honest has a tenth of it.
pub(crate) const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the events in one request where the platform publishes no bound; a thousand rich events have about two
/// million.
pub(crate) const EVENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one request may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Events.
    pub(crate) events: usize,
    /// Bytes of all events.
    pub(crate) bytes: usize,
}

/// Builds a request from as many events as fit. `payload` writes one event as JSON or says why it is left out;
/// `request` puts the payloads, which have the given bytes with their separators, into a request.
pub(crate) fn gather(
    events: &[OutboundEvent],
    limits: Limits,
    mut payload: impl FnMut(&OutboundEvent) -> Result<Vec<u8>, Refused>,
    request: impl FnOnce(&[String], usize) -> Request,
) -> Built {
    let mut built = Built { request: None, included: Vec::new(), payloads: Vec::new(), left_out: Vec::new() };
    let mut bytes = 0;
    for (index, event) in events.iter().enumerate() {
        if built.included.len() == limits.events {
            break;
        }
        match payload(event).and_then(sized) {
            // The first goes in any case, so that no event can block those behind it.
            Ok(payload) if !built.included.is_empty() && bytes + payload.len() > limits.bytes => break,
            Ok(payload) => {
                bytes += payload.len() + 1;
                built.included.push(index);
                built.payloads.push(payload);
            }
            Err(refused) => {
                built.left_out.push(LeftOut { index, reason: refused.reason, detail: refused.detail });
            }
        }
    }
    if !built.included.is_empty() {
        built.request = Some(request(&built.payloads, bytes));
    }
    built
}

fn sized(payload: Vec<u8>) -> Result<String, Refused> {
    if payload.len() > EVENT_BYTES_MAX {
        let detail = format!("the event has {} bytes; at most {EVENT_BYTES_MAX} are sent", payload.len());
        return Err(Refused::incomplete(detail));
    }
    Ok(String::from_utf8(payload).expect("JSON is written in UTF-8"))
}

/// A POST of JSON whose token, the setting `access_token`, goes as a bearer's.
pub(crate) fn bearer_post(settings: &Settings, url: String, body: Vec<u8>) -> Request {
    let token = settings.secret("access_token");
    let header = token.map(|token| ("authorization", format!("Bearer {}", token.expose())));
    json_post(url, header, body, token.cloned().into_iter().collect())
}

/// A GET whose token, the setting `access_token`, goes as a bearer's.
pub(crate) fn bearer_get(settings: &Settings, url: String) -> Request {
    let post = bearer_post(settings, url, Vec::new());
    let headers = post.headers.into_iter().filter(|(name, _)| name != "content-type").collect();
    Request { method: "GET", headers, ..post }
}

/// A POST of JSON. `headers` are those beyond the type; secrets in them or in the URL must stand in `secrets`.
pub(crate) fn json_post(
    url: String,
    headers: impl IntoIterator<Item = (&'static str, String)>,
    body: Vec<u8>,
    secrets: Vec<Secret>,
) -> Request {
    let mut all = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    all.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Request { method: "POST", url: url.into(), headers: all, body_shown: body.clone(), body, secrets }
}
