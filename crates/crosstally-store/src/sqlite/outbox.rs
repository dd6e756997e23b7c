//! The outbox: leasing, calling, settling. Whatever a worker writes carries the guard that its lease still holds.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::lane::{Lane, shares};
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::{DeliveryId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::tally::{COUNT_DELIVERIES, Tally};
use super::{Sqlite, destinations, reversals, rows};
use crate::{
    After, CallResult, DestinationState, Held, LeaseWanted, LeasedDelivery, NewCall, Settled, Settlement,
    StoreError, Unsent, WORKSPACE,
};

pub(super) mod requeue;
#[cfg(test)]
mod tests;

const FIND_DUE: &str =
    "SELECT id, fence, goal_event, attempts, failures, deadline_at, created_at FROM deliveries
    WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = ?5 AND available_at <= ?3
    ORDER BY available_at, id LIMIT ?4";
const LEASE: &str =
    "UPDATE deliveries SET fence = fence + 1, lease_owner = ?2, lease_until = ?3, available_at = ?3
    WHERE id = ?1";
const CLOSE_UNKNOWN: &str = "UPDATE attempts SET outcome = 'retry', reason = 'outcome_unknown'
    WHERE delivery = ?1 AND outcome IS NULL";
const STILL_OPEN: &str = "SELECT min(c.started_at) FROM attempts AS a JOIN calls AS c ON c.id = a.call
    WHERE a.delivery = ?1 AND a.outcome IS NULL";
/// Only by the call that is unknown now: what was made due anew since an older one has its own deadline.
const MARK_UNKNOWN: &str = "UPDATE deliveries SET reason = 'outcome_unknown', detail = '',
        deadline_at = min(deadline_at, coalesce(?3 + ?2, deadline_at))
    WHERE id = ?1 RETURNING deadline_at";
const FIND_EVENT: &str = "SELECT event FROM goal_events WHERE id = ?1";

// In two statements, as `RETURNING` would make and throw away a table for each call.
const FIND_HELD: &str = "SELECT attempts + 1 FROM deliveries
    WHERE id = ?1 AND fence = ?2 AND lease_until > ?3 AND destination = ?4";
const OPEN: &str = "UPDATE deliveries SET attempts = ?2 WHERE id = ?1";
const INSERT_ATTEMPT: &str = "INSERT INTO attempts (delivery, number, workspace, call, payload)
    VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_CALL: &str =
    "INSERT INTO calls (id, workspace, destination, started_at, method, url, batch, response, detail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', '')";

const FIND_CALLED: &str = "SELECT destination FROM calls WHERE id = ?1";
/// A call without a URL was emptied while it was under way: its answer is not kept either.
const CLOSE_CALL: &str = "UPDATE calls SET finished_at = ?2, status = ?3,
        response = CASE WHEN url = '' THEN '' ELSE ?4 END, detail = CASE WHEN url = '' THEN '' ELSE ?5 END
    WHERE id = ?1";
const CLOSE_ATTEMPT: &str = "UPDATE attempts SET outcome = ?3, reason = ?4
    WHERE delivery = ?1 AND call = ?2 AND outcome IS NULL";
const KEEP: &str = "UPDATE deliveries SET reason = ?3, detail = ?4
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
const POSTPONE: &str = "UPDATE deliveries SET reason = ?3, detail = ?4, failures = failures + ?5,
        lane = max(lane, ?5), deadline_at = min(deadline_at, coalesce(?7, deadline_at)),
        due_at = coalesce(?6, due_at), available_at = coalesce(?6, due_at), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
const DELIVERED: &str =
    "UPDATE deliveries SET reason = ?3, detail = ?4, state = 'delivered', finished_at = ?5,
        lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
/// What had arrived before stays delivered, since then.
const FAILED: &str = "UPDATE deliveries SET reason = CASE WHEN arrived_at IS NULL THEN ?3 ELSE ?7 END,
        detail = ?4, state = CASE WHEN arrived_at IS NULL THEN ?5 ELSE 'delivered' END,
        finished_at = coalesce(arrived_at, ?6), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL RETURNING destination, state";
const RENEW: &str = "UPDATE deliveries SET lease_until = ?3, available_at = ?3
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
const RELEASE: &str = "UPDATE deliveries SET lease_owner = NULL, lease_until = NULL, available_at = due_at
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";

const FIND_OVERDUE: &str = "SELECT id FROM deliveries INDEXED BY deliveries_pending
    WHERE workspace = ?1 AND state = 'pending' AND deadline_at < ?2 AND (lease_until IS NULL OR lease_until <= ?2)
    LIMIT ?3";
const EXPIRE: &str = "UPDATE deliveries SET reason = CASE WHEN arrived_at IS NULL THEN ?2 ELSE ?4 END,
        detail = '', state = CASE WHEN arrived_at IS NULL THEN 'expired' ELSE 'delivered' END,
        finished_at = coalesce(arrived_at, ?3), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND state = 'pending' AND deadline_at < ?3 AND (lease_until IS NULL OR lease_until <= ?3)
    RETURNING destination, state";

/// How many deliveries of a destination reached which final state.
struct Finished {
    destination: String,
    states: Vec<(DeliveryState, i64)>,
}

/// A delivery just leased, its event still to be read.
struct Taken {
    id: DeliveryId,
    fence: i64,
    goal_event: GoalEventId,
    attempts: u32,
    failures: u32,
    deadline_at: Timestamp,
    created_at: Timestamp,
}

impl Sqlite {
    pub(crate) async fn lease_deliveries(
        &self,
        wanted: LeaseWanted,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let weight = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let taken = self.engine.write(weight, move |connection| lease(connection, &wanted)).await?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let held = taken.iter().map(|one| Held { id: one.id, fence: one.fence }).collect();
        // Events never change: they are read beside the writer, which has other things to do.
        let leased = self.engine.read(move |connection| with_events(connection, taken)).await;
        if leased.is_err() {
            // Nobody will work on them; if this fails as well, the lease runs out.
            self.release_leases(held).await.ok();
        }
        leased
    }

    pub(crate) async fn open_call(&self, call: NewCall) -> Result<Vec<Held>, StoreError> {
        let weight = call.deliveries.len();
        self.engine.write(weight, move |connection| open_call(connection, &call)).await
    }

    pub(crate) async fn settle_call(
        &self,
        result: CallResult,
        settlements: Vec<Settlement>,
        state: Option<DestinationState>,
    ) -> Result<Settled, StoreError> {
        let weight = settlements.len() + 1;
        let work = move |connection: &Connection| {
            if let Some(state) = &state {
                destinations::set(connection, state)?;
            }
            settle(connection, &result, &settlements)
        };
        let counted = |(_, finished): &(Settled, Finished), tally: &mut Tally| {
            for (state, count) in &finished.states {
                tally.move_deliveries(&finished.destination, *state, *count);
            }
        };
        self.engine.write_counted(weight, work, counted).await.map(|(settled, _)| settled)
    }

    pub(crate) async fn settle_unsent(
        &self,
        unsent: Vec<Unsent>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let weight = unsent.len();
        let work = move |connection: &Connection| {
            let mut settled = Settled::default();
            for one in &unsent {
                let end = (one.reason, one.detail.as_str(), one.state, now);
                match fail(connection, one.held, end)? {
                    Some((destination, state)) => {
                        settled.applied += 1;
                        moved(connection, &destination, DeliveryState::Pending, state, 1)?;
                    }
                    None => settled.stale += 1,
                }
            }
            Ok(settled)
        };
        self.engine.write(weight, work).await
    }

    pub(crate) async fn renew_leases(
        &self,
        held: Vec<Held>,
        until: Timestamp,
    ) -> Result<Vec<Held>, StoreError> {
        let weight = held.len();
        let work = move |connection: &Connection| {
            let mut renew = connection.prepare_cached(RENEW)?;
            let mut still = Vec::with_capacity(held.len());
            for one in &held {
                if renew.execute(params![one.id.as_bytes(), one.fence, until.as_millis()])? == 1 {
                    still.push(*one);
                }
            }
            Ok(still)
        };
        self.engine.write(weight, work).await
    }

    pub(crate) async fn release_leases(&self, held: Vec<Held>) -> Result<(), StoreError> {
        let weight = held.len();
        let work = move |connection: &Connection| {
            let mut release = connection.prepare_cached(RELEASE)?;
            for one in &held {
                release.execute(params![one.id.as_bytes(), one.fence])?;
            }
            Ok(())
        };
        self.engine.write(weight, work).await
    }

    pub(crate) async fn expire_overdue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        // The search may have to look at all that is pending, so it happens beside the writer, which then looks again
        // at those that were found.
        let find = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(FIND_OVERDUE)?;
            let ids = ask.query_map(params![WORKSPACE, now.as_millis(), limit], |row| row.get(0))?;
            Ok(ids.collect::<rusqlite::Result<Vec<[u8; 16]>>>()?)
        };
        let overdue = self.engine.read(find).await?;
        if overdue.is_empty() {
            return Ok(0);
        }
        let weight = overdue.len();
        self.engine.write(weight, move |connection| expire(connection, &overdue, now)).await
    }
}

