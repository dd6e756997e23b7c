//! The outbox: leasing, calling, settling. Whatever a worker writes carries the guard that its lease still holds.

use std::sync::Arc;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, ToSql, params};

use close::{close, close_call};
use lease::{EVENTS_AT_ONCE_MAX, close_open, lease, with_events};

use super::tally::{COUNT_DELIVERIES, Tally};
use super::{Sqlite, destinations, reversals, rows};
use crate::destinations::By;
use crate::{
    After, CallEnd, CallResult, DestinationState, Held, LeaseWanted, LeasedDelivery, NewCall, Settled,
    Settlement, StoreError, Unsent, WORKSPACE,
};

mod close;
mod lease;
pub(super) mod requeue;
#[cfg(test)]
mod tests;

// The number comes along with the next statement: `RETURNING` would make and throw away a table for each call. Not as
// `INSERT .. SELECT`, which may insert many rows, so that SQLite copies each page it changes to be able to take it back.
const OPEN: &str = "UPDATE deliveries SET attempts = attempts + 1
    WHERE id = ?1 AND fence = ?2 AND lease_until > ?3 AND destination = ?4";
const INSERT_ATTEMPT: &str = "INSERT INTO attempts (delivery, number, workspace, call, payload)
    VALUES (?1, (SELECT attempts FROM deliveries WHERE id = ?1), ?2, ?3, ?4)";
/// Of one event: with its attempt, which has no other row.
const INSERT_CALL: &str =
    "INSERT INTO calls (id, workspace, destination, started_at, method, url, batch, response, detail, payload,
        delivery, number)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', '', ?8, ?9, (SELECT attempts FROM deliveries WHERE id = ?9))";

/// A call without a URL was emptied while it was under way: its answer is not kept either.
const CLOSE_CALL: &str = "UPDATE calls SET finished_at = ?2, status = ?3,
        response = CASE WHEN url = '' THEN '' ELSE ?4 END, detail = CASE WHEN url = '' THEN '' ELSE ?5 END
    WHERE id = ?1";
const CLOSE_ATTEMPT: &str = "UPDATE attempts SET outcome = ?3, reason = ?4
    WHERE delivery = ?1 AND call = ?2 AND outcome IS NULL";
const KEEP: &str = "UPDATE deliveries SET reason = ?3, detail = ?4
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
/// What waits goes behind all that is due: whoever is tried first next time is somebody else.
const POSTPONE: &str = "UPDATE deliveries SET reason = ?3, detail = ?4, failures = failures + ?5,
        lane = max(lane, ?5), deadline_at = min(deadline_at, coalesce(?7, deadline_at)),
        due_at = coalesce(?6, due_at), available_at = coalesce(?6, max(due_at, ?8)), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
const DELIVERED: &str =
    "UPDATE deliveries SET reason = ?3, detail = ?4, state = 'delivered', finished_at = ?5,
        lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
/// What had arrived before stays delivered, since then.
const FAILED: &str = "UPDATE deliveries SET reason = CASE WHEN arrived_at IS NULL THEN ?3 WHEN arrived_in_part THEN 'refused_in_part' ELSE ?7 END,
        detail = ?4, state = CASE WHEN arrived_at IS NULL THEN ?5 ELSE 'delivered' END,
        finished_at = coalesce(arrived_at, ?6), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL RETURNING destination, state";
const RENEW: &str = "UPDATE deliveries SET lease_until = ?3, available_at = ?3
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";
const RELEASE: &str =
    "UPDATE deliveries SET lease_owner = NULL, lease_until = NULL, available_at = coalesce(?3, due_at)
    WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL";

const FIND_OVERDUE: &str = "SELECT id FROM deliveries INDEXED BY deliveries_pending
    WHERE workspace = ?1 AND state = 'pending' AND deadline_at < ?2 AND (lease_until IS NULL OR lease_until <= ?2)
    LIMIT ?3";
const EXPIRE: &str = "UPDATE deliveries SET reason = CASE WHEN arrived_at IS NULL THEN ?2 WHEN arrived_in_part THEN 'refused_in_part' ELSE ?4 END,
        detail = '', state = CASE WHEN arrived_at IS NULL THEN 'expired' ELSE 'delivered' END,
        finished_at = coalesce(arrived_at, ?3), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND state = 'pending' AND deadline_at < ?3 AND (lease_until IS NULL OR lease_until <= ?3)
    RETURNING destination, state";
/// What had arrived before it was sent once more stays delivered. Whoever works on it at this moment goes on.
const CANCEL: &str = "UPDATE deliveries SET reason = CASE WHEN arrived_at IS NULL THEN ?2 WHEN arrived_in_part THEN 'refused_in_part' ELSE ?4 END,
        detail = '', state = CASE WHEN arrived_at IS NULL THEN 'cancelled' ELSE 'delivered' END,
        finished_at = coalesce(arrived_at, ?3), lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND state = 'pending' AND (lease_until IS NULL OR lease_until <= ?3)
    RETURNING destination, state";

