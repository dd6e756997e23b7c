//! Look-backs: calls whose events a platform took and judges later, until it was asked what became of them.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::lane::Lane;
use crosstally_core::delivery::retry::ATTEMPTS_MAX;
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::jobs::stands;
use super::{Sqlite, outbox, reversals};
use crate::lookbacks::{FORGOTTEN_MAX, oldest};
use crate::{Found, Lookback, NewLookback, StoreError, WORKSPACE};

const NOTE: &str = "INSERT INTO lookbacks (call, workspace, destination, receipt, looks, due_at)
    VALUES (?1, ?2, ?3, ?4, 0, ?5) ON CONFLICT (call) DO NOTHING";
// By the ids alone: the plus hides a condition that would lead to another index, and so to all rows.
const FORGET: &str = "DELETE FROM lookbacks WHERE call IN (
        SELECT call FROM lookbacks WHERE call < ?2 AND +workspace = ?1 ORDER BY call LIMIT ?3)";
const FIND_DUE: &str = "SELECT call, receipt, looks FROM lookbacks
    WHERE workspace = ?1 AND destination = ?2 AND due_at <= ?3 AND call >= ?5 ORDER BY due_at, call LIMIT ?4";
const TAKE: &str = "UPDATE lookbacks SET due_at = ?2 WHERE call = ?1";
pub(super) const SENT: &str = "SELECT delivery, payload FROM attempts
    WHERE call = ?1 AND payload <> '' AND outcome = 'delivered'
    UNION ALL SELECT delivery, payload FROM calls
    WHERE id = ?1 AND delivery IS NOT NULL AND payload <> '' AND outcome = 'delivered' ORDER BY delivery";
const PUT_OFF: &str = "UPDATE lookbacks SET due_at = ?2, looks = looks + 1 WHERE call = ?1";
const DONE: &str = "DELETE FROM lookbacks WHERE call = ?1";
/// Whether a delivery still stands as the call took it: its id, the reason that it has then, and the call.
macro_rules! as_taken {
    () => {
        "id = ?1 AND state = 'delivered' AND reason = ?2
        AND EXISTS (
            SELECT 1 FROM attempts AS a WHERE a.delivery = ?1 AND a.number = d.attempts AND a.call = ?3
            UNION ALL SELECT 1 FROM calls AS c
            WHERE c.delivery = ?1 AND c.number = d.attempts AND c.id = ?3)"
    };
}
/// What had arrived before stays delivered, since then.
pub(super) const FOUND: &str = concat!(
    "UPDATE deliveries AS d SET state = CASE WHEN arrived_at IS NULL THEN ?4 ELSE 'delivered' END,
        reason = CASE WHEN ?4 = 'delivered' OR arrived_at IS NULL THEN ?5 WHEN arrived_in_part THEN 'refused_in_part' ELSE ?8 END, detail = ?6,
        finished_at = CASE WHEN ?4 = 'delivered' THEN finished_at ELSE coalesce(arrived_at, ?7) END
    WHERE ",
    as_taken!(),
    " RETURNING destination, state"
);
/// The same of what is sent once more, if it may be. What counted in part has arrived all the same.
pub(super) const AGAIN: &str = concat!(
    "UPDATE deliveries AS d SET state = 'pending', reason = ?4, detail = ?5, due_at = ?6, available_at = ?6,
        failures = failures + 1, lane = max(lane, ?8), finished_at = NULL,
        arrived_at = CASE WHEN ?9 THEN finished_at END, arrived_in_part = ?9
    WHERE ",
    as_taken!(),
    " AND arrived_at IS NULL AND ?6 < deadline_at AND failures + 1 < ?7",
    stands!(),
    " RETURNING destination, state"
);

impl Sqlite {
    pub(crate) async fn note_lookback(&self, lookback: NewLookback) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(NOTE)?.execute(params![
                lookback.call.as_bytes(),
                WORKSPACE,
                lookback.destination,
                lookback.receipt,
                lookback.due_at.as_millis(),
            ])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn take_lookbacks(
        &self,
        destination: String,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lookback>, StoreError> {
        let work = move |connection: &Connection| {
            let oldest = oldest(now);
            connection.prepare_cached(FORGET)?.execute(params![
                WORKSPACE,
                oldest.as_bytes(),
                FORGOTTEN_MAX
            ])?;
            let mut ask = connection.prepare_cached(FIND_DUE)?;
            let wanted = params![WORKSPACE, destination, now.as_millis(), limit, oldest.as_bytes()];
            let due = ask.query_map(wanted, |row| {
                let call = CallId::from_bytes(row.get(0)?);
                Ok(Lookback { call, receipt: row.get(1)?, looks: row.get(2)?, sent: Vec::new() })
            })?;
            let mut due: Vec<Lookback> = due.collect::<rusqlite::Result<_>>()?;
            for one in &mut due {
                let call = one.call.as_bytes();
                connection.prepare_cached(TAKE)?.execute(params![call, again_at.as_millis()])?;
                let mut ask = connection.prepare_cached(SENT)?;
                let sent = ask.query_map([call], |row| {
                    Ok((DeliveryId::from_bytes(row.get(0)?), row.get::<_, String>(1)?))
                })?;
                one.sent = sent.collect::<rusqlite::Result<_>>()?;
            }
            Ok(due)
        };
        self.engine.write(2, work).await
    }

    pub(crate) async fn put_off_lookback(&self, call: CallId, due_at: Timestamp) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(PUT_OFF)?.execute(params![call.as_bytes(), due_at.as_millis()])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn settle_lookback(
        &self,
        call: CallId,
        found: Vec<Found>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let weight = found.len() + 1;
        let work = move |connection: &Connection| {
            connection.prepare_cached(DONE)?.execute([call.as_bytes()])?;
            let mut changed = 0;
            for one in &found {
                let id = one.delivery.as_bytes();
                let Some((destination, state)) = write_down(connection, call, one, now)? else { continue };
                changed += 1;
                match state {
                    DeliveryState::Delivered => continue,
                    DeliveryState::Pending => reversals::note_again(connection, id)?,
                    _ => reversals::note_failed(connection, id)?,
                }
                outbox::moved(connection, &destination, DeliveryState::Delivered, state, 1)?;
            }
            Ok(changed)
        };
        self.engine.write(weight, work).await
    }
}

/// The destination of a delivery and the state it has now, if it still stood as the call took it.
fn write_down(
    connection: &Connection,
    call: CallId,
    one: &Found,
    now: Timestamp,
) -> Result<Option<(String, DeliveryState)>, StoreError> {
    let (id, call, reason) = (one.delivery.as_bytes(), call.as_bytes(), one.reason.code());
    let unverified = Reason::AcceptedUnverified.code();
    if let Some(at) = one.again_at {
        let (at, lane) = (at.as_millis(), Lane::Retry.number());
        let in_part = one.state == DeliveryState::Delivered;
        let values = params![id, unverified, call, reason, one.detail, at, ATTEMPTS_MAX, lane, in_part];
        let again = connection.prepare_cached(AGAIN)?.query_row(values, outbox::ended).optional()?;
        if again.is_some() {
            return Ok(again);
        }
    }
    let (state, stands) = (one.state.as_str(), Reason::FirstDeliveryStands.code());
    let values = params![id, unverified, call, state, reason, one.detail, now.as_millis(), stands];
    Ok(connection.prepare_cached(FOUND)?.query_row(values, outbox::ended).optional()?)
}
