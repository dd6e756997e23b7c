//! What Meta's answers mean. Decided by status, code, subcode and `is_transient` alone, never by words: those are for
//! people, and Meta changes and translates them.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp};
use serde_json::{Map, Value};

use crate::answer::{
    self, THROTTLE_WAIT_MS, WAIT_MAX_MS, excerpt, foreign, is_redirect, is_success, object, redirected,
    retry, retry_after_ms,
};
use crate::dialect::{Reading, Response, Settings};

/// The wait after a block by policy (code 368), which lasts hours to days.
const BLOCK_WAIT_MS: i64 = HOUR_MS;
/// From this share of a quota on, calls are spaced out.
const BUSY_PERCENT: i64 = 80;
/// Subcode of an event that is too old.
const TOO_OLD: i64 = 2_804_003;
/// Subcode of an object that does not exist or may not be used.
const NO_OBJECT: i64 = 33;

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let wait = Wait::of(response, now);
    let reading = match object(response) {
        Some(object) => match GraphError::of(&object) {
            Some(error) => refused(settings, response, &error, &wait),
            None if is_success(response.status) => counted(settings, response, &object, sent),
            None => by_status(settings, response, &wait),
        },
        None => by_status(settings, response, &wait),
    };
    let slow_down = reading.slow_down_ms.max(wait.usage_ms);
    reading.slow_down(slow_down)
}

/// An error of the Graph API. An `error` without a code is somebody else's.
struct GraphError {
    code: i64,
    subcode: Option<i64>,
    is_transient: bool,
    detail: String,
}

impl GraphError {
    fn of(body: &Map<String, Value>) -> Option<Self> {
        let error = body.get("error")?.as_object()?;
        let number = |key: &str| error.get(key).and_then(Value::as_i64);
        let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (code, subcode) = (number("code")?, number("error_subcode"));
        let mut detail = match subcode {
            Some(subcode) => format!("error {code}/{subcode}"),
            None => format!("error {code}"),
        };
        for key in ["message", "error_user_title", "error_user_msg"] {
            if let Some(words) = text(key) {
                detail.push_str(if key == "message" { ": " } else { "; " });
                detail.push_str(words);
            }
        }
        if let Some(trace) = text("fbtrace_id") {
            detail = format!("{detail} (fbtrace_id {trace})");
        }
        let is_transient = error.get("is_transient").and_then(Value::as_bool).unwrap_or(false);
        Some(Self { code, subcode, is_transient, detail })
    }
}

/// What a code says about the call. The table stands in `docs/destinations/meta.md`.
enum Class {
    Throttled,
    Passing,
    Blocked,
    Auth,
    Permission,
    Ended,
    BadData,
    Unknown,
}

const fn class(code: i64, subcode: Option<i64>) -> Class {
    match code {
        4 | 17 | 32 | 613 | 80_000..=80_014 => Class::Throttled,
        1 | 2 | 341 | 5000 | 21_009 | ..=-1 => Class::Passing,
        368 => Class::Blocked,
        102 | 104 | 190 => Class::Auth,
        3 | 10 | 200..=299 => Class::Permission,
        100 if matches!(subcode, Some(NO_OBJECT)) => Class::Permission,
        2635 => Class::Ended,
        100 | 105 | 2655 => Class::BadData,
        _ => Class::Unknown,
    }
}

fn refused(settings: &Settings, response: &Response, error: &GraphError, wait: &Wait) -> Reading {
    let detail = shown(settings, response, &error.detail);
    let status = response.status;
    let throttled = || answer::throttled(wait.asked_ms.or(wait.regain_ms), detail.as_str());
    let passing =
        |reason| Reading::whole(retry(reason, wait.asked_ms), detail.as_str()).slow_down(wait.asked_ms);
    let pause = |reason| answer::pause(reason, detail.as_str());
    let class = class(error.code, error.subcode);
    match class {
        Class::Throttled => throttled(),
        _ if status == 429 => throttled(),
        _ if error.is_transient => passing(Reason::DestServerError),
        Class::Passing => passing(Reason::DestServerError),
        Class::Blocked => {
            let asked = wait.asked_ms.unwrap_or(0).max(BLOCK_WAIT_MS);
            Reading::whole(retry(Reason::DestRateLimited, Some(asked)), detail.as_str())
                .slow_down(Some(asked))
        }
        Class::Auth => pause(Reason::DestAuth),
        Class::Permission => pause(Reason::DestPermission),
        Class::Ended => pause(Reason::DestMisconfigured),
        Class::BadData | Class::Unknown => match status {
            // The status says that the call as such did not get through, whatever the error's code.
            500.. => passing(Reason::DestServerError),
            408 => passing(Reason::DestTimeout),
            425 => passing(Reason::DestServerError),
            _ if matches!(class, Class::BadData) => {
                let too_old = error.subcode == Some(TOO_OLD);
                let reason = if too_old { Reason::EventTooOld } else { Reason::DestRejected };
                Reading::whole(Outcome::Split { reason }, detail)
            }
            401 => pause(Reason::DestAuth),
            403 => pause(Reason::DestPermission),
            404 | 405 => pause(Reason::DestMisconfigured),
            410 => pause(Reason::DestGone),
            _ => Reading::whole(Outcome::Split { reason: Reason::DestRejected }, detail),
        },
    }
}

