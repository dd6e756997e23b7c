//! What a request to erase leaves of an event, and of what was sent of it.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::{DeliveryId, ErasureId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::super::{outbox, rows};
use super::{count, run};
use crate::StoreError;

const LEAVE_EVENT: &str = "UPDATE goal_events SET event = ?2, event_id = ?3 WHERE id = ?1";
const FIND_DELIVERIES: &str = "SELECT id, destination, state FROM deliveries
    WHERE id BETWEEN ?1 AND ?2 AND goal_event = ?3";
/// What had arrived before it was sent once more stays delivered.
const CANCEL: &str = "UPDATE deliveries SET state = CASE WHEN arrived_at IS NULL THEN 'cancelled' ELSE 'delivered' END,
        reason = CASE WHEN arrived_at IS NULL THEN ?2 WHEN arrived_in_part THEN 'refused_in_part' ELSE ?4 END, detail = '', finished_at = coalesce(arrived_at, ?3),
        fence = fence + 1, lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 RETURNING state";
const LEAVE_DELIVERY: &str = "UPDATE deliveries SET detail = '' WHERE id = ?1";
const LEAVE_CALLS: &str = "UPDATE calls SET response = '', detail = '',
        url = CASE WHEN batch = 1 OR finished_at IS NULL THEN '' ELSE url END
    WHERE id IN (SELECT call FROM attempts WHERE delivery = ?1)";
/// What is still open will never be closed by anybody else.
const LEAVE_ATTEMPTS: &str = "UPDATE attempts SET payload = '',
        reason = CASE WHEN outcome IS NULL THEN 'outcome_unknown' ELSE reason END, outcome = coalesce(outcome, 'retry')
    WHERE delivery = ?1";
/// The same of calls that have their attempt in their row: they are about nobody else.
pub(in crate::sqlite) const LEAVE_CALLS_OF_ONE: &str = "UPDATE calls SET payload = '', url = '', response = '', detail = '',
        reason = CASE WHEN outcome IS NULL THEN 'outcome_unknown' ELSE reason END, outcome = coalesce(outcome, 'retry')
    WHERE delivery = ?1";

pub(super) fn erase_event(
    connection: &Connection,
    erasure: ErasureId,
    (id, left): (GoalEventId, &OutboundEvent),
    now: Timestamp,
) -> Result<(), StoreError> {
    let written = run(connection, LEAVE_EVENT, params![id.as_bytes(), rows::to_json(left)?, left.event_id])?;
    count(connection, erasure, "events", written)?;
    let (first, last) = (DeliveryId::of(id, 0), DeliveryId::of(id, u32::MAX));
    let mut find = connection.prepare_cached(FIND_DELIVERIES)?;
    let values = params![first.as_bytes(), last.as_bytes(), id.as_bytes()];
    let found = find.query_map(values, |row| {
        Ok((
            row.get::<_, [u8; 16]>(0)?,
            row.get::<_, String>(1)?,
            rows::word(row, 2, DeliveryState::from_word)?,
        ))
    })?;
    for (delivery, destination, state) in found.collect::<rusqlite::Result<Vec<_>>>()? {
        erase_delivery(connection, erasure, (delivery, &destination, state), now)?;
    }
    Ok(())
}

/// What has not arrived never will; what has stays counted as that.
fn erase_delivery(
    connection: &Connection,
    erasure: ErasureId,
    (id, destination, state): ([u8; 16], &str, DeliveryState),
    now: Timestamp,
) -> Result<(), StoreError> {
    if state == DeliveryState::Delivered {
        run(connection, LEAVE_DELIVERY, params![id])?;
    } else {
        let stands = Reason::FirstDeliveryStands.code();
        let values = params![id, Reason::Erased.code(), now.as_millis(), stands];
        let read = |row: &Row<'_>| rows::word(row, 0, DeliveryState::from_word);
        let becomes = connection.prepare_cached(CANCEL)?.query_row(values, read)?;
        if state != becomes {
            outbox::moved(connection, destination, state, becomes, 1)?;
        }
        match (state, becomes) {
            (DeliveryState::Pending, DeliveryState::Cancelled) => {
                count(connection, erasure, "deliveries_cancelled", 1)?;
            }
            // What had arrived before it was sent once more is as it was.
            (DeliveryState::Pending, _) => {}
            _ => count(connection, erasure, "dead_letters", 1)?,
        }
    }
    count(connection, erasure, "deliveries", 1)?;
    run(connection, LEAVE_CALLS, params![id])?;
    let in_their_rows = run(connection, LEAVE_ATTEMPTS, params![id])?;
    let in_their_calls = run(connection, LEAVE_CALLS_OF_ONE, params![id])?;
    count(connection, erasure, "attempts", in_their_rows + in_their_calls)
}
