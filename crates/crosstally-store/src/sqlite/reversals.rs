//! Reversals: what is still to be followed, what follows, and what is told nobody.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::Follows;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::tally::COUNT_DELIVERIES;
use super::{Sqlite, outbox, postbacks, rows};
use crate::{OpenReversal, OverstatedSum, StoreError, WORKSPACE};

const NOTE: &str = "INSERT INTO open_reversals (conversion, workspace, sequence) VALUES (?1, ?2, ?3)
    ON CONFLICT (conversion) DO UPDATE SET sequence = excluded.sequence, noted_by = excluded.noted_by";
/// Who notes it beside a movement is not that movement, and takes nothing away from it either.
macro_rules! renoted {
    () => {
        "ON CONFLICT (conversion) DO UPDATE SET sequence = excluded.sequence,
            noted_by = CASE WHEN substr(noted_by, 1, 1) = x'00'
                THEN CAST(x'00' || substr(excluded.noted_by, 2) AS BLOB) ELSE excluded.noted_by END"
    };
}
/// Of a delivery that goes out again: its conversion may have moved since its event was made.
const NOTE_AGAIN: &str = concat!(
    "INSERT INTO open_reversals (conversion, workspace, sequence, noted_by)
    SELECT c.id, ?2, c.movements, CAST(x'01' || randomblob(15) AS BLOB) FROM deliveries AS d JOIN conversions AS c ON c.id = d.conversion
    WHERE d.id = ?1 AND c.movements > 1
    ",
    renoted!()
);
/// Of an adjustment that ended without arriving.
const NOTE_FAILED: &str = concat!(
    "INSERT INTO open_reversals (conversion, workspace, sequence, noted_by)
    SELECT c.id, ?2, c.movements, CAST(x'01' || randomblob(15) AS BLOB) FROM deliveries AS d JOIN conversions AS c ON c.id = d.conversion
    JOIN adjustments AS a ON a.conversion = d.conversion AND a.goal_event = d.goal_event
    WHERE d.id = ?1
    ",
    renoted!()
);
const OPEN: &str = "SELECT conversion, sequence, noted_by FROM open_reversals WHERE workspace = ?1
    ORDER BY conversion LIMIT ?2";
const TAKE: &str = "DELETE FROM open_reversals WHERE conversion = ?1 AND sequence = ?2 AND noted_by = ?3";
const IS_OPEN: &str =
    "SELECT EXISTS (SELECT 1 FROM open_reversals WHERE conversion = ?1 AND sequence = ?2 AND noted_by = ?3)";
const WITHDRAW: &str = "UPDATE deliveries
    SET state = 'cancelled', reason = ?3, detail = '', finished_at = ?2, lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND state = 'pending' AND attempts = 0 RETURNING destination";
/// What still has a delay before it keeps that.
const RESTORE: &str = "UPDATE deliveries
    SET state = 'pending', reason = NULL, detail = '', finished_at = NULL, available_at = max(due_at, ?2)
    WHERE id = ?1 AND state = 'cancelled' AND reason = ?3 RETURNING destination";
const ADJUSTS: &str = "INSERT INTO adjustments (conversion, goal_event, workspace) VALUES (?1, ?2, ?3)";
const OVERSTATE: &str =
    "INSERT INTO overstated (delivery, workspace, destination, campaign, currency, stated, remaining,
        updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (delivery) DO UPDATE SET stated = excluded.stated, remaining = excluded.remaining,
        updated_at = excluded.updated_at";
const TRUE_AGAIN: &str = "DELETE FROM overstated WHERE delivery = ?1";
const OVERSTATED: &str =
    "SELECT o.campaign, o.destination, o.currency, sum(o.stated - o.remaining), count(*) FROM overstated AS o
    JOIN deliveries AS d ON d.id = o.delivery
    WHERE o.workspace = ?1 AND o.stated > o.remaining AND (d.state = 'delivered' OR d.arrived_at IS NOT NULL)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

impl Sqlite {
    pub(crate) async fn open_reversals(&self, limit: u32) -> Result<Vec<OpenReversal>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(OPEN)?;
            let open = ask.query_map(params![WORKSPACE, limit], |row| {
                Ok(OpenReversal {
                    conversion: ConversionId::from_bytes(row.get(0)?),
                    sequence: row.get(1)?,
                    mark: row.get(2)?,
                })
            })?;
            Ok(open.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn withdraw_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (from, to) = (DeliveryState::Pending, DeliveryState::Cancelled);
        let work = move |connection: &Connection| {
            let values = params![now.as_millis(), reason.code()];
            each(connection, (&open, WITHDRAW), &ids, (from, to), values)
        };
        self.engine.write(2, work).await
    }

