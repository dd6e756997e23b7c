//! Leasing: which deliveries are due, and whose they are from now on.

use crosstally_core::delivery::lane::{Lane, shares};
use crosstally_core::ids::{DeliveryId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{EventText, LeaseWanted, LeasedDelivery, StoreError, WORKSPACE};

pub(super) const FIND_DUE: &str =
    "SELECT id, fence, goal_event, attempts, failures, deadline_at, created_at, reason FROM deliveries
    WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = ?5 AND available_at <= ?3
    ORDER BY available_at, id LIMIT ?4";
pub(super) const LEASE: &str =
    "UPDATE deliveries SET fence = fence + 1, lease_owner = ?2, lease_until = ?3, available_at = ?3
    WHERE id = ?1";
pub(super) const CLOSE_UNKNOWN: &str = "UPDATE attempts SET outcome = 'retry', reason = 'outcome_unknown'
    WHERE delivery = ?1 AND outcome IS NULL";
pub(super) const CLOSE_UNKNOWN_OF_ONE: &str = "UPDATE calls SET outcome = 'retry', reason = 'outcome_unknown'
    WHERE delivery = ?1 AND outcome IS NULL";
pub(super) const STILL_OPEN: &str = "SELECT min(at) FROM (
        SELECT c.started_at AS at FROM attempts AS a JOIN calls AS c ON c.id = a.call
        WHERE a.delivery = ?1 AND a.outcome IS NULL
        UNION ALL SELECT started_at FROM calls WHERE delivery = ?1 AND outcome IS NULL)";
/// Only by the call that is unknown now: what was made due anew since an older one has its own deadline.
const MARK_UNKNOWN: &str = "UPDATE deliveries SET reason = 'outcome_unknown', detail = '',
        deadline_at = min(deadline_at, coalesce(?3 + ?2, deadline_at))
    WHERE id = ?1 RETURNING deadline_at";
pub(super) const FIND_EVENT: &str = "SELECT event FROM goal_events WHERE id = ?1";

/// So few events are read with their lease, which is sooner than asking somebody else.
pub(super) const EVENTS_AT_ONCE_MAX: usize = 4;

/// A delivery just leased, its event still to be read.
pub(super) struct Taken {
    pub(super) id: DeliveryId,
    pub(super) fence: i64,
    goal_event: GoalEventId,
    attempts: u32,
    failures: u32,
    deadline_at: Timestamp,
    created_at: Timestamp,
    last: Option<Reason>,
}

/// Leases what is due, of each lane its share.
pub(super) fn lease(connection: &Connection, wanted: &LeaseWanted) -> Result<Vec<Taken>, StoreError> {
    let mut taken = Vec::new();
    let mut waiting = Vec::with_capacity(Lane::ALL.len());
    for lane in Lane::ALL {
        waiting.push(due(connection, wanted, lane)?);
    }
    let places = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let counts = [waiting[0].len(), waiting[1].len(), waiting[2].len()];
    for (due, take) in waiting.into_iter().zip(shares(places, counts, wanted.first)) {
        taken.extend(due.into_iter().take(take));
    }
    let mut lease = connection.prepare_cached(LEASE)?;
    for one in &mut taken {
        lease.execute(params![one.id.as_bytes(), wanted.owner, wanted.until.as_millis()])?;
        if one.attempts > 0 {
            close_unknown(connection, one, wanted.unknown_for_ms)?;
        }
    }
    Ok(taken)
}

/// An attempt that is still open belonged to a lease that ran out: nobody will come back to close it.
fn close_unknown(
    connection: &Connection,
    one: &mut Taken,
    unknown_for_ms: Option<i64>,
) -> Result<(), StoreError> {
    let id = one.id.as_bytes();
    let called_at: Option<i64> = connection.prepare_cached(STILL_OPEN)?.query_row([id], |row| row.get(0))?;
    if called_at.is_some() && close_open(connection, id)? > 0 {
        one.deadline_at = connection
            .prepare_cached(MARK_UNKNOWN)?
            .query_row(params![id, unknown_for_ms, called_at], |row| row.get(0))
            .map(Timestamp::from_millis)?;
        one.last = Some(Reason::OutcomeUnknown);
    }
    Ok(())
}

/// Closes what is open of a delivery, in rows of their own and in those of their calls: nobody will come back to it.
pub(super) fn close_open(connection: &Connection, id: &[u8; 16]) -> Result<usize, StoreError> {
    let by_itself = connection.prepare_cached(CLOSE_UNKNOWN)?.execute([id])?;
    Ok(by_itself + connection.prepare_cached(CLOSE_UNKNOWN_OF_ONE)?.execute([id])?)
}

/// What is due in one lane, oldest first.
fn due(connection: &Connection, wanted: &LeaseWanted, lane: Lane) -> Result<Vec<Taken>, StoreError> {
    let due = params![WORKSPACE, wanted.destination, wanted.now.as_millis(), wanted.limit, lane.number()];
    let mut find = connection.prepare_cached(FIND_DUE)?;
    let found = find.query_map(due, |row| {
        Ok(Taken {
            id: DeliveryId::from_bytes(row.get(0)?),
            fence: row.get::<_, i64>(1)? + 1,
            goal_event: GoalEventId::from_bytes(row.get(2)?),
            attempts: row.get(3)?,
            failures: row.get(4)?,
            deadline_at: Timestamp::from_millis(row.get(5)?),
            created_at: Timestamp::from_millis(row.get(6)?),
            last: row.get_ref(7)?.as_str_or_null().ok().flatten().and_then(Reason::from_code),
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The same with their events.
pub(super) fn with_events(
    connection: &Connection,
    taken: Vec<Taken>,
) -> Result<Vec<LeasedDelivery>, StoreError> {
    let mut find = connection.prepare_cached(FIND_EVENT)?;
    let mut leased = Vec::with_capacity(taken.len());
    for one in taken {
        // None that is missing must hold up all others: nobody can read it.
        let event: Option<String> =
            find.query_row([one.goal_event.as_bytes()], |row| row.get(0)).optional()?;
        leased.push(LeasedDelivery {
            id: one.id,
            fence: one.fence,
            event: EventText::new(event.unwrap_or_default()),
            attempts: one.attempts,
            failures: one.failures,
            deadline_at: one.deadline_at,
            created_at: one.created_at,
            last: one.last,
        });
    }
    Ok(leased)
}