/// An answer that is not one of the Graph API.
fn by_status(settings: &Settings, response: &Response, wait: &Wait) -> Reading {
    let mut reading = foreign(settings, response, wait.asked_ms);
    reading.detail = shown(settings, response, &reading.detail);
    reading
}

/// A success, if it confirms every event.
fn counted(settings: &Settings, response: &Response, body: &Map<String, Value>, sent: usize) -> Reading {
    let received = body.get("events_received").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let Some(received) = received.filter(|received| *received <= sent) else {
        let detail = format!("no believable events_received: {}", excerpt(settings, response));
        return Reading::whole(retry(Reason::DestUnreadable, None), shown(settings, response, &detail));
    };
    let mut detail = format!("events_received {received} of {sent}");
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for message in messages {
        detail.push_str("; ");
        match message.as_str() {
            Some(text) => detail.push_str(text),
            None => detail.push_str(&message.to_string()),
        }
    }
    if let Some(trace) = body.get("fbtrace_id").and_then(Value::as_str) {
        detail = format!("{detail} (fbtrace_id {trace})");
    }
    let outcome = if received == sent { Outcome::Delivered } else { retry(Reason::DestPartial, None) };
    Reading::whole(outcome, shown(settings, response, &detail))
}

/// A detail for people: one line, short, without secrets, and first of all that the version comes to its end.
fn shown(settings: &Settings, response: &Response, detail: &str) -> String {
    let detail = match response.header("x-ad-api-version-warning") {
        Some(warning) => format!("{warning}; {detail}"),
        None => detail.to_owned(),
    };
    answer::shown(settings, &detail)
}

/// How long Meta asks to wait, by its headers.
struct Wait {
    /// By `Retry-After`.
    asked_ms: Option<i64>,
    /// By the quota's own estimate of when it is free again.
    regain_ms: Option<i64>,
    /// Before the next call, because a quota is nearly or wholly used up.
    usage_ms: Option<i64>,
}

impl Wait {
    fn of(response: &Response, now: Timestamp) -> Self {
        let mut usage = Usage::default();
        for name in ["x-business-use-case-usage", "x-app-usage", "x-ad-account-usage"] {
            let header = response.header(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
            match header {
                Some(Value::Object(header)) if name == "x-business-use-case-usage" => {
                    let cases = header.values().filter_map(Value::as_array).flatten();
                    cases.filter_map(Value::as_object).for_each(|case| usage.add(case));
                }
                Some(Value::Object(header)) => usage.add(&header),
                _ => {}
            }
        }
        let usage_ms = match usage.percent {
            100.. => Some(usage.regain_ms.unwrap_or(THROTTLE_WAIT_MS)),
            // The nearer to the end, the slower: one second more for each percent.
            BUSY_PERCENT..100 => Some((usage.percent - BUSY_PERCENT + 1) * SECOND_MS),
            _ => None,
        };
        Self { asked_ms: retry_after_ms(response, now), regain_ms: usage.regain_ms, usage_ms }
    }
}

/// The fullest of all quotas that the headers name.
#[derive(Default)]
struct Usage {
    percent: i64,
    regain_ms: Option<i64>,
}

impl Usage {
    fn add(&mut self, quota: &Map<String, Value>) {
        for key in ["call_count", "total_cputime", "total_time", "acc_id_util_pct"] {
            self.percent = self.percent.max(quota.get(key).map_or(0, whole));
        }
        // An account's quota always names its next reset, so that counts only once the quota is used up.
        let used_up = quota.get("acc_id_util_pct").map_or(0, whole) >= 100;
        let reset_ms = if used_up { SECOND_MS } else { 0 };
        for (key, unit_ms) in
            [("estimated_time_to_regain_access", MINUTE_MS), ("reset_time_duration", reset_ms)]
        {
            let wait = quota.get(key).map_or(0, whole).saturating_mul(unit_ms);
            if wait > 0 {
                self.regain_ms = self.regain_ms.max(Some(wait.min(WAIT_MAX_MS)));
            }
        }
    }
}

/// The whole part of a number, 0 for anything else.
fn whole(value: &Value) -> i64 {
    let Value::Number(number) = value else { return 0 };
    let text = number.as_str();
    text.split_once('.').map_or(text, |(whole, _)| whole).parse().unwrap_or(0)
}