/// How many deliveries of a destination reached which final state.
struct Finished {
    destination: String,
    states: Vec<(DeliveryState, i64)>,
}

impl Finished {
    fn count(&self, tally: &mut Tally) {
        for (state, count) in &self.states {
            tally.move_deliveries(&self.destination, *state, *count);
        }
    }
}

impl Sqlite {
    pub(crate) async fn lease_deliveries(
        &self,
        wanted: LeaseWanted,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let weight = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let work = move |connection: &Connection| {
            let taken = lease(connection, &wanted)?;
            if taken.len() > EVENTS_AT_ONCE_MAX {
                Ok(Err(taken))
            } else {
                with_events(connection, taken).map(Ok)
            }
        };
        let taken = match self.engine.write_fleeting(weight, work).await? {
            Ok(leased) => return Ok(leased),
            Err(taken) => taken,
        };
        let held = taken.iter().map(|one| Held { id: one.id, fence: one.fence }).collect();
        // Beside the writer, which has other things to do. Whoever changes an event takes its leases away.
        let read = move |connection: &Connection| {
            // Otherwise each of them is a transaction of its own.
            let _transaction = connection.unchecked_transaction()?;
            with_events(connection, taken)
        };
        let leased = self.engine.read(read).await;
        if leased.is_err() {
            // Nobody will work on them; if this fails as well, the lease runs out.
            self.release_leases(held, None).await.ok();
        }
        leased
    }

    pub(crate) async fn open_call(&self, call: NewCall) -> Result<Vec<Held>, StoreError> {
        let weight = call.deliveries.len();
        self.engine.write(weight, move |connection| Intents::to(connection)?.write(&call)).await
    }

    pub(crate) async fn open_calls(&self, calls: Arc<Vec<NewCall>>) -> Vec<Result<Vec<Held>, StoreError>> {
        let (weight, together) = (calls.iter().map(|call| call.deliveries.len()).sum(), Arc::clone(&calls));
        let all = move |connection: &Connection| {
            let mut intents = Intents::to(connection)?;
            together.iter().map(|call| intents.write(call)).collect::<Result<Vec<_>, _>>()
        };
        let opened = self.engine.write(weight, all).await;
        if !alone_is_better(&opened, calls.len()) {
            return for_each(opened, calls.len());
        }
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls.iter() {
            answers.push(self.open_call(call.clone()).await);
        }
        answers
    }

    pub(crate) async fn settle_call(
        &self,
        result: CallResult,
        settlements: Vec<Settlement>,
        state: Option<DestinationState>,
    ) -> Result<Settled, StoreError> {
        let end = CallEnd { result, settlements, state };
        let weight = weight_of(&end);
        let work = move |connection: &Connection| settle(connection, &end);
        let counted = |done: &(Settled, Finished), tally: &mut Tally| done.1.count(tally);
        self.engine.write_counted(weight, work, counted).await.map(|(settled, _)| settled)
    }

    pub(crate) async fn settle_calls(&self, ends: Arc<Vec<CallEnd>>) -> Vec<Result<Settled, StoreError>> {
        let (weight, together) = (ends.iter().map(weight_of).sum(), Arc::clone(&ends));
        let all = move |connection: &Connection| {
            together.iter().map(|end| settle(connection, end)).collect::<Result<Vec<_>, _>>()
        };
        let counted = |done: &Vec<(Settled, Finished)>, tally: &mut Tally| {
            done.iter().for_each(|(_, finished)| finished.count(tally));
        };
        let settled = self.engine.write_counted(weight, all, counted).await;
        let settled = settled.map(|all| all.into_iter().map(|(settled, _)| settled).collect());
        if !alone_is_better(&settled, ends.len()) {
            return for_each(settled, ends.len());
        }
        let mut answers = Vec::with_capacity(ends.len());
        for CallEnd { result, settlements, state } in ends.iter().cloned() {
            answers.push(self.settle_call(result, settlements, state).await);
        }
        answers
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
        self.engine.write_fleeting(weight, work).await
    }

