//! What Pinterest's answers mean: a row for each event, in order, or a code.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{
    by_status, is_redirect, is_success, object, only_checked, pause, redirected, retry_after_ms, shown,
    throttled,
};
use crate::dialect::{BatchOutcome, Reading, Response, Settings};

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let asked = retry_after_ms(response, now);
    let Some(body) = object(response) else { return by_status(settings, response, asked, None) };
    // Where not all were processed, 422, the same rows stand under `details`.
    let rows = body.get("details").and_then(Value::as_object).unwrap_or(&body).get("events");
    let is_verdict = is_success(response.status) || response.status == 422;
    if let Some(rows) = rows.and_then(Value::as_array).filter(|rows| is_verdict && rows.len() == sent) {
        return only_checked(each(settings, response.status, rows), settings.flag("test"));
    }
    let detail = words(&body);
    let shown = || shown(settings, &format!("{}: {detail}", response.status));
    match body.get("code").and_then(Value::as_i64) {
        Some(2) => pause(Reason::DestAuth, shown()),
        Some(29) => pause(Reason::DestPermission, shown()),
        Some(8) => throttled(asked, shown()),
        Some(4197) => {
            let again = Outcome::Retry { reason: Reason::DestServerError, after_ms: asked };
            Reading::whole(again, shown()).slow_down(asked)
        }
        _ => by_status(settings, response, asked, Some(&detail)),
    }
}

fn each(settings: &Settings, status: u16, rows: &[Value]) -> Reading {
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut failures = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match row.get("status").and_then(Value::as_str) {
            Some("processed") => outcomes.push(Outcome::Delivered),
            Some("failed") => {
                let error = row.get("error_message").and_then(Value::as_str).unwrap_or("no message");
                failures.push(format!("event {index}: {error}"));
                outcomes.push(Outcome::Refused { reason: Reason::DestRejected });
            }
            _ => outcomes.push(Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None }),
        }
    }
    let processed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Delivered)).count();
    let mut detail = format!("{status}: processed {processed} of {}", rows.len());
    for failure in failures {
        detail.push_str("; ");
        detail.push_str(&failure);
    }
    let detail = shown(settings, &detail);
    if processed == rows.len() {
        return Reading::whole(Outcome::Delivered, detail);
    }
    Reading { outcome: BatchOutcome::Each(outcomes), detail, slow_down_ms: None }
}

fn words(body: &Map<String, Value>) -> String {
    let message = body.get("message").and_then(Value::as_str).unwrap_or("no message");
    match body.get("code") {
        Some(code) => format!("code {code}: {message}"),
        None => message.to_owned(),
    }
}
