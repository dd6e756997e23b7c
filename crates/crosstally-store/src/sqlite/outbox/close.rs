//! Closing calls and their attempts. An attempt has a row of its own, but where its call was of one event: there it is in the
//! row of the call.

use crosstally_core::delivery::Outcome;
use rusqlite::{Connection, params};

use super::{CLOSE_ATTEMPT, CLOSE_CALL};
use crate::{CallEnd, CallResult, Settlement, StoreError};

/// Closes a call with the attempt that is in the call's row, if it is of this delivery. No outcome leaves it as it is.
pub(super) const CLOSE_CALL_OF_ONE: &str = "UPDATE calls SET finished_at = ?2, status = ?3,
        response = CASE WHEN url = '' THEN '' ELSE ?4 END, detail = CASE WHEN url = '' THEN '' ELSE ?5 END,
        outcome = coalesce(outcome, ?7), reason = CASE WHEN outcome IS NULL THEN ?8 ELSE reason END
    WHERE id = ?1 AND delivery = ?6";

/// Closes the attempt of an event, whose lease held or did not. Whether its call is closed with it, being of this one alone.
pub(super) fn close(
    connection: &Connection,
    end: &CallEnd,
    settlement: &Settlement,
    applied: bool,
) -> Result<bool, StoreError> {
    let CallEnd { result, settlements, .. } = end;
    if settlements.len() > 1 {
        // Of several that were wanted one alone may have been held.
        let missed = applied && !close_attempt(connection, result, settlement)?;
        return Ok(missed && close_call_of_one(connection, result, settlement, applied)?);
    }
    let closed = close_call_of_one(connection, result, settlement, applied)?;
    if applied && !closed {
        close_attempt(connection, result, settlement)?;
    }
    Ok(closed)
}

/// Closes a call; whether it is there.
pub(super) fn close_call(connection: &Connection, result: &CallResult) -> Result<bool, StoreError> {
    let (id, finished_at) = (result.id.as_bytes(), result.finished_at.as_millis());
    let values = params![id, finished_at, result.status, result.response, result.detail];
    Ok(connection.prepare_cached(CLOSE_CALL)?.execute(values)? > 0)
}

fn close_call_of_one(
    connection: &Connection,
    result: &CallResult,
    settlement: &Settlement,
    applied: bool,
) -> Result<bool, StoreError> {
    let outcome = applied.then_some(&settlement.outcome);
    let values = params![
        result.id.as_bytes(),
        result.finished_at.as_millis(),
        result.status,
        result.response,
        result.detail,
        settlement.held.id.as_bytes(),
        outcome.map(Outcome::as_str),
        outcome.map(|outcome| outcome.reason().code()),
    ];
    Ok(connection.prepare_cached(CLOSE_CALL_OF_ONE)?.execute(values)? > 0)
}

fn close_attempt(
    connection: &Connection,
    result: &CallResult,
    settlement: &Settlement,
) -> Result<bool, StoreError> {
    let (id, outcome) = (settlement.held.id.as_bytes(), &settlement.outcome);
    let values = params![id, result.id.as_bytes(), outcome.as_str(), outcome.reason().code()];
    Ok(connection.prepare_cached(CLOSE_ATTEMPT)?.execute(values)? > 0)
}
