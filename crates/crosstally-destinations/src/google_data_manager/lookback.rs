//! What became of what was taken: Google tells it later, for each conversion action of a request, in counts.
//!
//! Which events of several it means it does not tell, so only a verdict that is the same for all of an action is one for each.

use serde_json::Value;

use super::config;
use crate::answer::{is_success, object, shown};
use crate::batch;
use crate::dialect::{Became, Lookback, Request, Response, Settings};

const REQUEST_ID_BYTES_MAX: usize = 200;
/// What Google puts before every code.
const PREFIX: &str = "PROCESSING_ERROR_REASON_";

/// The id under which Google tells it.
pub(super) fn receipt(settings: &Settings, response: &Response) -> Option<String> {
    if config::validates_only(settings) || !is_success(response.status) {
        return None;
    }
    let id = object(response)?.get("requestId")?.as_str()?.to_owned();
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()).then_some(id)
}

/// The request that asks for it.
pub(super) fn request(settings: &Settings, receipt: &str) -> Request {
    batch::bearer_get(settings, config::status_url(settings, receipt))
}

/// Reads what Google tells of a request that carried these events.
pub(super) fn read(settings: &Settings, response: &Response, sent: &[String]) -> Lookback {
    match response.status {
        400 | 404 => return Lookback::Gone,
        401 => return Lookback::Trouble { token: true },
        429 | 500.. => return Lookback::Trouble { token: false },
        status if !is_success(status) => return Lookback::Unclear,
        _ => {}
    }
    let json = object(response);
    let told = json.as_ref().and_then(|json| json.get("requestStatusPerDestination")?.as_array());
    let Some(told) = told.filter(|told| !told.is_empty()) else { return Lookback::Unclear };
    let word =
        |status: &Value| status.get("requestStatus").and_then(Value::as_str).unwrap_or_default().to_owned();
    if told.iter().any(|status| !matches!(word(status).as_str(), "SUCCESS" | "FAILED" | "PARTIAL_SUCCESS")) {
        return Lookback::NotYet;
    }
    let became = |payload: &String| {
        let action = action(payload);
        let own = told.iter().find(|status| is_of(status, action.as_deref()));
        let Some(own) = own.or(told.first().filter(|_| told.len() == 1)) else { return Became::Unsaid };
        let refused = refusals(own);
        match word(own).as_str() {
            _ if refused.as_ref().is_some_and(Vec::is_empty) => Became::Counted,
            "SUCCESS" => Became::Counted,
            "FAILED" => failed(own, counts(settings, own)),
            _ => Became::InPart(counts(settings, own)),
        }
    };
    Lookback::Told(sent.iter().map(became).collect())
}

/// What became of events of which none was new and counts.
fn failed(status: &Value, detail: String) -> Became {
    // One that Google had already counts, also if the answer to the call that brought it was lost.
    let in_part = codes(status).iter().any(|(code, _)| is_duplicate(code));
    match refusals(status) {
        // Google counts a transaction once for each action: what it had stays as it is when it comes once more.
        Some(codes) if codes.iter().all(|code| passes(code)) => Became::Passing { detail, in_part },
        _ if in_part => Became::InPart(detail),
        _ => Became::Refused(detail),
    }
}

/// The conversion action of an event, by the name that the request gave it.
fn action(payload: &str) -> Option<String> {
    let event: Value = serde_json::from_str(payload).ok()?;
    Some(event.get("destinationReferences")?.get(0)?.as_str()?.to_owned())
}

fn is_of(status: &Value, action: Option<&str>) -> bool {
    let named = ["/destination/reference", "/destination/productDestinationId"];
    action.is_some() && named.iter().any(|path| status.pointer(path).and_then(Value::as_str) == action)
}

fn is_duplicate(code: &str) -> bool {
    code.starts_with("DUPLICATE")
}

/// Whether the same event may count later.
fn passes(code: &str) -> bool {
    code == "INTERNAL_ERROR" || code.starts_with("TOO_RECENT_")
}

/// The codes of what does not count; `None` if Google gives none. What it knew already counts.
fn refusals(status: &Value) -> Option<Vec<&str>> {
    let codes = codes(status);
    let refused = codes.iter().map(|(code, _)| *code).filter(|code| !is_duplicate(code)).collect();
    (!codes.is_empty()).then_some(refused)
}

fn codes(status: &Value) -> Vec<(&str, String)> {
    let list = status.pointer("/errorInfo/errorCounts").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|count| {
            let code = count.get("reason")?.as_str()?;
            Some((code.strip_prefix(PREFIX).unwrap_or(code), number(count.get("recordCount"))))
        })
        .collect()
}

/// A count, which comes as a text.
fn number(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "?".to_owned(),
    }
}

/// `of 3 events: 1 CLICK_NOT_FOUND, 1 EVENT_TOO_OLD`.
fn counts(settings: &Settings, status: &Value) -> String {
    let all = number(status.pointer("/eventsIngestionStatus/recordCount"));
    let each: Vec<String> =
        codes(status).into_iter().map(|(code, count)| format!("{count} {code}")).collect();
    let why = if each.is_empty() { "no reason is given".to_owned() } else { each.join(", ") };
    shown(settings, &format!("of {all} events: {why}"))
}
