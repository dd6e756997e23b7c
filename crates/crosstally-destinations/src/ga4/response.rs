//! What Google's answers mean: hardly anything. A call that was understood and one that was thrown away are answered
//! alike, with 204 and nothing more; only the validation server has words.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::Value;

use super::config;
use crate::answer::{by_status, is_redirect, is_success, object, redirected, retry, retry_after_ms, shown};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    let status = response.status;
    if is_redirect(status) {
        return redirected(settings, response);
    }
    if is_success(status) {
        if config::validates_only(settings) {
            return validated(settings, response);
        }
        return Reading::whole(Outcome::Unverified, format!("{status}: taken; Google does not say more"));
    }
    by_status(settings, response, retry_after_ms(response, now), None)
}

fn validated(settings: &Settings, response: &Response) -> Reading {
    let messages = object(response).and_then(|mut body| body.shift_remove("validationMessages"));
    let Some(Value::Array(messages)) = messages else {
        return Reading::whole(
            retry(Reason::DestUnreadable, None),
            "the validation server's answer has no validationMessages",
        );
    };
    if messages.is_empty() {
        return Reading::whole(Outcome::Unverified, "valid; only checked, not counted (validate_only)");
    }
    let words: Vec<String> = messages.iter().map(message).collect();
    let detail = shown(settings, &format!("invalid: {}", words.join("; ")));
    Reading::whole(Outcome::Refused { reason: Reason::DestRejected }, detail)
}

fn message(message: &Value) -> String {
    let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}: {}", text("validationCode"), text("fieldPath"), text("description"))
}
