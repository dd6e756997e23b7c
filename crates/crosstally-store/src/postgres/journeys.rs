//! The calls of a partner that decided about a conversion.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::Status;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::rows::{Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::journeys::{Found, calls_of, decided};
use crate::{DecidingCall, DecidingCalls, StoreError, WORKSPACE};

// A call's movement is one row by its key; of a call that was read again all movements of its conversion are looked at. A limit
// or an offset inside keeps the planner from reading a whole table for it.
const LOOK: &str = "SELECT r.id, e.conversion, f.receipt, e.status, p.status, c.labels, e.sequence
    FROM (
        SELECT id, conversion, CASE WHEN revision = 0 THEN sequence ELSE 1 END AS lowest,
            CASE WHEN revision = 0 THEN sequence ELSE 4294967295 END AS highest
        FROM receipts WHERE partner = $2 AND workspace = $1 AND id >= $3 AND id < $4
            AND verdict IN ('recorded', 'updated') ORDER BY id LIMIT $5
    ) AS r
    LEFT JOIN LATERAL (
        SELECT conversion, sequence, status FROM ledger_entries
        WHERE conversion = r.conversion AND sequence BETWEEN r.lowest AND r.highest AND receipt = r.id
            AND kind IN ('call', 'replay') AND (workspace = $1) IS TRUE OFFSET 0
    ) AS e ON TRUE
    LEFT JOIN LATERAL (
        SELECT status FROM ledger_entries
        WHERE conversion = e.conversion AND sequence = e.sequence - 1 AND (workspace = $1) IS TRUE LIMIT 1
    ) AS p ON TRUE
    LEFT JOIN LATERAL (
        SELECT receipt FROM ledger_entries
        WHERE conversion = e.conversion AND sequence = 1 AND (workspace = $1) IS TRUE LIMIT 1
    ) AS f ON TRUE
    LEFT JOIN LATERAL (
        SELECT labels FROM conversions WHERE id = e.conversion AND (workspace = $1) IS TRUE LIMIT 1
    ) AS c ON TRUE";
const COUNT: &str = "SELECT coalesce(sum(count), 0)::bigint FROM receipt_hours
    WHERE partner = $2 AND hour >= $3 AND hour < $4 AND verdict IN ('recorded', 'updated') AND (workspace = $1) IS TRUE";

impl Postgres {
    pub(crate) async fn deciding_calls(
        &self,
        partner: String,
        span: (Timestamp, Timestamp),
        from: Option<ReceiptId>,
        limit: u32,
    ) -> Result<DecidingCalls, StoreError> {
        let (first, end) = calls_of(span, from);
        let values: [&Value<'_>; 5] =
            [&WORKSPACE, &Text(&partner), &Id::from(first), &Id::from(end), &i64::from(limit)];
        let found = self.engine.read(LOOK, &values).await?;
        let found = found.iter().map(movement).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(decided(found, limit))
    }

    pub(crate) async fn count_calls_of(
        &self,
        partner: String,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<u64, StoreError> {
        let values: [&Value<'_>; 4] = [&WORKSPACE, &Text(&partner), &from.as_millis(), &to.as_millis()];
        let found = self.engine.read(COUNT, &values).await?;
        found.first().map_or(Ok(0), |row| rows::count(row, 0))
    }
}

/// The call, and a movement that it made, if any.
fn movement(row: &Row) -> Result<Found, StoreError> {
    let receipt = ReceiptId::from_bytes(rows::id(row, 0)?);
    let Some(conversion) = rows::optional_id(row, 1)?.map(ConversionId::from_bytes) else {
        return Ok((receipt, None));
    };
    let call = DecidingCall {
        receipt,
        conversion,
        first: rows::optional_id(row, 2)?.map_or(receipt, ReceiptId::from_bytes),
        status: rows::word(row, 3, Status::from_word)?,
        before: rows::optional(row, 4, Status::from_word)?,
        labels: rows::optional_labels(row, 5)?,
    };
    Ok((receipt, Some((rows::number(row, 6)?, call))))
}
