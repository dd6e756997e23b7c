//! What X's answers mean. Decided by the status and the count alone.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{SECOND_MS, Timestamp};
use serde_json::{Map, Value};

use crate::answer::{
    WAIT_MAX_MS, by_status, excerpt, is_redirect, is_success, object, redirected, retry, retry_after_ms,
    shown,
};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let json = object(response);
    if is_success(response.status) {
        return counted(settings, response, json.as_ref(), sent);
    }
    let asked = retry_after_ms(response, now).or_else(|| reset_ms(response, now));
    let errors = json.as_ref().and_then(|json| json.get("errors")?.as_array());
    let said = errors.map(|errors| {
        let words: Vec<String> = errors.iter().filter_map(Value::as_object).map(error).collect();
        words.join("; ")
    });
    by_status(settings, response, asked, said.as_deref())
}

fn error(error: &Map<String, Value>) -> String {
    let text = |key: &str| match error.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    format!("{} {} {}", text("code"), text("parameter"), text("message"))
}

/// A success, if it confirms every event.
fn counted(
    settings: &Settings,
    response: &Response,
    json: Option<&Map<String, Value>>,
    sent: usize,
) -> Reading {
    let data = json.and_then(|json| json.get("data")?.as_object());
    let processed = data.and_then(|data| match data.get("conversions_processed")? {
        Value::Number(number) => number.as_str().parse::<usize>().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let Some(processed) = processed.filter(|processed| *processed <= sent) else {
        let detail = format!("no believable conversions_processed: {}", excerpt(settings, response));
        return Reading::whole(retry(Reason::DestUnreadable, None), shown(settings, &detail));
    };
    let id = data.and_then(|data| data.get("debug_id")?.as_str()).unwrap_or_default();
    let detail = shown(settings, &format!("conversions_processed {processed} of {sent} (debug_id {id})"));
    let all = processed == sent;
    Reading::whole(if all { Outcome::Delivered } else { retry(Reason::DestPartial, None) }, detail)
}

/// `x-rate-limit-reset`: when the window is over, in Unix seconds.
fn reset_ms(response: &Response, now: Timestamp) -> Option<i64> {
    let seconds: i64 = response.header("x-rate-limit-reset")?.trim().parse().ok()?;
    let at = Timestamp::from_millis(seconds.checked_mul(SECOND_MS)?);
    Some(at.millis_since(now).clamp(0, WAIT_MAX_MS))
}
