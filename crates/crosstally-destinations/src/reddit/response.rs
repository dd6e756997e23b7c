//! What Reddit's answers mean: the status alone. One bad event refuses its batch.

use crosstally_core::delivery::Outcome;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{by_status, is_redirect, is_success, object, redirected, retry_after_ms, shown};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let words = object(response).as_ref().map(words);
    match &words {
        Some(words) if is_success(response.status) => {
            Reading::whole(Outcome::Delivered, shown(settings, &format!("{}: {words}", response.status)))
        }
        _ => by_status(settings, response, retry_after_ms(response, now), words.as_deref()),
    }
}

/// The message, or the whole answer: which events are invalid stands in places that differ.
fn words(body: &Map<String, Value>) -> String {
    let message = body.get("data").and_then(|data| data.get("message")).and_then(Value::as_str);
    message.map_or_else(|| Value::Object(body.clone()).to_string(), str::to_owned)
}
