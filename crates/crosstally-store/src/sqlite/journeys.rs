//! The calls of a partner that decided about a conversion.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::Status;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Sqlite, rows};
use crate::journeys::{calls_of, right_behind};
use crate::{DecidingCall, DecidingCalls, StoreError, WORKSPACE};

// Each call is looked at once, by the index; what is joined is one row each, by its key.
pub(super) const LOOK: &str = "SELECT r.id, e.conversion, f.receipt, e.status, p.status, c.labels
    FROM receipts AS r
    LEFT JOIN ledger_entries AS e ON r.verdict IN ('recorded', 'updated')
        AND e.conversion = r.conversion AND e.sequence = r.sequence AND e.receipt = r.id
        AND e.status IN ('approved', 'rejected', 'reversed') AND e.kind IN ('call', 'replay')
    LEFT JOIN ledger_entries AS p ON p.conversion = e.conversion AND p.sequence = e.sequence - 1
    LEFT JOIN ledger_entries AS f ON f.conversion = e.conversion AND f.sequence = 1
    LEFT JOIN conversions AS c ON c.id = e.conversion
    WHERE r.workspace = ?1 AND r.partner = ?2 AND r.id >= ?3 AND r.id < ?4 ORDER BY r.id LIMIT ?5";
pub(super) const COUNT: &str = "SELECT coalesce(sum(count), 0) FROM receipt_hours
    WHERE workspace = ?1 AND partner = ?2 AND hour >= ?3 AND hour < ?4";

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
            let found = ask.query_map(values, deciding)?.collect::<rusqlite::Result<Vec<_>>>()?;
            let looked_at = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let last = found.last().filter(|_| looked_at == limit).map(|(id, _)| *id);
            let rows = found.into_iter().filter_map(|(_, call)| call).collect();
            Ok(DecidingCalls { rows, looked_at, next: last.map(right_behind) })
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

/// The call, and what it decided, if anything.
fn deciding(row: &Row<'_>) -> rusqlite::Result<(ReceiptId, Option<DecidingCall>)> {
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
    Ok((receipt, Some(call)))
}