fn lease(connection: &Connection, wanted: &LeaseWanted) -> Result<Vec<Taken>, StoreError> {
    let mut taken = Vec::new();
    let mut waiting = Vec::with_capacity(Lane::ALL.len());
    for lane in Lane::ALL {
        waiting.push(due(connection, wanted, lane)?);
    }
    let places = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let counts = [waiting[0].len(), waiting[1].len(), waiting[2].len()];
    for (due, take) in waiting.into_iter().zip(shares(places, counts)) {
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
    if connection.prepare_cached(CLOSE_UNKNOWN)?.execute([id])? > 0 {
        one.deadline_at = connection
            .prepare_cached(MARK_UNKNOWN)?
            .query_row(params![id, unknown_for_ms, called_at], |row| row.get(0))
            .map(Timestamp::from_millis)?;
    }
    Ok(())
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
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn with_events(connection: &Connection, taken: Vec<Taken>) -> Result<Vec<LeasedDelivery>, StoreError> {
    let mut find = connection.prepare_cached(FIND_EVENT)?;
    let mut leased = Vec::with_capacity(taken.len());
    for one in taken {
        let text: Option<String> =
            find.query_row([one.goal_event.as_bytes()], |row| row.get(0)).optional()?;
        let event = text.and_then(|text| serde_json::from_str::<OutboundEvent>(&text).ok());
        let Some(event) = event else {
            // One unreadable event must not hold up all others.
            tracing::error!(goal_event.id = %one.goal_event, delivery.id = %one.id, "a stored event cannot be read");
            continue;
        };
        leased.push(LeasedDelivery {
            id: one.id,
            fence: one.fence,
            event,
            attempts: one.attempts,
            failures: one.failures,
            deadline_at: one.deadline_at,
            created_at: one.created_at,
        });
    }
    Ok(leased)
}

fn open_call(connection: &Connection, call: &NewCall) -> Result<Vec<Held>, StoreError> {
    let mut held = Vec::with_capacity(call.deliveries.len());
    let mut find = connection.prepare_cached(FIND_HELD)?;
    let mut open = connection.prepare_cached(OPEN)?;
    let mut insert = connection.prepare_cached(INSERT_ATTEMPT)?;
    for (one, payload) in &call.deliveries {
        let guard = params![one.id.as_bytes(), one.fence, call.started_at.as_millis(), call.destination];
        let number: Option<u32> = find.query_row(guard, |row| row.get(0)).optional()?;
        if let Some(number) = number {
            open.execute(params![one.id.as_bytes(), number])?;
            insert.execute(params![one.id.as_bytes(), number, WORKSPACE, call.id.as_bytes(), payload])?;
            held.push(*one);
        }
    }
    let batch = u32::try_from(held.len()).unwrap_or(u32::MAX);
    if batch > 0 {
        connection.prepare_cached(INSERT_CALL)?.execute(params![
            call.id.as_bytes(),
            WORKSPACE,
            call.destination,
            call.started_at.as_millis(),
            call.method,
            call.url,
            batch,
        ])?;
    }
    Ok(held)
}

fn settle(
    connection: &Connection,
    result: &CallResult,
    settlements: &[Settlement],
) -> Result<(Settled, Finished), StoreError> {
    let destination: Option<String> = connection
        .prepare_cached(FIND_CALLED)?
        .query_row([result.id.as_bytes()], |row| row.get(0))
        .optional()?;
    let destination = destination.ok_or_else(|| StoreError::Corrupt("the call was never opened".into()))?;
    connection.prepare_cached(CLOSE_CALL)?.execute(params![
        result.id.as_bytes(),
        result.finished_at.as_millis(),
        result.status,
        result.response,
        result.detail
    ])?;
    let mut close_attempt = connection.prepare_cached(CLOSE_ATTEMPT)?;
    let mut settled = Settled::default();
    let mut left: Vec<(DeliveryState, i64)> = Vec::new();
    for settlement in settlements {
        let Some(state) = settle_one(connection, result, settlement)? else {
            settled.stale += 1;
            continue;
        };
        settled.applied += 1;
        close_attempt.execute(params![
            settlement.held.id.as_bytes(),
            result.id.as_bytes(),
            settlement.outcome.as_str(),
            settlement.outcome.reason().code()
        ])?;
        if let Some(state) = state {
            match left.iter_mut().find(|(known, _)| *known == state) {
                Some((_, count)) => *count += 1,
                None => left.push((state, 1)),
            }
        }
    }
    Ok((settled, Finished { destination, states: left }))
}

/// Where it stands now if it has ended; `None` if the lease did not hold.
fn settle_one(
    connection: &Connection,
    result: &CallResult,
    settlement: &Settlement,
) -> Result<Option<Option<DeliveryState>>, StoreError> {
    let (id, fence) = (settlement.held.id.as_bytes(), settlement.held.fence);
    let (reason, detail) = (settlement.reason.code(), &result.detail);
    let last_at = settlement.last_at.map(Timestamp::as_millis);
    let run = |statement: &str, values: &[&dyn ToSql], state: Option<DeliveryState>| {
        let held = connection.prepare_cached(statement)?.execute(values)? == 1;
        Ok(held.then_some(state))
    };
    let failed = |state: DeliveryState| {
        let end = (settlement.reason, result.detail.as_str(), state, result.finished_at);
        Ok(fail(connection, settlement.held, end)?.map(|(_, state)| Some(state)))
    };
    match settlement.after {
        After::Delivered => {
            let values = params![id, fence, reason, detail, result.finished_at.as_millis()];
            run(DELIVERED, values, Some(DeliveryState::Delivered))
        }
        After::Dead => failed(DeliveryState::Dead),
        After::Expired => failed(DeliveryState::Expired),
        After::RetryAt(at) => {
            run(POSTPONE, params![id, fence, reason, detail, 1, at.as_millis(), last_at], None)
        }
        After::Wait => run(POSTPONE, params![id, fence, reason, detail, 0, None::<i64>, last_at], None),
        After::KeepLease => run(KEEP, params![id, fence, reason, detail], None),
    }
}

/// Ends a delivery without arrival; its destination and the state it has now, if the lease held.
fn fail(
    connection: &Connection,
    held: Held,
    (reason, detail, state, at): (Reason, &str, DeliveryState, Timestamp),
) -> Result<Option<(String, DeliveryState)>, StoreError> {
    let id = held.id.as_bytes();
    let stands = Reason::FirstDeliveryStands.code();
    let values = params![id, held.fence, reason.code(), detail, state.as_str(), at.as_millis(), stands];
    let ended = connection.prepare_cached(FAILED)?.query_row(values, ended).optional()?;
    if ended.is_some() {
        reversals::note_failed(connection, id)?;
    }
    Ok(ended)
}

fn ended(row: &Row<'_>) -> rusqlite::Result<(String, DeliveryState)> {
    Ok((row.get(0)?, rows::word(row, 1, DeliveryState::from_word)?))
}

fn expire(connection: &Connection, overdue: &[[u8; 16]], now: Timestamp) -> Result<u64, StoreError> {
    let (too_old, stands) = (Reason::EventTooOld.code(), Reason::FirstDeliveryStands.code());
    let mut expired = 0;
    for id in overdue {
        let values = params![id, too_old, now.as_millis(), stands];
        let ended = connection.prepare_cached(EXPIRE)?.query_row(values, ended).optional()?;
        if let Some((destination, state)) = ended {
            connection.prepare_cached(CLOSE_UNKNOWN)?.execute([id])?;
            moved(connection, &destination, DeliveryState::Pending, state, 1)?;
            reversals::note_failed(connection, id)?;
            expired += 1;
        }
    }
    Ok(expired)
}

/// Counts a delivery that was booked outside a postback.
pub(super) fn booked(connection: &Connection, destination: &str) -> Result<(), StoreError> {
    let counted = params![WORKSPACE, destination, DeliveryState::Pending.as_str(), 1];
    connection.prepare_cached(COUNT_DELIVERIES)?.execute(counted)?;
    Ok(())
}

/// Keeps the counts true when deliveries go from one state to another.
pub(super) fn moved(
    connection: &Connection,
    destination: &str,
    from: DeliveryState,
    to: DeliveryState,
    count: i64,
) -> Result<(), StoreError> {
    let mut keep = connection.prepare_cached(COUNT_DELIVERIES)?;
    keep.execute(params![WORKSPACE, destination, from.as_str(), -count])?;
    keep.execute(params![WORKSPACE, destination, to.as_str(), count])?;
    Ok(())
}
