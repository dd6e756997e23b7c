//! The outbox: leasing, calling, settling. Whatever a worker writes carries the guard that its lease still holds.
//!
//! Each is one statement. Deliveries are taken in the order of their ids, so that no two statements wait for each other
//! in a circle; those that look for work leave aside what another one has in hand.
//!
//! Many rows are found by their ids alone, which are unique over all workspaces: a further condition that an index knows
//! would offer the planner another way, which looks cheap while the tables are young. `(..) IS TRUE` hides a condition
//! from it.

use std::sync::Arc;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::lane::reserved;
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::destinations::upsert;
use super::reversals::note_failed;
use super::rows::{Columns, Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::destinations::By;
use crate::{
    After, CallEnd, CallResult, DestinationState, EventText, Held, LeaseWanted, LeasedDelivery, NewCall,
    Settled, Settlement, StoreError, Unsent, WORKSPACE,
};

/// Keeps the counts from `moved`, which says by how much they change. See the receipts' counts for order and slot.
macro_rules! count_moved {
    () => {
        "counted AS (
            INSERT INTO delivery_counts AS c (workspace, destination, state, slot, count)
            SELECT $1::bigint, destination, state, pg_backend_pid() % 32, sum(change)::bigint FROM moved
            GROUP BY destination, state HAVING sum(change) <> 0 ORDER BY destination, state
            ON CONFLICT (workspace, destination, state, slot) DO UPDATE SET count = c.count + excluded.count
        )"
    };
}
pub(super) use count_moved;

pub(super) mod requeue;
mod together;

/// What is due in one lane, oldest first. Rows that are locked here and not taken are free again at the end of the statement.
macro_rules! due_in {
    ($lane:literal) => {
        concat!(
            "SELECT id, attempts, available_at FROM deliveries
            WHERE workspace = $1 AND destination = $2 AND state = 'pending' AND lane = ",
            $lane,
            " AND available_at <= $3 ORDER BY available_at, id LIMIT $4 FOR UPDATE SKIP LOCKED"
        )
    };
}

// An attempt that is still open belonged to a lease that ran out: nobody will come back to close it.
const LEASE: &str = concat!(
    "WITH fresh AS (",
    due_in!("0"),
    "), retried AS (",
    due_in!("1"),
    "), replayed AS (",
    due_in!("2"),
    "), ranked AS (
        SELECT *, 0 AS lane, $7::bigint AS most, row_number() OVER (ORDER BY available_at, id) AS place FROM fresh
        UNION ALL SELECT *, 1, $8::bigint, row_number() OVER (ORDER BY available_at, id) FROM retried
        UNION ALL SELECT *, 2, $9::bigint, row_number() OVER (ORDER BY available_at, id) FROM replayed
    ), due AS (
        SELECT id, attempts, available_at FROM ranked ORDER BY place > most, lane <> $11, lane, place LIMIT $4
    ), closed AS (
        UPDATE attempts AS a SET outcome = 'retry', reason = 'outcome_unknown'
        FROM due WHERE due.attempts > 0 AND a.delivery = due.id AND a.outcome IS NULL
        RETURNING a.delivery, a.call
    ), leased AS (
        UPDATE deliveries AS d
        SET fence = d.fence + 1, lease_owner = $5, lease_until = $6, available_at = $6,
            reason = CASE WHEN d.id IN (SELECT delivery FROM closed) THEN 'outcome_unknown' ELSE d.reason END,
            detail = CASE WHEN d.id IN (SELECT delivery FROM closed) THEN '' ELSE d.detail END,
            deadline_at = least(d.deadline_at, (SELECT min(c.started_at) + $10::bigint FROM closed JOIN calls AS c ON c.id = closed.call
                WHERE closed.delivery = d.id))
        FROM due WHERE d.id = due.id
        RETURNING d.id, d.fence, d.goal_event, d.attempts, d.failures, d.deadline_at, d.created_at, due.available_at, d.reason
    )
    SELECT l.id, l.fence, g.event, l.attempts, l.failures, l.deadline_at, l.created_at, l.reason
    FROM leased AS l LEFT JOIN goal_events AS g ON g.id = l.goal_event
    ORDER BY l.available_at, l.id"
);

