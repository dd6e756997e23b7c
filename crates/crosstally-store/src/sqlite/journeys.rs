//! The calls of a partner that decided about a conversion.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::Status;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Sqlite, rows};
use crate::journeys::{Found, calls_of, decided};
use crate::{DecidingCall, DecidingCalls, StoreError, WORKSPACE};

// A call's movement is one row by its key; of a call that was read again all movements of its conversion are looked at.
pub(super) const LOOK: &str = "SELECT call, e.conversion, f.receipt, e.status, p.status, c.labels, e.sequence
    FROM (
        SELECT id AS call, conversion AS told, iif(revision = 0, sequence, 1) AS lowest,
            iif(revision = 0, sequence, 4294967295) AS highest
        FROM receipts WHERE workspace = ?1 AND partner = ?2 AND id >= ?3 AND id < ?4
            AND verdict IN ('recorded', 'updated') ORDER BY id LIMIT ?5
    )
    LEFT JOIN ledger_entries AS e ON e.conversion = told AND e.sequence BETWEEN lowest AND highest AND e.receipt = call
        AND e.kind IN ('call', 'replay')
    LEFT JOIN ledger_entries AS p ON p.conversion = e.conversion AND p.sequence = e.sequence - 1
    LEFT JOIN ledger_entries AS f ON f.conversion = e.conversion AND f.sequence = 1
    LEFT JOIN conversions AS c ON c.id = e.conversion";
pub(super) const COUNT: &str = "SELECT coalesce(sum(count), 0) FROM receipt_hours
    WHERE workspace = ?1 AND partner = ?2 AND hour >= ?3 AND hour < ?4 AND verdict IN ('recorded', 'updated')";

impl Sqlite {
    pub(crate) async fn deciding_calls(
        &self,
        partner: String,
        span: (Timestamp, Timestamp),
        from: Option<ReceiptId>,
        limit: u32,
    ) -> Result<DecidingCalls, StoreError> {
        let work = move |connection: &Connection| {
            let (first, end) = calls_of(span, from);
            let mut ask = connection.prepare_cached(LOOK)?;
            let values = params![WORKSPACE, partner, first.as_bytes(), end.as_bytes(), limit];
            let found = ask.query_map(values, movement)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(decided(found, limit))
        };
        self.engine.read(work).await
    }

    pub(crate) async fn count_calls_of(
        &self,
        partner: String,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let values = params![WORKSPACE, partner, from.as_millis(), to.as_millis()];
            Ok(connection.prepare_cached(COUNT)?.query_row(values, |row| rows::number(row, 0))?)
        };
        self.engine.read(work).await
    }
}

/// The call, and a movement that it made, if any.
fn movement(row: &Row<'_>) -> rusqlite::Result<Found> {
    let receipt = ReceiptId::from_bytes(row.get(0)?);
    let Some(conversion) = row.get::<_, Option<_>>(1)?.map(ConversionId::from_bytes) else {
        return Ok((receipt, None));
    };
    let call = DecidingCall {
        receipt,
        conversion,
        first: row.get::<_, Option<_>>(2)?.map_or(receipt, ReceiptId::from_bytes),
        status: rows::word(row, 3, Status::from_word)?,
        before: rows::optional(row, 4, Status::from_word)?,
        labels: rows::optional_labels(row, 5)?,
    };
    Ok((receipt, Some((row.get(6)?, call))))
}
