//! The destinations' state of health.

use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::rows::{optional, time, word};
use crate::destinations::By;
use crate::{DestinationState, Outage, StoreError, WORKSPACE};

const OUTAGES: &str = "SELECT destination, reason, detail, since, settings_digest FROM outages
    WHERE workspace = ?1 ORDER BY destination";
const NOTE_OUTAGE: &str = "INSERT INTO outages (workspace, destination, reason, detail, since, settings_digest)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (workspace, destination) DO UPDATE
    SET reason = excluded.reason, detail = excluded.detail, since = excluded.since, settings_digest = excluded.settings_digest";
const END_OUTAGE: &str = "DELETE FROM outages WHERE workspace = ?1 AND destination = ?2";
const COLUMNS: &str = "destination, paused, detail, since, settings_digest, not_before";
/// See [`By`] for what does not change.
const UPSERT: &str = "INSERT INTO destination_states AS s (workspace, destination, paused, detail, since,
        settings_digest, not_before)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (workspace, destination) DO UPDATE
    SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
        settings_digest = excluded.settings_digest, not_before = excluded.not_before
    WHERE ?8 IS NULL OR s.paused IS NULL OR s.paused <> 'paused_by_hand'
        AND (excluded.paused IS NOT NULL OR s.since < ?8 OR s.settings_digest <> excluded.settings_digest)";
const TAKE_PROBE: &str = "UPDATE destination_states SET not_before = ?7
    WHERE workspace = ?1 AND destination = ?2 AND paused = ?3 AND since = ?4 AND settings_digest = ?5
        AND not_before = ?6";

fn read(row: &Row<'_>) -> rusqlite::Result<DestinationState> {
    Ok(DestinationState {
        destination: row.get(0)?,
        paused: optional(row, 1, Reason::from_code)?,
        detail: row.get(2)?,
        since: time(row, 3)?,
        settings_digest: row.get(4)?,
        not_before: time(row, 5)?,
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

    pub(crate) async fn take_probe(
        &self,
        read: DestinationState,
        next_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let changed = connection.prepare_cached(TAKE_PROBE)?.execute(params![
                WORKSPACE,
                read.destination,
                read.paused.map(|reason| reason.code()),
                read.since.as_millis(),
                read.settings_digest,
                read.not_before.as_millis(),
                next_at.as_millis(),
            ])?;
            Ok(changed > 0)
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        let work = |connection: &Connection| {
            let mut ask = connection.prepare_cached(OUTAGES)?;
            let outages = ask.query_map([WORKSPACE], read_outage)?;
            Ok(outages.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn set_outage(
        &self,
        destination: String,
        outage: Option<Outage>,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let Some(outage) = &outage else {
                connection.prepare_cached(END_OUTAGE)?.execute(params![WORKSPACE, destination])?;
                return Ok(());
            };
            connection.prepare_cached(NOTE_OUTAGE)?.execute(params![
                WORKSPACE,
                destination,
                outage.reason.code(),
                outage.detail,
                outage.since.as_millis(),
                outage.settings_digest,
            ])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }
}

fn read_outage(row: &Row<'_>) -> rusqlite::Result<Outage> {
    Ok(Outage {
        destination: row.get(0)?,
        reason: word(row, 1, Reason::from_code)?,
        detail: row.get(2)?,
        since: time(row, 3)?,
        settings_digest: row.get(4)?,
    })
}

/// Writes a destination's state inside a transaction.
pub(super) fn set(connection: &Connection, state: &DestinationState, by: By) -> Result<(), StoreError> {
    connection.prepare_cached(UPSERT)?.execute(params![
        WORKSPACE,
        state.destination,
        state.paused.map(|reason| reason.code()),
        state.detail,
        state.since.as_millis(),
        state.settings_digest,
        state.not_before.as_millis(),
        by.began().map(Timestamp::as_millis),
    ])?;
    Ok(())
}
