//! Reversals: what follows for the events that left before a sale was taken back, in whole or in part. What has not left
//! stays here; what has arrived is adjusted where the destination takes that, and else told as over-stated.

#[cfg(test)]
mod tests;

use crate::config::{Config, Destination, SendValue, Word as _};
use crate::conversion::Conversion;
use crate::delivery::DeliveryState;
use crate::event::{Adjustment, OutboundEvent};
use crate::ids::{DeliveryId, GoalEventId};
use crate::ledger::{Amounts, LedgerEntry, Status};
use crate::money::Currency;
use crate::reason::Reason;
use crate::route::{GoalEvent, NewDelivery};
use crate::time::Timestamp;

/// One delivery of an event, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub id: DeliveryId,
    /// The event.
    pub goal_event: GoalEventId,
    /// The destination.
    pub destination: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it stands there.
    pub reason: Option<Reason>,
    /// Whether somebody has asked for it, as one of many.
    pub asked_for: bool,
}

/// What a destination was told that is more than what is left, by one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overstated {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its destination.
    pub destination: String,
    /// The conversion's campaign.
    pub campaign: String,
    /// The currency of both amounts.
    pub currency: Currency,
    /// What it was told last, in minor units.
    pub stated: i64,
    /// What is left of it; if that is no less, nothing is over-stated.
    pub remaining: i64,
}

/// What follows from a reversal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Follows {
    /// The adjustments, each an event of its own.
    pub events: Vec<GoalEvent>,
    /// Their deliveries.
    pub deliveries: Vec<NewDelivery>,
    /// What is told nobody, or not any more.
    pub overstated: Vec<Overstated>,
}

/// What is needed to follow.
pub struct Context<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Whether a destination takes this adjustment.
    pub takes: &'a dyn Fn(&Destination, &OutboundEvent) -> bool,
    /// How old an event may be for a destination, in milliseconds.
    pub max_age_ms: &'a dyn Fn(&Destination, &str) -> i64,
    /// When it happened, by the word of who reported it.
    pub happened_at: Timestamp,
    /// The present time.
    pub now: Timestamp,
    /// Fresh random bytes for new ids.
    pub random: &'a mut dyn FnMut() -> [u8; 10],
}

/// Whether a movement is to be followed: something was taken back, or what had been taken back stands again. The history is
/// that before the movement.
#[must_use]
pub fn is_due(before: &Conversion, after: &Conversion, history: &[LedgerEntry]) -> bool {
    if before.goals_met.is_empty() {
        return false;
    }
    let turned = is_taken_back(before.status) != is_taken_back(after.status);
    let risen = before.amounts != after.amounts;
    // Most amounts that rise were never less: they have nothing to correct.
    turned
        || fell(before.amounts, after.amounts)
        || risen && history.windows(2).any(|pair| fell(pair[0].amounts, pair[1].amounts))
}

fn fell(was: Amounts, is: Amounts) -> bool {
    let less = |was: Option<i64>, is: Option<i64>| was.unwrap_or(0) > is.unwrap_or(0);
    less(was.payout, is.payout) || less(was.revenue, is.revenue) || less(was.value, is.value)
}

/// Whether nothing is left of a conversion.
#[must_use]
pub const fn is_taken_back(status: Status) -> bool {
    matches!(status, Status::Rejected | Status::Reversed)
}

/// Whether an event is one that a reversal takes back: not one that tells of a reversal itself.
fn is_original(event: &OutboundEvent) -> bool {
    event.adjustment.is_none() && !Status::from_word(&event.origin.status).is_some_and(is_taken_back)
}

