//! Many calls of one delivery each, opened or ended by one statement: a trip to the server and a sync of its disk for all of
//! them. What one of them does to its row, the statements for a single call do as well.

use futures_util::future::join_all;

use super::super::Postgres;
use super::super::reversals::note_failed;
use super::super::rows::{self, Columns, Id, Text};
use super::super::transact::Value;
use super::{STANDS, settlement_of};
use crate::{CallEnd, Held, NewCall, Settled, Settlement, StoreError};

const OPEN: &str = "WITH held AS (
        UPDATE deliveries AS d SET attempts = d.attempts + 1
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::bigint[])
            AS h (id, fence, payload, call, destination, started_at, method, url, position)
        WHERE d.id = h.id AND d.fence = h.fence AND d.lease_until > h.started_at
            AND (d.workspace = $1 AND d.destination = h.destination) IS TRUE
        RETURNING d.id, d.attempts, h.payload, h.call, h.destination, h.started_at, h.method, h.url, h.position
    ), noted AS (
        INSERT INTO attempts (workspace, delivery, number, call, payload)
        SELECT $1::bigint, id, attempts, call, payload FROM held
    ), called AS (
        INSERT INTO calls (workspace, id, destination, started_at, method, url, batch, response, detail)
        SELECT $1, call, destination, started_at, method, url, 1, '', '' FROM held
    )
    SELECT position FROM held";

const SETTLE: &str = concat!(
    "WITH called AS (
        UPDATE calls AS c SET finished_at = e.finished_at, status = e.status,
            response = CASE WHEN c.url = '' THEN '' ELSE e.response END, detail = CASE WHEN c.url = '' THEN '' ELSE e.detail END
        FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
            $10::boolean[], $11::bigint[], $12::uuid[], $13::bigint[], $14::integer[], $15::text[], $16::text[], $17::bigint[])
            AS e (delivery, fence, outcome, outcome_reason, reason, state, failures, due_at, keep, last_at, call, finished_at,
                status, response, detail, position)
        WHERE c.id = e.call AND (c.workspace = $1) IS TRUE
        RETURNING e.delivery, e.fence, e.outcome, e.outcome_reason, e.reason, e.state, e.failures, e.due_at, e.keep, e.last_at,
            e.call, e.finished_at, e.detail, e.position
    ), settled AS (
        UPDATE deliveries AS d
        SET reason = CASE WHEN s.state = 'delivered' OR s.state IS NULL OR d.arrived_at IS NULL THEN s.reason
                WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $18 END,
            detail = s.detail,
            state = CASE WHEN s.state IS NULL THEN d.state WHEN d.arrived_at IS NULL THEN s.state ELSE 'delivered' END,
            finished_at = CASE WHEN s.state IS NULL THEN d.finished_at WHEN s.state = 'delivered' THEN s.finished_at
                ELSE coalesce(d.arrived_at, s.finished_at) END,
            failures = d.failures + s.failures, lane = greatest(d.lane, s.failures::smallint),
            deadline_at = least(d.deadline_at, s.last_at), due_at = coalesce(s.due_at, d.due_at),
            available_at = CASE WHEN s.keep THEN d.available_at
                WHEN s.state IS NULL THEN coalesce(s.due_at, greatest(d.due_at, s.finished_at)) ELSE d.due_at END,
            lease_owner = CASE WHEN s.keep THEN d.lease_owner END,
            lease_until = CASE WHEN s.keep THEN d.lease_until END
        FROM called AS s
        WHERE d.id = s.delivery AND d.fence = s.fence AND d.lease_owner IS NOT NULL AND (d.workspace = $1) IS TRUE
        RETURNING d.id, d.goal_event, d.conversion, d.destination, s.call, s.position, s.outcome, s.outcome_reason,
            CASE WHEN s.state IS NOT NULL THEN d.state END AS state, s.state AS wanted
    ), failed AS (
        SELECT id, goal_event, conversion FROM settled WHERE wanted <> 'delivered'
    ), ",
    note_failed!(),
    ", closed AS (
        UPDATE attempts AS a SET outcome = s.outcome, reason = s.outcome_reason FROM settled AS s
        WHERE a.delivery = s.id AND a.call = s.call AND a.outcome IS NULL
    ), moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM settled WHERE state IS NOT NULL
        UNION ALL SELECT destination, state, 1 FROM settled WHERE state IS NOT NULL
    ), ",
    count_moved!(),
    " SELECT position, EXISTS (SELECT FROM settled AS s WHERE s.position = c.position) FROM called AS c"
);

/// A call of one delivery, and its place among those that were asked for.
type Single<'a> = (usize, &'a NewCall, &'a (Held, String));
/// An end of one, likewise.
type End<'a> = (usize, &'a CallEnd, &'a Settlement);

