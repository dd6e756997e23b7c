//! The destinations' state of health.

use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{DestinationState, StoreError, WORKSPACE};

const UPSERT: &str =
    "INSERT INTO destination_states (workspace, destination, paused, detail, since, settings_digest,
        not_before)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (workspace, destination) DO UPDATE
    SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
        settings_digest = excluded.settings_digest, not_before = excluded.not_before";

impl Sqlite {
    pub(crate) async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let work = |connection: &Connection| {
            let ask = format!(
                "SELECT {} FROM destination_states WHERE workspace = ?1 ORDER BY destination",
                rows::DESTINATION_STATE
            );
            let mut ask = connection.prepare_cached(&ask)?;
            let states = ask.query_map([WORKSPACE], rows::destination_state)?;
            Ok(states.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        self.engine.write(1, move |connection| set(connection, &state)).await
    }
}

/// Writes a destination's state inside a transaction.
pub(super) fn set(connection: &Connection, state: &DestinationState) -> Result<(), StoreError> {
    connection.prepare_cached(UPSERT)?.execute(params![
        WORKSPACE,
        state.destination,
        state.paused.map(|reason| reason.code()),
        state.detail,
        state.since.as_millis(),
        state.settings_digest,
        state.not_before.as_millis(),
    ])?;
    Ok(())
}
