//! What Snapchat's answers mean: the status, and `VALID` or `INVALID`.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{by_status, is_redirect, is_success, object, redirected, retry_after_ms, shown};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let asked = retry_after_ms(response, now);
    let body = object(response);
    let words = body.as_ref().map(words);
    let status = body.as_ref().and_then(|body| body.get("status")).and_then(Value::as_str);
    if is_success(response.status) {
        let detail = shown(settings, &format!("{}: {}", response.status, words.clone().unwrap_or_default()));
        match status {
            Some("VALID") => return Reading::whole(Outcome::Delivered, detail),
            // The errors are a list without places; the batch is halved until the one event is found.
            Some("INVALID") => {
                return Reading::whole(Outcome::Split { reason: Reason::DestRejected }, detail);
            }
            _ => {}
        }
    }
    by_status(settings, response, asked, words.as_deref())
}

fn words(body: &Map<String, Value>) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let mut words = text("status").unwrap_or("no status").to_owned();
    if let Some(reason) = text("reason") {
        words = format!("{words}: {reason}");
    }
    match body.get("errors") {
        None | Some(Value::Null) => words,
        Some(errors) => format!("{words}; {errors}"),
    }
}
