//! What is noteworthy about a booked call, by code. Labels never keep a call out: they are what goals, holds and alerts
//! look at.

use crate::ledger::Status;
use crate::postback::movement::Standing;
use crate::postback::{ClickRef, Facts, Postback};
use crate::reason::Reason;
use crate::time::{SECOND_MS, Timestamp};

/// Nobody fills in a form, and no network confirms, sooner after a click than this.
const TOO_FAST_MS: i64 = 3 * SECOND_MS;

/// The labels of a call that moves its conversion.
pub(super) fn of(postback: &Postback, facts: &Facts, next: Standing, now: Timestamp) -> Vec<String> {
    let known = facts.conversion.as_ref();
    let late = known.is_some_and(|known| known.status == Status::Rejected) && next.status == Status::Approved;
    let changed = match (&postback.click, known.and_then(|known| known.click)) {
        (ClickRef::Ours(named), Some(kept)) => *named != kept,
        _ => false,
    };
    let at = postback.event_time.unwrap_or(now);
    let fast =
        known.is_none() && facts.click.as_ref().is_some_and(|click| at.millis_since(click.at) < TOO_FAST_MS);
    [(late, Reason::LateApproval), (changed, Reason::ClickChanged), (fast, Reason::TooFast)]
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, reason)| reason.code().to_owned())
        .collect()
}