    pub(crate) async fn release_leases(
        &self,
        held: Vec<Held>,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let (weight, until) = (held.len(), until.map(Timestamp::as_millis));
        let work = move |connection: &Connection| {
            let mut release = connection.prepare_cached(RELEASE)?;
            for one in &held {
                release.execute(params![one.id.as_bytes(), one.fence, until])?;
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

/// What writes intents down: looked up once for all that are written together.
struct Intents<'c> {
    open: CachedStatement<'c>,
    attempt: CachedStatement<'c>,
    call: CachedStatement<'c>,
}

impl<'c> Intents<'c> {
    fn to(connection: &'c Connection) -> Result<Self, StoreError> {
        let open = connection.prepare_cached(OPEN)?;
        let attempt = connection.prepare_cached(INSERT_ATTEMPT)?;
        Ok(Self { open, attempt, call: connection.prepare_cached(INSERT_CALL)? })
    }

    fn write(&mut self, call: &NewCall) -> Result<Vec<Held>, StoreError> {
        let mut sent = Vec::with_capacity(call.deliveries.len());
        for wanted in &call.deliveries {
            let (one, _) = wanted;
            let guard = params![one.id.as_bytes(), one.fence, call.started_at.as_millis(), call.destination];
            if self.open.execute(guard)? == 1 {
                sent.push(wanted);
            }
        }
        let alone = match sent[..] {
            [] => return Ok(Vec::new()),
            [one] => Some(one),
            _ => None,
        };
        if alone.is_none() {
            for (one, payload) in &sent {
                self.attempt.execute(params![one.id.as_bytes(), WORKSPACE, call.id.as_bytes(), payload])?;
            }
        }
        self.call.execute(params![
            call.id.as_bytes(),
            WORKSPACE,
            call.destination,
            call.started_at.as_millis(),
            call.method,
            call.url,
            u32::try_from(sent.len()).unwrap_or(u32::MAX),
            alone.map_or("", |(_, payload)| payload),
            alone.map(|(one, _)| one.id.as_bytes()),
        ])?;
        Ok(sent.into_iter().map(|(one, _)| *one).collect())
    }
}

fn weight_of(end: &CallEnd) -> usize {
    end.settlements.len() + 1
}

/// Whether pieces that were one write are written each by itself: one of them failed over itself, and with it the others.
fn alone_is_better<T>(together: &Result<Vec<T>, StoreError>, count: usize) -> bool {
    count > 1 && matches!(together, Err(StoreError::Corrupt(_)))
}

/// What came of many pieces that were one write, for each of them.
fn for_each<T>(together: Result<Vec<T>, StoreError>, count: usize) -> Vec<Result<T, StoreError>> {
    match together {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(error) => std::iter::repeat_with(|| Err(error.clone())).take(count).collect(),
    }
}

fn settle(connection: &Connection, end: &CallEnd) -> Result<(Settled, Finished), StoreError> {
    let CallEnd { result, settlements, state } = end;
    if let Some(state) = state {
        destinations::set(connection, state, By::call(result))?;
    }
    let mut closed = false;
    let mut settled = Settled::default();
    let mut left: Vec<(DeliveryState, i64)> = Vec::new();
    for settlement in settlements {
        let ended = settle_one(connection, result, settlement)?;
        closed |= close(connection, end, settlement, ended.is_some())?;
        let Some(state) = ended else {
            settled.stale += 1;
            continue;
        };
        settled.applied += 1;
        if let Some(state) = state {
            match left.iter_mut().find(|(known, _)| *known == state) {
                Some((_, count)) => *count += 1,
                None => left.push((state, 1)),
            }
        }
    }
    if !closed && !close_call(connection, result)? {
        return Err(StoreError::Corrupt("the call was never opened".into()));
    }
    Ok((settled, Finished { destination: result.destination.clone(), states: left }))
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
    let now = result.finished_at.as_millis();
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
            let values = params![id, fence, reason, detail, now];
            run(DELIVERED, values, Some(DeliveryState::Delivered))
        }
        After::Dead => failed(DeliveryState::Dead),
        After::Expired => failed(DeliveryState::Expired),
        After::RetryAt(at) => {
            run(POSTPONE, params![id, fence, reason, detail, 1, at.as_millis(), last_at, now], None)
        }
        After::Wait => run(POSTPONE, params![id, fence, reason, detail, 0, None::<i64>, last_at, now], None),
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

/// The destination of a delivery and the state it has now.
pub(super) fn ended(row: &Row<'_>) -> rusqlite::Result<(String, DeliveryState)> {
    Ok((row.get(0)?, rows::word(row, 1, DeliveryState::from_word)?))
}

fn expire(connection: &Connection, overdue: &[[u8; 16]], now: Timestamp) -> Result<u64, StoreError> {
    let mut expired = 0;
    for id in overdue {
        expired += u64::from(end(connection, EXPIRE, id, Reason::EventTooOld, now)?);
    }
    Ok(expired)
}

/// Calls a delivery off, if it waits and nobody works on it. Whether it did.
pub(super) fn cancel(connection: &Connection, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
    end(connection, CANCEL, id.as_bytes(), Reason::CancelledByHand, now)
}

/// Ends a delivery that waits, by a statement that looks whether it may; whether it did.
fn end(
    connection: &Connection,
    statement: &str,
    id: &[u8; 16],
    reason: Reason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let values = params![id, reason.code(), now.as_millis(), Reason::FirstDeliveryStands.code()];
    let ended = connection.prepare_cached(statement)?.query_row(values, ended).optional()?;
    if let Some((destination, state)) = &ended {
        close_open(connection, id)?;
        moved(connection, destination, DeliveryState::Pending, *state, 1)?;
        reversals::note_failed(connection, id)?;
    }
    Ok(ended.is_some())
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
