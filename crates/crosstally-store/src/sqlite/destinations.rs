//! The destinations' state of health.

use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{DestinationState, StoreError, WORKSPACE};

macro_rules! upsert {
    () => {
        "INSERT INTO destination_states (workspace, destination, paused, detail, since, settings_digest,
                not_before)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (workspace, destination) DO UPDATE
            SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
                settings_digest = excluded.settings_digest, not_before = excluded.not_before"
    };
}

const BY_HAND: &str = upsert!();
/// What a call or other settings say of a destination: a pause that somebody wanted is nothing that they could end.
const UPSERT: &str = concat!(upsert!(), " WHERE destination_states.paused IS NOT 'paused_by_hand'");

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

    pub(crate) async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        self.engine.write(1, move |connection| write(connection, BY_HAND, &state)).await
    }
}

/// Writes a destination's state inside a transaction.
pub(super) fn set(connection: &Connection, state: &DestinationState) -> Result<(), StoreError> {
    write(connection, UPSERT, state)
}

fn write(connection: &Connection, statement: &str, state: &DestinationState) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute(params![
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