/// Deliveries that have not left and have nothing to tell any more. One that was tried may have arrived: it goes on, and is
/// followed. So does one that somebody has asked for since its sale was taken back, as far as no movement came after that.
#[must_use]
pub fn to_withdraw(
    conversion: &Conversion,
    events: &[GoalEvent],
    sent: &[Sent],
    after_movement: bool,
) -> Vec<DeliveryId> {
    if !is_taken_back(conversion.status) {
        return Vec::new();
    }
    let original = |id: GoalEventId| events.iter().any(|event| event.id == id && is_original(&event.event));
    let waits = |one: &&Sent| one.state == DeliveryState::Pending && one.attempts == 0;
    let waits = |one: &&Sent| waits(one) && (after_movement || !one.asked_for);
    sent.iter().filter(waits).filter(|one| original(one.goal_event)).map(|one| one.id).collect()
}

/// Deliveries that were withdrawn and have something to tell again, as the sale stands again.
#[must_use]
pub fn to_restore(conversion: &Conversion, sent: &[Sent]) -> Vec<DeliveryId> {
    if is_taken_back(conversion.status) {
        return Vec::new();
    }
    let withdrawn =
        |one: &&Sent| one.state == DeliveryState::Cancelled && one.reason == Some(Reason::TakenBack);
    sent.iter().filter(withdrawn).map(|one| one.id).collect()
}

/// Adjustments that have not left and that a later movement has overtaken: nothing was left of the sale, now something is, and
/// whoever is told the first for good cannot be told the second.
#[must_use]
pub fn overtaken(
    conversion: &Conversion,
    events: &[GoalEvent],
    sent: &[Sent],
    retracts: &dyn Fn(&str, &OutboundEvent) -> bool,
) -> Vec<DeliveryId> {
    if is_taken_back(conversion.status) {
        return Vec::new();
    }
    let is_old = |event: &&GoalEvent| {
        event.event.adjustment.as_ref().is_some_and(|told| told.movement < conversion.movements)
    };
    let waits = |one: &&Sent| one.state == DeliveryState::Pending && one.attempts == 0;
    let retraction = |one: &&Sent| {
        let event = events.iter().filter(is_old).find(|event| event.id == one.goal_event);
        event.is_some_and(|event| retracts(&one.destination, &event.event))
    };
    sent.iter().filter(waits).filter(retraction).map(|one| one.id).collect()
}

/// Whether an adjustment that says that nothing is left has been overtaken by what happened since: the sale stands again, or
/// something was left again of it. Asked when it is about to leave, however often it was tried, by whom and why.
#[must_use]
pub fn is_overtaken(event: &OutboundEvent, conversion: &Conversion, events: &[GoalEvent]) -> bool {
    let Some(told) = event.adjustment.as_ref().filter(|_| leaves_nothing(event)) else { return false };
    let was_taken_back = Status::from_word(&event.origin.status).is_some_and(is_taken_back);
    let is_later = |other: &GoalEvent| {
        other
            .event
            .adjustment
            .as_ref()
            .is_some_and(|other| other.event == told.event && other.movement > told.movement)
    };
    (was_taken_back && !is_taken_back(conversion.status))
        || events.iter().any(|other| is_later(other) && !leaves_nothing(&other.event))
}

/// Whether an adjustment says that nothing is left.
#[must_use]
pub fn leaves_nothing(event: &OutboundEvent) -> bool {
    let Some(adjustment) = &event.adjustment else { return false };
    let is_zero = |left: &str| left.bytes().all(|b| matches!(b, b'0' | b'.'));
    Status::from_word(&event.origin.status).is_some_and(is_taken_back)
        || adjustment.left.as_deref().is_some_and(is_zero)
}

