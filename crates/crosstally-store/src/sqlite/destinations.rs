//! The destinations' state of health.

use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::rows::{optional, time};
use crate::destinations::By;
use crate::{DestinationState, StoreError, WORKSPACE};

const COLUMNS: &str = "destination, paused, failing, detail, since, settings_digest, not_before";
/// See [`By`] for what does not change.
const UPSERT: &str = "INSERT INTO destination_states AS s (workspace, destination, paused, failing, detail, since,
        settings_digest, not_before)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (workspace, destination) DO UPDATE
    SET paused = excluded.paused, failing = excluded.failing, detail = excluded.detail, since = excluded.since,
        settings_digest = excluded.settings_digest, not_before = excluded.not_before
    WHERE ?9 IS NULL OR s.paused IS NULL OR s.paused <> 'paused_by_hand'
        AND (excluded.paused IS NOT NULL OR s.since < ?9 OR s.settings_digest <> excluded.settings_digest)";

fn read(row: &Row<'_>) -> rusqlite::Result<DestinationState> {
    Ok(DestinationState {
        destination: row.get(0)?,
        paused: optional(row, 1, Reason::from_code)?,
        failing: optional(row, 2, Reason::from_code)?,
        detail: row.get(3)?,
        since: time(row, 4)?,
        settings_digest: row.get(5)?,
        not_before: time(row, 6)?,
    })
}

impl Sqlite {
    pub(crate) async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let work = |connection: &Connection| {
            let ask =
                format!("SELECT {COLUMNS} FROM destination_states WHERE workspace = ?1 ORDER BY destination");
            let mut ask = connection.prepare_cached(&ask)?;
            let states = ask.query_map([WORKSPACE], read)?;
            Ok(states.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        self.engine.write(1, move |connection| set(connection, &state, By::Look)).await
    }

    pub(crate) async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        self.engine.write(1, move |connection| set(connection, &state, By::Hand)).await
    }
}

/// Writes a destination's state inside a transaction.
pub(super) fn set(connection: &Connection, state: &DestinationState, by: By) -> Result<(), StoreError> {
    connection.prepare_cached(UPSERT)?.execute(params![
        WORKSPACE,
        state.destination,
        state.paused.map(|reason| reason.code()),
        state.failing.map(|reason| reason.code()),
        state.detail,
        state.since.as_millis(),
        state.settings_digest,
        state.not_before.as_millis(),
        by.began().map(Timestamp::as_millis),
    ])?;
    Ok(())
}