const OPEN: &str = "WITH held AS (
        UPDATE deliveries AS d SET attempts = d.attempts + 1
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::bigint[]) AS h (id, fence, payload, position)
        WHERE d.id = h.id AND d.fence = h.fence AND d.lease_until > $8
            AND (d.workspace = $1 AND d.destination = $7) IS TRUE
        RETURNING d.id, d.attempts, h.payload, h.position
    ), noted AS (
        INSERT INTO attempts (workspace, delivery, number, call, payload)
        SELECT $1::bigint, id, attempts, $6::uuid, payload FROM held
    ), called AS (
        INSERT INTO calls (workspace, id, destination, started_at, method, url, batch, response, detail)
        SELECT $1, $6, $7, $8, $9::text, $10::text, count(*), '', '' FROM held HAVING count(*) > 0
    )
    SELECT position FROM held ORDER BY position";

/// A call without a URL was emptied while it was under way: its answer is not kept either. What waits goes behind all that
/// is due: whoever is tried first next time is somebody else.
const SETTLE: &str = concat!(
    "WITH called AS (
        UPDATE calls SET finished_at = $13, status = $14, response = CASE WHEN url = '' THEN '' ELSE $15::text END,
            detail = CASE WHEN url = '' THEN '' ELSE $16::text END
        WHERE id = $12 AND workspace = $1 RETURNING id
    ), settled AS (
        UPDATE deliveries AS d
        SET reason = CASE WHEN s.state = 'delivered' OR s.state IS NULL OR d.arrived_at IS NULL THEN s.reason
                WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $23 END,
            detail = $16,
            state = CASE WHEN s.state IS NULL THEN d.state WHEN d.arrived_at IS NULL THEN s.state ELSE 'delivered' END,
            finished_at = CASE WHEN s.state IS NULL THEN d.finished_at WHEN s.state = 'delivered' THEN $13
                ELSE coalesce(d.arrived_at, $13) END,
            failures = d.failures + s.failures, lane = greatest(d.lane, s.failures::smallint),
            deadline_at = least(d.deadline_at, s.last_at), due_at = coalesce(s.due_at, d.due_at),
            available_at = CASE WHEN s.keep THEN d.available_at WHEN s.state IS NULL THEN coalesce(s.due_at, greatest(d.due_at, $13))
                ELSE d.due_at END,
            lease_owner = CASE WHEN s.keep THEN d.lease_owner END,
            lease_until = CASE WHEN s.keep THEN d.lease_until END
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
            $10::boolean[], $11::bigint[]) AS s (id, fence, outcome, outcome_reason, reason, state, failures, due_at, keep, last_at)
        WHERE d.id = s.id AND d.fence = s.fence AND d.lease_owner IS NOT NULL
            AND (d.workspace = $1) IS TRUE AND EXISTS (SELECT FROM called)
        RETURNING d.id, d.goal_event, d.conversion, d.destination, s.outcome, s.outcome_reason,
            CASE WHEN s.state IS NOT NULL THEN d.state END AS state, s.state AS wanted
    ), failed AS (
        SELECT id, goal_event, conversion FROM settled WHERE wanted <> 'delivered'
    ), ",
    note_failed!(),
    ", closed AS (
        UPDATE attempts AS a SET outcome = s.outcome, reason = s.outcome_reason FROM settled AS s
        WHERE a.delivery = s.id AND a.call = $12 AND a.outcome IS NULL
    ), moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM settled WHERE state IS NOT NULL
        UNION ALL SELECT destination, state, 1 FROM settled WHERE state IS NOT NULL
    ), ",
    count_moved!(),
    ", stated AS (",
    upsert!(
        "SELECT $1, $17::text, $18::text, $19::text, $20::bigint, $21::text, $22::bigint FROM called
            WHERE $17 IS NOT NULL",
        "$24"
    ),
    ")
    SELECT (SELECT count(*) FROM called), (SELECT count(*) FROM settled)"
);

