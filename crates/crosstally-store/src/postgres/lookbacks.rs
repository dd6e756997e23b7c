//! Look-backs: calls whose events a platform took and judges later, until it was asked what became of them.

use crosstally_core::delivery::lane::Lane;
use crosstally_core::delivery::retry::ATTEMPTS_MAX;
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use super::jobs::stands;
use super::outbox::count_moved;
use super::reversals::note_found;
use super::rows::{Columns, Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::lookbacks::{FORGOTTEN_MAX, oldest};
use crate::{Found, Lookback, NewLookback, StoreError, WORKSPACE};

const NOTE: &str = "INSERT INTO lookbacks (workspace, call, destination, receipt, looks, due_at)
    VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (call, workspace) DO NOTHING";
const TAKE: &str = "WITH old AS (
        SELECT call FROM lookbacks WHERE call < $6 AND workspace = $1 ORDER BY call LIMIT $7 FOR UPDATE SKIP LOCKED
    ), forgotten AS (
        DELETE FROM lookbacks AS l USING old WHERE l.workspace = $1 AND l.call = old.call
    ), due AS (
        SELECT call, due_at FROM lookbacks
        WHERE workspace = $1 AND destination = $2 AND due_at <= $3 AND call >= $6
        ORDER BY due_at, call LIMIT $5 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE lookbacks AS l SET due_at = $4 FROM due WHERE l.workspace = $1 AND l.call = due.call
        RETURNING l.call, l.receipt, l.looks, due.due_at
    )
    SELECT t.call, t.receipt, t.looks, a.delivery, a.payload FROM taken AS t
    LEFT JOIN attempts AS a ON a.call = t.call AND a.payload <> '' AND a.outcome = 'delivered'
    ORDER BY t.due_at, t.call, a.delivery";
const PUT_OFF: &str =
    "UPDATE lookbacks SET due_at = $3, looks = looks + 1 WHERE workspace = $1 AND call = $2";
/// What had arrived before stays delivered, since then; what is sent once more waits for it, if it may be, and has
/// arrived all the same if it counted in part.
const SETTLE: &str = concat!(
    "WITH done AS (
        DELETE FROM lookbacks WHERE workspace = $1 AND call = $7
    ), found AS (
        UPDATE deliveries AS d SET (state, reason, detail, finished_at, arrived_at, arrived_in_part, due_at, available_at, failures, lane) = (
            SELECT CASE WHEN o.again THEN 'pending' WHEN d.arrived_at IS NULL THEN n.state ELSE 'delivered' END,
                CASE WHEN n.state = 'delivered' OR d.arrived_at IS NULL THEN n.reason
                    WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $10 END, n.detail,
                CASE WHEN o.again THEN NULL WHEN n.state = 'delivered' THEN d.finished_at
                    ELSE coalesce(d.arrived_at, $8) END,
                CASE WHEN o.again AND n.state = 'delivered' THEN d.finished_at ELSE d.arrived_at END,
                CASE WHEN o.again THEN n.state = 'delivered' ELSE d.arrived_in_part END,
                CASE WHEN o.again THEN n.again_at ELSE d.due_at END,
                CASE WHEN o.again THEN n.again_at ELSE d.available_at END,
                d.failures + CASE WHEN o.again THEN 1 ELSE 0 END,
                CASE WHEN o.again THEN greatest(d.lane, $12) ELSE d.lane END
            FROM (SELECT coalesce(d.arrived_at IS NULL AND n.again_at < d.deadline_at AND d.failures + 1 < $11",
    stands!(),
    ", FALSE) AS again) AS o)
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[]) AS n (id, state, reason, detail, again_at)
        WHERE d.id = n.id AND d.state = 'delivered' AND d.reason = $9 AND (d.workspace = $1) IS TRUE
            AND EXISTS (SELECT FROM attempts AS a WHERE a.delivery = d.id AND a.number = d.attempts AND a.call = $7)
        RETURNING d.id, d.goal_event, d.conversion, d.destination, d.state
    ), ",
    note_found!(),
    ", moved AS (
        SELECT destination, 'delivered' AS state, -1 AS change FROM found WHERE state <> 'delivered'
        UNION ALL SELECT destination, state, 1 FROM found WHERE state <> 'delivered'
    ), ",
    count_moved!(),
    " SELECT count(*) FROM found"
);

impl Postgres {
    pub(crate) async fn note_lookback(&self, lookback: NewLookback) -> Result<(), StoreError> {
        let values: [&Value<'_>; 5] = [
            &WORKSPACE,
            &Id::from(lookback.call),
            &Text(&lookback.destination),
            &Text(&lookback.receipt),
            &lookback.due_at.as_millis(),
        ];
        self.engine.write(NOTE, &values).await.map(drop)
    }

    pub(crate) async fn take_lookbacks(
        &self,
        destination: String,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lookback>, StoreError> {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Text(&destination),
            &now.as_millis(),
            &again_at.as_millis(),
            &i64::from(limit),
            &Id::from(oldest(now)),
            &i64::from(FORGOTTEN_MAX),
        ];
        let mut due: Vec<Lookback> = Vec::new();
        for row in &self.engine.write(TAKE, &values).await? {
            let call = CallId::from_bytes(rows::id(row, 0)?);
            if due.last().is_none_or(|last| last.call != call) {
                let looks = u32::try_from(rows::count(row, 2)?)
                    .map_err(|_| StoreError::Corrupt("a number of looks is none".into()))?;
                due.push(Lookback { call, receipt: rows::get(row, 1)?, looks, sent: Vec::new() });
            }
            let sent = rows::optional_id(row, 3)?.map(DeliveryId::from_bytes);
            if let (Some(one), Some(id)) = (due.last_mut(), sent) {
                one.sent.push((id, rows::get(row, 4)?));
            }
        }
        Ok(due)
    }

    pub(crate) async fn put_off_lookback(&self, call: CallId, due_at: Timestamp) -> Result<(), StoreError> {
        let values: [&Value<'_>; 3] = [&WORKSPACE, &Id::from(call), &due_at.as_millis()];
        self.engine.write(PUT_OFF, &values).await.map(drop)
    }

    pub(crate) async fn settle_lookback(
        &self,
        call: CallId,
        mut found: Vec<Found>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        found.sort_unstable_by_key(|one| one.delivery);
        let columns = Columns::of(&found)
            .with(|one| Id::from(one.delivery))
            .with(|one| one.state.as_str())
            .with(|one| one.reason.code())
            .with(|one| Text(&one.detail))
            .with(|one| one.again_at.map(Timestamp::as_millis));
        let (call, now, unverified) = (Id::from(call), now.as_millis(), Reason::AcceptedUnverified.code());
        let (stands, attempts_max) = (Reason::FirstDeliveryStands.code(), i64::from(ATTEMPTS_MAX));
        let lane = i16::from(Lane::Retry.number());
        let mut values = columns.values();
        values.extend([&call as &Value<'_>, &now, &unverified, &stands, &attempts_max, &lane]);
        let answer = self.engine.write(SETTLE, &values).await?;
        answer.first().map_or(Ok(0), |row| rows::count(row, 0))
    }
}
