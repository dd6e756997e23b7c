//! What is noteworthy about a booked call, by code. Labels never keep a call out: they are what goals, holds and alerts
//! look at.

use super::Context;
use crate::click::Click;
use crate::ledger::Status;
use crate::postback::movement::Standing;
use crate::postback::{ClickRef, Facts, Postback};
use crate::reason::Reason;
use crate::time::SECOND_MS;

/// Nobody fills in a form, and no network confirms, sooner after a click than this.
const TOO_FAST_MS: i64 = 3 * SECOND_MS;

/// The labels of a call that moves its conversion.
pub(super) fn of(postback: &Postback, facts: &Facts, next: Standing, context: &Context<'_>) -> Vec<String> {
    let known = facts.spoken_of();
    let late = known.is_some_and(|known| known.status == Status::Rejected) && next.status == Status::Approved;
    let changed = match (&postback.click, known.and_then(|known| known.click)) {
        (ClickRef::Ours(named), Some(kept)) => *named != kept,
        _ => false,
    };
    let click = facts.click.as_ref();
    let at = postback.event_time.unwrap_or(context.received_at);
    let fast = known.is_none() && click.is_some_and(|click| at.millis_since(click.at) < TOO_FAST_MS);
    let rented = click.is_some_and(|click| is_rented(click, context));
    let repeated = facts.seen.iter().filter(|seen| seen.is_too_often()).map(|seen| seen.sighting.label);
    [(late, Reason::LateApproval), (changed, Reason::ClickChanged), (fast, Reason::TooFast)]
        .into_iter()
        .chain([(rented, Reason::DataCentre)])
        .filter(|(is, _)| *is)
        .map(|(_, reason)| reason)
        .chain(repeated)
        .map(|reason| reason.code().to_owned())
        .chain(click.into_iter().flat_map(|click| click.labels.iter().cloned()))
        .collect()
}

fn is_rented(click: &Click, context: &Context<'_>) -> bool {
    let ranges = &context.config.fraud.data_centres;
    !ranges.is_empty() && click.ip.is_some_and(|address| ranges.contains(address))
}

/// Adds a label that is not there yet.
pub(in crate::postback) fn add(labels: &mut Vec<String>, label: &str) {
    if !labels.iter().any(|known| known == label) {
        labels.push(label.to_owned());
    }
}