const SETTLE_UNSENT: &str = concat!(
    "WITH settled AS (
        UPDATE deliveries AS d
        SET reason = CASE WHEN d.arrived_at IS NULL THEN s.reason WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $8 END, detail = s.detail,
            state = CASE WHEN d.arrived_at IS NULL THEN s.state ELSE 'delivered' END,
            finished_at = coalesce(d.arrived_at, $7), lease_owner = NULL, lease_until = NULL
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[]) AS s (id, fence, state, reason, detail)
        WHERE d.id = s.id AND d.fence = s.fence AND d.lease_owner IS NOT NULL
            AND (d.workspace = $1) IS TRUE
        RETURNING d.id, d.goal_event, d.conversion, d.destination, d.state
    ), failed AS (
        SELECT id, goal_event, conversion FROM settled
    ), ",
    note_failed!(),
    ", moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM settled
        UNION ALL SELECT destination, state, 1 FROM settled
    ), ",
    count_moved!(),
    " SELECT count(*) FROM settled"
);

const RENEW: &str = "WITH held AS (
        UPDATE deliveries AS d SET lease_until = $5, available_at = $5
        FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS h (id, fence, position)
        WHERE d.id = h.id AND d.fence = h.fence AND d.lease_owner IS NOT NULL
        AND (d.workspace = $1) IS TRUE
        RETURNING h.position
    )
    SELECT position FROM held ORDER BY position";

const RELEASE: &str =
    "UPDATE deliveries AS d SET lease_owner = NULL, lease_until = NULL, available_at = coalesce($4, d.due_at)
    FROM unnest($2::uuid[], $3::bigint[]) AS h (id, fence)
    WHERE d.id = h.id AND d.fence = h.fence AND d.lease_owner IS NOT NULL
        AND (d.workspace = $1) IS TRUE";

const EXPIRE: &str = concat!(
    "WITH overdue AS (
        SELECT id FROM deliveries
        WHERE (workspace = $1) IS TRUE AND state = 'pending' AND deadline_at < $2 AND (lease_until IS NULL OR lease_until <= $2)
        LIMIT $3 FOR UPDATE SKIP LOCKED
    ), closed AS (
        UPDATE attempts AS a SET outcome = 'retry', reason = 'outcome_unknown'
        FROM overdue AS o WHERE a.delivery = o.id AND a.outcome IS NULL
    ), expired AS (
        UPDATE deliveries AS d
        SET state = CASE WHEN d.arrived_at IS NULL THEN 'expired' ELSE 'delivered' END,
            reason = CASE WHEN d.arrived_at IS NULL THEN $4 WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $5 END, detail = '',
            finished_at = coalesce(d.arrived_at, $2), lease_owner = NULL, lease_until = NULL
        FROM overdue AS o WHERE d.id = o.id
        RETURNING d.id, d.goal_event, d.conversion, d.destination, d.state
    ), failed AS (
        SELECT id, goal_event, conversion FROM expired
    ), ",
    note_failed!(),
    ", moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM expired
        UNION ALL SELECT destination, state, 1 FROM expired
    ), ",
    count_moved!(),
    " SELECT count(*) FROM expired"
);

/// What a delivery that had arrived ends with when a replay of it does not.
const STANDS: &str = Reason::FirstDeliveryStands.code();

impl Postgres {
    pub(crate) async fn lease_deliveries(
        &self,
        wanted: LeaseWanted,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let places = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
        let [fresh, retried, replayed] = reserved(places).map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let first = i32::from(wanted.first.number());
        let values: [&Value<'_>; 11] = [
            &WORKSPACE,
            &Text(&wanted.destination),
            &wanted.now.as_millis(),
            &i64::from(wanted.limit),
            &Text(&wanted.owner),
            &wanted.until.as_millis(),
            &fresh,
            &retried,
            &replayed,
            &wanted.unknown_for_ms,
            &first,
        ];
        let leased = self.engine.write(LEASE, &values);
        leased.await?.iter().map(leased_delivery).collect()
    }