/// Decides what follows, over the conversion as it stands now and all that was sent of it. Asked again, it decides the same:
/// what is booked is not booked twice, and what was refused is not tried again until something else happens.
#[must_use]
pub fn follow(
    conversion: &Conversion,
    events: &[GoalEvent],
    sent: &[Sent],
    context: &mut Context<'_>,
) -> Follows {
    let mut follows = Follows::default();
    for original in events.iter().filter(|event| is_original(&event.event)) {
        for one in sent.iter().filter(|one| one.goal_event == original.id) {
            if !matches!(one.state, DeliveryState::Delivered | DeliveryState::Pending) {
                continue;
            }
            let told = Told::of(original, events, sent, &one.destination);
            let mut amounts = Left::of(original, told.last, conversion, context.config);
            if one.state == DeliveryState::Pending && told.has_arrived {
                // The event is told once more behind its adjustment, replayed or because it did not count the first time: what is
                // left has to be told behind it again.
                amounts.changed = true;
            }
            let event = adjusted(original, conversion, &amounts, context.happened_at);
            let destination = context.config.destination(&one.destination);
            match destination.filter(|destination| (context.takes)(destination, &event)) {
                Some(destination) if amounts.changed && told.refused_at != Some(conversion.movements) => {
                    follows.overstated.extend(amounts.settled(one, conversion));
                    follows.adjust(event, destination, (original, conversion), context);
                }
                Some(_) if !amounts.changed => follows.overstated.extend(amounts.settled(one, conversion)),
                _ => follows.overstated.extend(amounts.overstated(one, conversion)),
            }
        }
    }
    follows
}

impl Follows {
    fn adjust(
        &mut self,
        event: OutboundEvent,
        destination: &Destination,
        (original, conversion): (&GoalEvent, &Conversion),
        context: &mut Context<'_>,
    ) {
        let id = GoalEventId::new(context.now, (context.random)());
        let max_age = (context.max_age_ms)(destination, &event.action_source);
        self.deliveries.push(NewDelivery {
            id: DeliveryId::of(id, 0),
            goal_event: id,
            conversion: conversion.id,
            destination: destination.slug.clone(),
            state: DeliveryState::Pending,
            due_at: context.now,
            deadline_at: context.now.plus_millis(max_age),
        });
        self.events.push(GoalEvent {
            id,
            conversion: conversion.id,
            goal: original.goal.clone(),
            sequence: event.adjustment.as_ref().map_or(original.sequence, |adjustment| adjustment.movement),
            event,
            created_at: context.now,
        });
    }
}

/// What a destination was told of an event since.
struct Told<'a> {
    /// The last adjustment that has arrived or is on its way.
    last: Option<&'a GoalEvent>,
    /// Whether that one has arrived.
    has_arrived: bool,
    /// The movement of the last one that ended without arriving.
    refused_at: Option<u32>,
}

impl<'a> Told<'a> {
    fn of(original: &GoalEvent, events: &'a [GoalEvent], sent: &[Sent], destination: &str) -> Self {
        let id = original.id.to_string();
        let of_it = |event: &&GoalEvent| event.event.adjustment.as_ref().is_some_and(|told| told.event == id);
        let (mut last, mut refused_at) = (None::<(&GoalEvent, bool)>, None);
        for event in events.iter().filter(of_it) {
            let here = |one: &&Sent| one.goal_event == event.id && one.destination == destination;
            match sent.iter().find(here).map(|one| (one.state, one.reason)) {
                Some((state @ (DeliveryState::Delivered | DeliveryState::Pending), _)) => {
                    let this = (event, state == DeliveryState::Delivered);
                    last = last.filter(|(last, _)| last.sequence > event.sequence).or(Some(this));
                }
                // Nobody refused it: its event had not arrived, and is on its way again; or the sale stood again first.
                Some((_, Some(Reason::NothingToAdjust | Reason::StandsAgain))) => {}
                Some(_) => refused_at = refused_at.max(Some(event.sequence)),
                None => {}
            }
        }
        let has_arrived = last.is_some_and(|(_, has_arrived)| has_arrived);
        Self { last: last.map(|(event, _)| event), has_arrived, refused_at }
    }
}

/// What an event stated and what is left of it, in minor units of its currency.
struct Left {
    currency: Option<Currency>,
    left: Option<i64>,
    /// What the last adjustment before left; what was stated, if there was none.
    last: Option<i64>,
    /// Whether there is anything new to tell.
    changed: bool,
    /// Whether something is left after it was told that nothing is.
    again: bool,
}