impl Postgres {
    pub(super) async fn open_all(&self, calls: &[NewCall]) -> Vec<Result<Vec<Held>, StoreError>> {
        if calls.len() > 1 && calls.iter().all(|call| call.deliveries.len() == 1) {
            match self.open_together(calls).await {
                Err(StoreError::Corrupt(_)) => {}
                opened => return for_each(opened, calls.len()),
            }
        }
        // Each by itself: what is at fault with one is no fault of the others.
        join_all(calls.iter().map(|call| self.open_call(call.clone()))).await
    }

    /// Calls of one delivery each.
    async fn open_together(&self, calls: &[NewCall]) -> Result<Vec<Vec<Held>>, StoreError> {
        let mut wanted: Vec<Single<'_>> = calls
            .iter()
            .enumerate()
            .filter_map(|(at, call)| Some((at, call, call.deliveries.first()?)))
            .collect();
        wanted.sort_unstable_by_key(|(_, _, (held, _))| held.id);
        let columns = Columns::of(&wanted)
            .with(|(_, _, (held, _))| Id::from(held.id))
            .with(|(_, _, (held, _))| held.fence)
            .with(|(_, _, (_, payload))| Text(payload))
            .with(|(_, call, _)| Id::from(call.id))
            .with(|(_, call, _)| Text(&call.destination))
            .with(|(_, call, _)| call.started_at.as_millis())
            .with(|(_, call, _)| Text(&call.method))
            .with(|(_, call, _)| Text(&call.url))
            .with(|(at, _, _)| position(*at));
        let mut opened = vec![Vec::new(); calls.len()];
        for row in self.engine.write(OPEN, &columns.values()).await? {
            let at = usize::try_from(rows::count(&row, 0)?).unwrap_or(usize::MAX);
            if let (Some(held), Some(call)) = (opened.get_mut(at), calls.get(at)) {
                held.extend(call.deliveries.iter().map(|(held, _)| *held));
            }
        }
        Ok(opened)
    }

    pub(super) async fn settle_all(&self, ends: &[CallEnd]) -> Vec<Result<Settled, StoreError>> {
        let is_single = |end: &CallEnd| end.settlements.len() == 1 && end.state.is_none();
        let singles: Vec<usize> = (0..ends.len()).filter(|at| ends.get(*at).is_some_and(is_single)).collect();
        let mut answers: Vec<Option<Result<Settled, StoreError>>> = vec![None; ends.len()];
        match self.settle_together(ends, &singles).await {
            // One of them is at fault: each by itself.
            Err(StoreError::Corrupt(_)) => {}
            settled => {
                for (at, settled) in singles.iter().zip(for_each(settled, singles.len())) {
                    if let Some(answer) = answers.get_mut(*at) {
                        *answer = Some(settled.and_then(|settled| settled));
                    }
                }
            }
        }
        let settling = answers.into_iter().zip(ends.iter()).map(async |(answer, end)| match answer {
            Some(answer) => answer,
            None => {
                let CallEnd { result, settlements, state } = end.clone();
                self.settle_call(result, settlements, state).await
            }
        });
        join_all(settling).await
    }

    /// Ends of one delivery each that change no destination's state.
    async fn settle_together(
        &self,
        ends: &[CallEnd],
        singles: &[usize],
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let end = |at: &usize| {
            let end = ends.get(*at)?;
            Some((*at, end, end.settlements.first()?))
        };
        let mut wanted: Vec<End<'_>> = singles.iter().filter_map(end).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        wanted.sort_unstable_by_key(|(_, _, settlement)| settlement.held.id);
        let columns = settlement_of(Columns::of(&wanted), |(_, _, settlement)| settlement)
            .with(|(_, end, _)| Id::from(end.result.id))
            .with(|(_, end, _)| end.result.finished_at.as_millis())
            .with(|(_, end, _)| end.result.status.map(i32::from))
            .with(|(_, end, _)| Text(&end.result.response))
            .with(|(_, end, _)| Text(&end.result.detail))
            .with(|(at, _, _)| position(*at));
        let mut values = columns.values();
        values.push(&STANDS as &Value<'_>);
        let mut found = vec![None; ends.len()];
        for row in self.engine.write(SETTLE, &values).await? {
            let at = usize::try_from(rows::count(&row, 0)?).unwrap_or(usize::MAX);
            if let Some(place) = found.get_mut(at) {
                *place = Some(rows::get::<bool>(&row, 1)?);
            }
        }
        let settled = |at: &usize| match found.get(*at).copied().flatten() {
            Some(held) => Ok(Settled { applied: u32::from(held), stale: u32::from(!held) }),
            None => Err(StoreError::Corrupt("the call was never opened".into())),
        };
        Ok(singles.iter().map(settled).collect())
    }
}

fn position(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// What came of all of them, for each.
fn for_each<T>(together: Result<Vec<T>, StoreError>, count: usize) -> Vec<Result<T, StoreError>> {
    match together {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(error) => std::iter::repeat_with(|| Err(error.clone())).take(count).collect(),
    }
}
