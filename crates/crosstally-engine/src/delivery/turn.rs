//! Whose turn it is: adjustments are sent once the event that they adjust has arrived, never if it has not; and to a
//! destination that wants them in order, the events of one conversion one after the other.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::event::{Adjustment, OutboundEvent};
use crosstally_core::ids::{ConversionId, DeliveryId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::reversal;
use crosstally_core::route::GoalEvent;
use crosstally_core::time::{MINUTE_MS, SECOND_MS, Timestamp};
use crosstally_store::{DeliveryRecord, StoreError, Unsent};

use super::batch::Batch;
use super::part::Part;

/// How long an adjustment waits before it looks again.
const LOOK_AGAIN_MS: i64 = MINUTE_MS;
/// The same of an event behind another one of its conversion, which mostly leaves at once.
const NEXT_IN_ORDER_MS: i64 = 2 * SECOND_MS;

/// What an adjustment can do now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Go,
    /// It says that something is left again; here nobody was told for good that nothing is.
    GoAfresh,
    Wait,
    Never,
    /// It would say for good that nothing is left, and the sale stands again.
    Overtaken,
}

impl Batch {
    /// Whether somebody has to be asked whose turn it is.
    pub(super) fn asks_for_turns(&self, part: &Part) -> bool {
        self.ready.config.in_order || part.events.iter().any(|event| event.adjustment.is_some())
    }

    /// Takes out what must not be sent now: adjustments whose event, or an earlier adjustment of it, is still on its way
    /// are put off for a minute, those whose event never arrived or that what happened since has overtaken end unsent; what
    /// waits for its order is put off for two seconds.
    pub(super) async fn take_those_before_their_turn(
        &self,
        part: &mut Part,
        now: Timestamp,
    ) -> Result<Vec<Unsent>, StoreError> {
        if !self.asks_for_turns(part) {
            return Ok(Vec::new());
        }
        let mut turns = Vec::with_capacity(part.len());
        for (lease, event) in part.leases.iter().zip(&part.events) {
            turns.push((lease.held, self.turn_of(lease.held.id, event).await?));
        }
        let is = |turn: Turn| {
            let of: Vec<_> = turns.iter().filter(|(_, of)| *of == turn).map(|(held, _)| *held).collect();
            of
        };
        let (never, overtaken, wait) = (is(Turn::Never), is(Turn::Overtaken), is(Turn::Wait));
        let afresh = is(Turn::GoAfresh);
        for (lease, event) in part.leases.iter().zip(&mut part.events) {
            if let Some(adjustment) = event.adjustment.as_mut().filter(|_| afresh.contains(&lease.held)) {
                adjustment.again = false;
            }
        }
        let mut ended =
            part.take_unless(|lease| !never.contains(&lease.held)).unsent(Reason::NothingToAdjust, "");
        let overtaken = part.take_unless(|lease| !overtaken.contains(&lease.held));
        ended.extend(overtaken.unsent(Reason::StandsAgain, ""));
        let waiting = part.take_unless(|lease| !wait.contains(&lease.held));
        if !waiting.is_empty() {
            self.leases.forget(waiting.held());
            let until =
                now.plus_millis(if self.ready.config.in_order { NEXT_IN_ORDER_MS } else { LOOK_AGAIN_MS });
            self.engine.store.put_off(waiting.held().collect(), until).await?;
        }
        Ok(ended)
    }