impl Left {
    fn of(original: &GoalEvent, told: Option<&GoalEvent>, conversion: &Conversion, config: &Config) -> Self {
        let event = &original.event;
        let currency = event.currency.as_deref().and_then(|code| code.parse::<Currency>().ok());
        let minor = |text: Option<&str>| currency?.parse_minor(text?).ok();
        let stated = minor(event.value.as_deref());
        let value_of = value_of(original, config);
        let amounts = conversion.amounts;
        let now = match value_of {
            Some(SendValue::Payout) => amounts.payout,
            Some(SendValue::Revenue) => amounts.revenue,
            Some(SendValue::Value | SendValue::None) | None => amounts.value,
        };
        // In another currency than the conversion has by now, or of an amount that nobody knows any more, what is left
        // cannot be told; it is not made up.
        let comparable = currency == Some(conversion.currency) && value_of.is_some();
        let left = match stated {
            Some(_) if is_taken_back(conversion.status) => Some(0),
            Some(stated) if comparable => Some(stated.min(now.unwrap_or(0).max(0))),
            other => other,
        };
        let last_told = told.unwrap_or(original);
        let status = last_told.event.origin.status.as_str();
        let last = match last_told.event.adjustment.as_ref() {
            Some(adjustment) => minor(adjustment.left.as_deref()),
            None => stated,
        };
        let turned = Status::from_word(status).is_some_and(is_taken_back) != is_taken_back(conversion.status);
        let is_nothing = is_taken_back(conversion.status) || left == Some(0);
        let again = leaves_nothing(&last_told.event) && !is_nothing;
        Self { currency, left, last, changed: turned || left != last, again }
    }

    fn overstated(&self, one: &Sent, conversion: &Conversion) -> Option<Overstated> {
        Some(Overstated {
            delivery: one.id,
            destination: one.destination.clone(),
            campaign: conversion.campaign.clone(),
            currency: self.currency?,
            stated: self.last?,
            remaining: self.left?,
        })
    }

    /// The same with nothing over-stated.
    fn settled(&self, one: &Sent, conversion: &Conversion) -> Option<Overstated> {
        self.overstated(one, conversion)
            .map(|over| Overstated { remaining: over.stated.max(over.remaining), ..over })
    }
}

/// Which amount an event told. Only of events that do not say so themselves, the goal is asked as it is now.
fn value_of(original: &GoalEvent, config: &Config) -> Option<SendValue> {
    let said = original.event.origin.value_of.as_str();
    if said.is_empty() {
        let goal = config.goals.iter().find(|goal| goal.slug == original.goal);
        return goal.map(|goal| goal.send_value);
    }
    SendValue::ALL.iter().copied().find(|known| known.word() == said)
}

/// The event that tells of it.
fn adjusted(
    original: &GoalEvent,
    conversion: &Conversion,
    amounts: &Left,
    happened_at: Timestamp,
) -> OutboundEvent {
    let decimal = |minor: i64| amounts.currency.map(|currency| currency.format_minor(minor));
    let mut event = original.event.clone();
    let taken_back = amounts.last.zip(amounts.left).map(|(last, left)| last.saturating_sub(left));
    event.adjustment = Some(Adjustment {
        event: original.id.to_string(),
        event_time: event.event_time,
        movement: conversion.movements,
        booked_at: Some(conversion.updated_at),
        left: amounts.left.and_then(decimal),
        taken_back: taken_back.filter(|minor| *minor > 0).and_then(decimal),
        again: amounts.again,
    });
    event.event_time = happened_at.max(original.event.event_time);
    event.value = amounts.left.and_then(decimal);
    event.value_basis = None;
    event.origin.status = conversion.status.as_str().into();
    event.origin.conversion = conversion.id.to_string();
    event
}