    pub(crate) async fn open_call(&self, call: NewCall) -> Result<Vec<Held>, StoreError> {
        let mut wanted: Vec<_> = (0_i64..).zip(&call.deliveries).collect();
        wanted.sort_unstable_by_key(|(_, (held, _))| held.id);
        let deliveries = Columns::of(&wanted)
            .with(|(_, (held, _))| Id::from(held.id))
            .with(|(_, (held, _))| held.fence)
            .with(|(_, (_, payload))| Text(payload))
            .with(|(position, _)| *position);
        let (id, started_at) = (Id::from(call.id), call.started_at.as_millis());
        let (destination, method, url) = (Text(&call.destination), Text(&call.method), Text(&call.url));
        let mut values = deliveries.values();
        values.extend([&id as &Value<'_>, &destination, &started_at, &method, &url]);
        let held = self.engine.write(OPEN, &values).await?;
        at_positions(&held, |position| call.deliveries.get(position).map(|(held, _)| *held))
    }

    pub(crate) async fn open_calls(&self, calls: Arc<Vec<NewCall>>) -> Vec<Result<Vec<Held>, StoreError>> {
        self.open_all(&calls).await
    }

    pub(crate) async fn settle_calls(&self, ends: Arc<Vec<CallEnd>>) -> Vec<Result<Settled, StoreError>> {
        self.settle_all(&ends).await
    }

    pub(crate) async fn settle_call(
        &self,
        result: CallResult,
        mut settlements: Vec<Settlement>,
        state: Option<DestinationState>,
    ) -> Result<Settled, StoreError> {
        settlements.sort_unstable_by_key(|settlement| settlement.held.id);
        let columns = settlement_of(Columns::of(&settlements), |settlement| settlement);
        let mut values = columns.values();
        let (call, finished_at) = (Id::from(result.id), result.finished_at.as_millis());
        let status = result.status.map(i32::from);
        let (response, detail) = (Text(&result.response), Text(&result.detail));
        values.extend([&call as &Value<'_>, &finished_at, &status, &response, &detail]);
        let state = state.as_ref();
        let destination = state.map(|state| Text(&state.destination));
        let paused = state.and_then(|state| state.paused).map(|reason| reason.code());
        let state_detail = state.map(|state| Text(&state.detail));
        let began = By::call(&result).began().map(Timestamp::as_millis);
        let since = state.map(|state| state.since.as_millis());
        let digest = state.map(|state| Text(&state.settings_digest));
        let not_before = state.map(|state| state.not_before.as_millis());
        values.extend([
            &destination as &Value<'_>,
            &paused,
            &state_detail,
            &since,
            &digest,
            &not_before,
            &STANDS,
            &began,
        ]);
        let answer = self.engine.write(SETTLE, &values).await?;
        if total(&answer, 0)? == 0 {
            return Err(StoreError::Corrupt("the call was never opened".into()));
        }
        settled(settlements.len(), total(&answer, 1)?)
    }

    pub(crate) async fn settle_unsent(
        &self,
        mut unsent: Vec<Unsent>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        unsent.sort_unstable_by_key(|one| one.held.id);
        let columns = Columns::of(&unsent)
            .with(|one| Id::from(one.held.id))
            .with(|one| one.held.fence)
            .with(|one| one.state.as_str())
            .with(|one| one.reason.code())
            .with(|one| Text(&one.detail));
        let mut values = columns.values();
        let now = now.as_millis();
        values.extend([&now as &Value<'_>, &STANDS]);
        let answer = self.engine.write(SETTLE_UNSENT, &values).await?;
        settled(unsent.len(), total(&answer, 0)?)
    }

    pub(crate) async fn renew_leases(
        &self,
        held: Vec<Held>,
        until: Timestamp,
    ) -> Result<Vec<Held>, StoreError> {
        let mut wanted: Vec<_> = (0_i64..).zip(&held).collect();
        wanted.sort_unstable_by_key(|(_, held)| held.id);
        let columns = Columns::of(&wanted)
            .with(|(_, held)| Id::from(held.id))
            .with(|(_, held)| held.fence)
            .with(|(position, _)| *position);
        let mut values = columns.values();
        let until = until.as_millis();
        values.push(&until);
        let still = self.engine.write(RENEW, &values).await?;
        at_positions(&still, |position| held.get(position).copied())
    }

    pub(crate) async fn release_leases(
        &self,
        mut held: Vec<Held>,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        held.sort_unstable_by_key(|held| held.id);
        let columns = Columns::of(&held).with(|held| Id::from(held.id)).with(|held| held.fence);
        let until = until.map(Timestamp::as_millis);
        let mut values = columns.values();
        values.push(&until);
        self.engine.write(RELEASE, &values).await.map(drop)
    }

    pub(crate) async fn expire_overdue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let (now, limit, reason) = (now.as_millis(), i64::from(limit), Reason::EventTooOld.code());
        let expired = self.engine.write(EXPIRE, &[&WORKSPACE, &now, &limit, &reason, &STANDS]).await?;
        total(&expired, 0)
    }
}

/// None that is missing must hold up all others: nobody can read it.
fn leased_delivery(row: &Row) -> Result<LeasedDelivery, StoreError> {
    Ok(LeasedDelivery {
        id: DeliveryId::from_bytes(rows::id(row, 0)?),
        fence: rows::get(row, 1)?,
        event: EventText::new(rows::get::<Option<String>>(row, 2)?.unwrap_or_default()),
        attempts: rows::number(row, 3)?,
        failures: rows::number(row, 4)?,
        deadline_at: rows::time(row, 5)?,
        created_at: rows::time(row, 6)?,
        last: rows::get::<Option<&str>>(row, 7)?.and_then(Reason::from_code),
    })
}

/// The columns of settlements, of which each row has one.
fn settlement_of<'rows, T>(
    columns: Columns<'rows, T>,
    of: impl Fn(&'rows T) -> &'rows Settlement + Copy,
) -> Columns<'rows, T> {
    let state = |after| match after {
        After::Delivered => Some(DeliveryState::Delivered.as_str()),
        After::Dead => Some(DeliveryState::Dead.as_str()),
        After::Expired => Some(DeliveryState::Expired.as_str()),
        After::RetryAt(_) | After::Wait | After::KeepLease => None,
    };
    let retry_at = |after| match after {
        After::RetryAt(at) => Some(at.as_millis()),
        _ => None,
    };
    columns
        .with(move |row| Id::from(of(row).held.id))
        .with(move |row| of(row).held.fence)
        .with(move |row| of(row).outcome.as_str())
        .with(move |row| of(row).outcome.reason().code())
        .with(move |row| of(row).reason.code())
        .with(move |row| state(of(row).after))
        .with(move |row| i64::from(retry_at(of(row).after).is_some()))
        .with(move |row| retry_at(of(row).after))
        .with(move |row| of(row).after == After::KeepLease)
        .with(move |row| of(row).last_at.map(Timestamp::as_millis))
}

/// Those at the positions that came back.
fn at_positions(rows: &[Row], held: impl Fn(usize) -> Option<Held>) -> Result<Vec<Held>, StoreError> {
    rows.iter()
        .filter_map(|row| match rows::count(row, 0) {
            Ok(position) => usize::try_from(position).ok().and_then(&held).map(Ok),
            Err(error) => Some(Err(error)),
        })
        .collect()
}

pub(super) fn total(rows: &[Row], column: usize) -> Result<u64, StoreError> {
    rows.first().map_or(Ok(0), |row| rows::count(row, column))
}

fn settled(asked: usize, applied: u64) -> Result<Settled, StoreError> {
    let number = |count: u64| u32::try_from(count).map_err(|_| StoreError::Corrupt("too many".into()));
    let asked = u64::try_from(asked).unwrap_or(u64::MAX);
    Ok(Settled { applied: number(applied)?, stale: number(asked.saturating_sub(applied))? })
}
