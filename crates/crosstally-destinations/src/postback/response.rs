//! What a partner's answer means. Partners differ, so only the status counts, and the body where the settings say so.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use crate::answer::{of_partner, shorten};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    of_partner(settings, response, now, |said| success(settings, response, said))
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