    async fn turn_of(&self, id: DeliveryId, event: &OutboundEvent) -> Result<Turn, StoreError> {
        let conversion = event.origin.conversion.parse::<ConversionId>();
        // Only an adjustment is about something that has to have arrived.
        let alone = if event.adjustment.is_some() { Turn::Never } else { Turn::Go };
        let (Ok(conversion), true) = (conversion, self.ready.config.in_order || alone == Turn::Never) else {
            return Ok(alone);
        };
        let events = self.engine.store.goal_events_of_conversion(conversion).await?;
        let all = self.engine.store.deliveries_of_conversion(conversion).await?;
        let here: Vec<_> = all.iter().filter(|one| one.destination == self.ready.config.slug).collect();
        if self.ready.config.in_order && comes_behind_another(id, &events, &here) {
            return Ok(Turn::Wait);
        }
        let adjusts = |_: &&Adjustment| self.ready.adjusts(event);
        let Some(adjustment) = event.adjustment.as_ref().filter(adjusts) else { return Ok(alone) };
        if self.ready.retracts(event)
            && let Some(conversion) = self.engine.store.conversion(conversion).await?
            && reversal::is_overtaken(event, &conversion, &events)
        {
            return Ok(Turn::Overtaken);
        }
        let is_earlier = |id: GoalEventId| {
            let event = events.iter().find(|event| event.id == id);
            let told = event.and_then(|event| event.event.adjustment.as_ref());
            told.is_some_and(|told| told.event == adjustment.event && told.movement < adjustment.movement)
        };
        let (mut turn, mut earlier_waits) = (Turn::Never, false);
        for one in &here {
            if one.goal_event.to_string() == adjustment.event {
                match one.state {
                    DeliveryState::Delivered => turn = Turn::Go,
                    DeliveryState::Pending if turn == Turn::Never => turn = Turn::Wait,
                    _ => {}
                }
            } else if one.state == DeliveryState::Pending && is_earlier(one.goal_event) {
                earlier_waits = true;
            }
        }
        Ok(match turn {
            // The last word counts with whoever is told: one that was overtaken would undo what came after it.
            Turn::Go if earlier_waits => Turn::Wait,
            Turn::Go if adjustment.again && !self.was_retracted(adjustment, &events, &here) => Turn::GoAfresh,
            turn => turn,
        })
    }
}

impl Batch {
    /// Whether this destination took it for good that nothing is left of what this adjusts.
    fn was_retracted(&self, told: &Adjustment, events: &[GoalEvent], here: &[&DeliveryRecord]) -> bool {
        let retracts = |event: &&GoalEvent| {
            let adjusts = event.event.adjustment.as_ref().is_some_and(|other| other.event == told.event);
            adjusts && self.ready.retracts(&event.event)
        };
        let arrived = |event: &GoalEvent| {
            let of = |one: &&&DeliveryRecord| one.goal_event == event.id;
            here.iter().filter(of).any(|one| one.state == DeliveryState::Delivered || may_have_arrived(one))
        };
        events.iter().filter(retracts).any(arrived)
    }
}

/// Whether a delivery that ended otherwise may have been taken all the same.
fn may_have_arrived(one: &DeliveryRecord) -> bool {
    one.attempts > 0 && one.reason == Some(Reason::OutcomeUnknown)
}

/// Whether an event of an earlier movement of the same conversion is still on its way here.
fn comes_behind_another(id: DeliveryId, events: &[GoalEvent], here: &[&DeliveryRecord]) -> bool {
    let event_of = |one: &DeliveryRecord| events.iter().find(|event| event.id == one.goal_event);
    let Some(own) = here.iter().find(|one| one.id == id).and_then(|one| event_of(one)) else { return false };
    let waits = here.iter().filter(|one| one.state == DeliveryState::Pending && one.id != id);
    waits
        .filter_map(|one| Some((event_of(one)?, one.id)))
        .any(|(event, other)| is_before((event, other), (own, id)))
}

/// Movements are numbered as they were booked; ids tell that no finer than clocks do, and of one millisecond not at all. An
/// event that a repair has brought along has the number that its movement had in another conversion: between the two, time
/// has to do.
fn is_before(one: (&GoalEvent, DeliveryId), other: (&GoalEvent, DeliveryId)) -> bool {
    match one.0.conversion == other.0.conversion {
        true => (one.0.sequence, one.1) < (other.0.sequence, other.1),
        false => (one.0.created_at, one.1) < (other.0.created_at, other.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_along_from_another_conversion_is_as_old_as_it_is() {
        let event = |conversion, sequence, ms| {
            let created_at = Timestamp::from_millis(ms);
            let id = GoalEventId::new(created_at, [conversion; 10]);
            let conversion = ConversionId::new(Timestamp::from_millis(1), [conversion; 10]);
            let (goal, event) = (String::new(), OutboundEvent::default());
            (GoalEvent { id, conversion, goal, sequence, event, created_at }, DeliveryId::of(id, 0))
        };
        // One was booked by a node whose clock is behind.
        let (old, first, second) = (event(1, 5, 100), event(2, 1, 210), event(2, 2, 200));
        for (one, other) in [(&old, &second), (&old, &first), (&first, &second)] {
            assert!(is_before((&one.0, one.1), (&other.0, other.1)));
            assert!(!is_before((&other.0, other.1), (&one.0, one.1)));
        }
    }
}
