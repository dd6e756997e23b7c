//! What a partner's answer means. Partners differ, so only the status counts, and the body where the settings say so.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use crate::answer::{excerpt, is_redirect, is_success, redirected, retry, retry_after_ms, shorten};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    let status = response.status;
    if is_redirect(status) {
        return redirected(settings, response);
    }
    let said = shorten(&format!("{status}: {}", excerpt(settings, response)));
    if is_success(status) {
        return success(settings, response, said);
    }
    // Only an answer that speaks of load may make everybody wait.
    let asked = if matches!(status, 429 | 503) { retry_after_ms(response, now) } else { None };
    let passing = |reason| Reading::whole(retry(reason, asked), said.as_str()).slow_down(asked);
    let pause = |reason| Reading::whole(Outcome::Pause { reason }, said.as_str());
    match status {
        401 | 403 => pause(Reason::DestAuth),
        407 => pause(Reason::DestMisconfigured),
        408 => passing(Reason::DestTimeout),
        410 => pause(Reason::DestGone),
        429 => passing(Reason::DestRateLimited),
        425 | 500.. => passing(Reason::DestServerError),
        400..=499 => Reading::whole(Outcome::Refused { reason: Reason::DestRejected }, said),
        // 1xx is no final answer.
        _ => passing(Reason::DestUnreadable),
    }
}

fn success(settings: &Settings, response: &Response, said: String) -> Reading {
    let Some(wanted) = settings.text("success_body_contains") else {
        return Reading::whole(Outcome::Delivered, said);
    };
    if contains(&response.body, wanted.as_bytes()) {
        return Reading::whole(Outcome::Delivered, said);
    }
    let detail = shorten(&format!("the body does not contain {wanted:?}; {said}"));
    Reading::whole(Outcome::Refused { reason: Reason::DestRejected }, detail)
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}
