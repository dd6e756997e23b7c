//! What TikTok's answers mean. The status is 200 for nearly everything; the verdict is `code`.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{
    by_status, is_redirect, object, pause, redirected, retry, retry_after_ms, shown, throttled,
};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let asked = retry_after_ms(response, now);
    let answer = object(response).and_then(|body| Some((body.get("code")?.as_i64()?, body)));
    let Some((code, body)) = answer else { return by_status(settings, response, asked, None) };
    let detail = shown(settings, &words(code, &body));
    let passing = |reason| Reading::whole(retry(reason, asked), detail.as_str()).slow_down(asked);
    match (code, response.status) {
        (40_016 | 40_100 | 40_133, _) | (_, 429) => throttled(asked, detail),
        (40_101 | 40_102 | 40_104..=40_106, _) => pause(Reason::DestAuth, detail),
        (40_001, _) => pause(Reason::DestPermission, detail),
        (50_000..=59_999, _) | (_, 500..) => passing(Reason::DestServerError),
        (0, 200..=299) => Reading::whole(Outcome::Delivered, detail),
        // Nothing that TikTok publishes says how the bad ones are named, so the batch is halved until they are found.
        // The good ones that were taken are recognised by their event_id.
        (20_001 | 40_000..=49_999, _) => {
            Reading::whole(Outcome::Split { reason: Reason::DestRejected }, detail)
        }
        _ => passing(Reason::DestUnreadable),
    }
}

fn words(code: i64, body: &Map<String, Value>) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let message = text("message").unwrap_or("no message");
    let data =
        body.get("data").filter(|data| code != 0 && data.as_object().is_some_and(|data| !data.is_empty()));
    let data = data.map(|data| format!("; {data}")).unwrap_or_default();
    let request = text("request_id").map(|id| format!(" (request_id {id})")).unwrap_or_default();
    format!("code {code}: {message}{data}{request}")
}
