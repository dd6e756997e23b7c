//! What Google's answers mean. Decided by the status and the places that an answer names, never by its words.

use std::collections::BTreeSet;

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{SECOND_MS, Timestamp};
use serde_json::{Map, Value};

use super::config;
use crate::answer::{
    WAIT_MAX_MS, by_status, excerpt, is_redirect, is_success, object, pause, redirected, refused_at, retry,
    retry_after_ms, shown,
};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let json = object(response);
    let error = json.as_ref().and_then(|json| json.get("error")?.as_object());
    match (&json, error) {
        (_, Some(error)) => refused(settings, response, error, sent, now),
        (Some(json), None) if is_success(response.status) => taken(settings, json),
        (None, None) if is_success(response.status) => {
            let detail = shown(settings, &format!("no requestId: {}", excerpt(settings, response)));
            Reading::whole(retry(Reason::DestUnreadable, None), detail)
        }
        _ => by_status(settings, response, retry_after_ms(response, now), None),
    }
}

fn taken(settings: &Settings, json: &Map<String, Value>) -> Reading {
    if config::validates_only(settings) {
        return Reading::whole(Outcome::Unverified, "valid; only checked, not counted (validate_only)");
    }
    let Some(id) = json.get("requestId").and_then(Value::as_str).filter(|id| !id.is_empty()) else {
        return Reading::whole(retry(Reason::DestUnreadable, None), "the answer has no requestId");
    };
    let warnings = json.get("fieldWarnings").and_then(Value::as_array).map_or(0, Vec::len);
    let warned = if warnings > 0 { format!("; {warnings} warnings") } else { String::new() };
    Reading::whole(Outcome::Unverified, shown(settings, &format!("requestId {id}{warned}")))
}

fn refused(
    settings: &Settings,
    response: &Response,
    error: &Map<String, Value>,
    sent: usize,
    now: Timestamp,
) -> Reading {
    let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let violations: Vec<(&str, &str)> = violations(details).collect();
    let said = violations.first().map(|(field, words)| format!("; {field}: {words}")).unwrap_or_default();
    let said = format!("{}: {}{said}", word("status"), word("message"));
    let asked = retry_after_ms(response, now).or_else(|| retry_delay_ms(details));
    match (response.status, word("status")) {
        (400, "FAILED_PRECONDITION") => pause(Reason::DestMisconfigured, shown(settings, &said)),
        (400, _) => invalid(&violations, sent, shown(settings, &said)),
        _ => by_status(settings, response, asked, Some(&said)),
    }
}

/// Nothing of the request was taken: the settings are wrong, or the events at the places named.
fn invalid(violations: &[(&str, &str)], sent: usize, detail: String) -> Reading {
    let places: Option<BTreeSet<usize>> = violations.iter().map(|(field, _)| place(field)).collect();
    match places {
        Some(wrong) => refused_at(&wrong, sent, detail),
        None => pause(Reason::DestMisconfigured, detail),
    }
}

/// What is wrong where.
fn violations(details: &[Value]) -> impl Iterator<Item = (&str, &str)> {
    let lists = details.iter().filter_map(|detail| detail.get("fieldViolations")?.as_array());
    lists.flatten().map(|violation| {
        let text = |key: &str| violation.get(key).and_then(Value::as_str).unwrap_or_default();
        (text("field"), text("description"))
    })
}

/// `events[3].conversion_value`, also behind other names: 3.
fn place(field: &str) -> Option<usize> {
    let (_, rest) = field.split_once("events[")?;
    rest.split_once(']')?.0.parse().ok()
}

/// `"retryDelay": "30s"`.
pub(super) fn retry_delay_ms(details: &[Value]) -> Option<i64> {
    let text = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    let seconds = text.strip_suffix('s')?.split('.').next()?.parse::<i64>().ok()?;
    Some(seconds.saturating_mul(SECOND_MS).clamp(0, WAIT_MAX_MS))
}
