//! What Microsoft's answers mean: how many events it received, and which were wrong, by their places.

use std::collections::BTreeMap;

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{
    by_status, is_redirect, is_success, object, pause, redirected, retry, retry_after_ms, shown,
};
use crate::dialect::{BatchOutcome, Reading, Response, Settings};

/// What stands beside the events in every call.
const OF_EVERY_CALL: [&str; 2] = ["dataProvider", "continueOnValidationError"];
/// More than anybody is shown.
const WORDS_BYTES_ENOUGH: usize = 4 * 1024;

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let asked = retry_after_ms(response, now);
    let Some(body) = object(response) else { return by_status(settings, response, asked, None) };
    let received = body.get("eventsReceived").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let wrong = wrong(&body);
    let words = words(&body, received);
    let detail = || shown(settings, &format!("{}: {words}", response.status));
    let bad_data = is_success(response.status) || response.status == 400;
    match received {
        // It speaks of no event: all wait until somebody has looked, and one at a time tries whether that was so.
        _ if is_success(response.status) && wrong.is_empty() && is_refusal(&body) => {
            pause(Reason::DestMisconfigured, detail())
        }
        // What is the same in every call is wrong: no event is to blame.
        _ if response.status == 400 && is_of_every_call(&body) => pause(Reason::DestMisconfigured, detail()),
        Some(received) if is_success(response.status) && received == sent && wrong.is_empty() => {
            Reading::whole(Outcome::Delivered, detail())
        }
        // The rest was taken, if the counts agree; otherwise nobody knows what was.
        Some(received)
            if bad_data && !wrong.is_empty() && names_all(&body) && is_consistent(received, sent, &wrong) =>
        {
            let outcome = |index| {
                let refused = wrong.contains_key(&index);
                if refused { Outcome::Refused { reason: Reason::DestRejected } } else { Outcome::Delivered }
            };
            let outcome = BatchOutcome::Each((0..sent).map(outcome).collect());
            Reading { outcome, detail: detail(), slow_down_ms: None }
        }
        _ if is_success(response.status) && !wrong.is_empty() => {
            Reading::whole(Outcome::Split { reason: Reason::DestRejected }, detail())
        }
        Some(received) if is_success(response.status) && received < sent => {
            Reading::whole(retry(Reason::DestPartial, asked), detail())
        }
        _ => by_status(settings, response, asked, Some(&words)),
    }
}

fn is_consistent(received: usize, sent: usize, wrong: &BTreeMap<usize, &str>) -> bool {
    // Whether the wrong ones count as received is not said.
    wrong.keys().all(|index| *index < sent)
        && (received == sent || received.saturating_add(wrong.len()) == sent)
}

/// Whether an answer speaks of an error that is not one of warnings alone.
fn is_refusal(body: &Map<String, Value>) -> bool {
    // Something empty stands there in answers that take everything, too.
    match details(body) {
        [] => body.get("error").is_some_and(|error| !is_empty(error)),
        details => !details.iter().all(is_warning),
    }
}

/// Whether the errors name no event, and among them is what every call has.
fn is_of_every_call(body: &Map<String, Value>) -> bool {
    let mut errors = details(body).iter().filter(|detail| !is_warning(detail));
    let names = |detail: &Value, word: &str| {
        let property = detail.get("propertyName").and_then(Value::as_str);
        property.is_some_and(|property| property.trim().eq_ignore_ascii_case(word))
    };
    let of_all = |detail: &Value| OF_EVERY_CALL.iter().any(|word| names(detail, word));
    errors.clone().all(|detail| !detail.get("index").is_some_and(Value::is_u64)) && errors.any(of_all)
}

/// Whether every error is one of an event: what speaks of none may be why the others were not taken.
fn names_all(body: &Map<String, Value>) -> bool {
    details(body).iter().all(|detail| is_warning(detail) || detail.get("index").is_some_and(Value::is_u64))
}

fn details(body: &Map<String, Value>) -> &[Value] {
    let details = body.get("error").and_then(|error| error.get("details")).and_then(Value::as_array);
    details.map(Vec::as_slice).unwrap_or_default()
}

fn is_warning(detail: &Value) -> bool {
    detail.get("isWarning").and_then(Value::as_bool).unwrap_or(false)
}

/// Whether nothing is said, at any depth.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// What is wrong with which event; warnings do not count.
fn wrong(body: &Map<String, Value>) -> BTreeMap<usize, &str> {
    let mut wrong = BTreeMap::new();
    for detail in details(body).iter().filter(|detail| !is_warning(detail)) {
        let index = detail.get("index").and_then(Value::as_u64);
        if let Some(index) = index.and_then(|index| usize::try_from(index).ok()) {
            wrong.insert(index, detail.get("errorMessage").and_then(Value::as_str).unwrap_or("no message"));
        }
    }
    wrong
}

fn words(body: &Map<String, Value>, received: Option<usize>) -> String {
    let mut words = match received {
        Some(received) => format!("eventsReceived {received}"),
        None => "no eventsReceived".to_owned(),
    };
    if let Some(error) = body.get("error").and_then(Value::as_object) {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or("none");
        words = format!("{words}; {}: {}", text("code"), text("message"));
    }
    for (index, message) in wrong(body) {
        // Many more could be named than were sent.
        if words.len() > WORDS_BYTES_ENOUGH {
            break;
        }
        words.push_str(&format!("; event {index}: {message}"));
    }
    if let Some(trace) = body.get("traceId").and_then(Value::as_str) {
        words = format!("{words} (traceId {trace})");
    }
    words
}