    pub(crate) async fn restore_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (from, to) = (DeliveryState::Cancelled, DeliveryState::Pending);
        let work = move |connection: &Connection| {
            let values = params![now.as_millis(), Reason::TakenBack.code()];
            each(connection, (&open, RESTORE), &ids, (from, to), values)
        };
        self.engine.write(2, work).await
    }

    pub(crate) async fn follow_reversal(
        &self,
        open: OpenReversal,
        follows: Follows,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let mut take = connection.prepare_cached(TAKE)?;
            let as_read = params![open.conversion.as_bytes(), open.sequence, open.mark];
            if take.execute(as_read)? != 1 {
                return Ok(false);
            }
            for event in &follows.events {
                postbacks::insert_goal_event(connection, event)?;
                let values = params![event.conversion.as_bytes(), event.id.as_bytes(), WORKSPACE];
                connection.prepare_cached(ADJUSTS)?.execute(values)?;
            }
            for delivery in &follows.deliveries {
                postbacks::insert_delivery(connection, delivery, now)?;
                let values = params![WORKSPACE, delivery.destination, delivery.state.as_str(), 1];
                connection.prepare_cached(COUNT_DELIVERIES)?.execute(values)?;
            }
            for one in &follows.overstated {
                if one.remaining >= one.stated {
                    connection.prepare_cached(TRUE_AGAIN)?.execute([one.delivery.as_bytes()])?;
                    continue;
                }
                connection.prepare_cached(OVERSTATE)?.execute(params![
                    one.delivery.as_bytes(),
                    WORKSPACE,
                    one.destination,
                    one.campaign,
                    one.currency.code(),
                    one.stated,
                    one.remaining,
                    now.as_millis()
                ])?;
            }
            Ok(true)
        };
        self.engine.write(4, work).await
    }

    pub(crate) async fn overstated(&self) -> Result<Vec<OverstatedSum>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(OVERSTATED)?;
            let sums = ask.query_map([WORKSPACE], |row| {
                Ok(OverstatedSum {
                    campaign: row.get(0)?,
                    destination: row.get(1)?,
                    currency: row.get(2)?,
                    minor: row.get(3)?,
                    deliveries: rows::number(row, 4)?,
                })
            })?;
            Ok(sums.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}

/// Moves deliveries one by one from one state to another, if the reversal is still as it was read; how many there were in
/// the first.
fn each(
    connection: &Connection,
    (open, statement): (&OpenReversal, &str),
    ids: &[DeliveryId],
    (from, to): (DeliveryState, DeliveryState),
    values: &[&dyn ToSql],
) -> Result<u64, StoreError> {
    let as_read = params![open.conversion.as_bytes(), open.sequence, open.mark];
    if !connection.prepare_cached(IS_OPEN)?.query_row(as_read, |row| row.get(0))? {
        return Ok(0);
    }
    let mut moved = 0;
    for id in ids {
        let id = id.as_bytes();
        let all: Vec<&dyn ToSql> = std::iter::once(&id as &dyn ToSql).chain(values.iter().copied()).collect();
        let destination: Option<String> =
            connection.prepare_cached(statement)?.query_row(&all[..], |row| row.get(0)).optional()?;
        if let Some(destination) = destination {
            outbox::moved(connection, &destination, from, to, 1)?;
            moved += 1;
        }
    }
    Ok(moved)
}

/// Notes that a reversal is to be followed.
pub(super) fn note(connection: &Connection, booking: &Booking) -> Result<(), StoreError> {
    if booking.reverses
        && let Some(conversion) = booking.conversion.as_ref().map(ConversionChange::conversion)
    {
        let values = params![conversion.id.as_bytes(), WORKSPACE, conversion.movements];
        connection.prepare_cached(NOTE)?.execute(values)?;
    }
    Ok(())
}

/// Notes what goes out again, if its conversion has moved since.
pub(super) fn note_again(connection: &Connection, id: &[u8; 16]) -> Result<(), StoreError> {
    connection.prepare_cached(NOTE_AGAIN)?.execute(params![id, WORKSPACE])?;
    Ok(())
}

/// Notes what ended without arriving, if it is an adjustment.
pub(super) fn note_failed(connection: &Connection, id: &[u8; 16]) -> Result<(), StoreError> {
    connection.prepare_cached(NOTE_FAILED)?.execute(params![id, WORKSPACE])?;
    Ok(())
}
