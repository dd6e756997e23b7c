//! The destinations' state of health.

use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::Postgres;
use super::rows::{Text, get, optional, time};
use super::transact::Value;
use crate::destinations::By;
use crate::{DestinationState, StoreError, WORKSPACE};

const COLUMNS: &str = "destination, paused, failing, detail, since, settings_digest, not_before";

/// See [`By`] for what does not change. The source gives the values of the first eight columns.
macro_rules! upsert {
    ($source:literal, $began:literal) => {
        concat!(
            "INSERT INTO destination_states AS s (workspace, destination, paused, failing, detail, since, settings_digest,
                not_before) ",
            $source,
            " ON CONFLICT (workspace, destination) DO UPDATE
            SET paused = excluded.paused, failing = excluded.failing, detail = excluded.detail, since = excluded.since,
                settings_digest = excluded.settings_digest, not_before = excluded.not_before
            WHERE ",
            $began,
            "::bigint IS NULL OR s.paused IS NULL OR s.paused <> 'paused_by_hand'
                AND (excluded.paused IS NOT NULL OR s.since < ",
            $began,
            " OR s.settings_digest <> excluded.settings_digest)"
        )
    };
}
pub(super) use upsert;

const UPSERT: &str = upsert!("VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", "$9");

fn read(row: &Row) -> Result<DestinationState, StoreError> {
    Ok(DestinationState {
        destination: get(row, 0)?,
        paused: optional(row, 1, Reason::from_code)?,
        failing: optional(row, 2, Reason::from_code)?,
        detail: get(row, 3)?,
        since: time(row, 4)?,
        settings_digest: get(row, 5)?,
        not_before: time(row, 6)?,
    })
}

impl Postgres {
    pub(crate) async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let ask =
            format!("SELECT {COLUMNS} FROM destination_states WHERE workspace = $1 ORDER BY destination");
        self.engine.read(&ask, &[&WORKSPACE]).await?.iter().map(read).collect()
    }

    pub(crate) async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        self.set_state(&state, By::Look).await
    }

    pub(crate) async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        self.set_state(&state, By::Hand).await
    }

    async fn set_state(&self, state: &DestinationState, by: By) -> Result<(), StoreError> {
        let values: [&Value<'_>; 9] = [
            &WORKSPACE,
            &Text(&state.destination),
            &state.paused.map(|reason| reason.code()),
            &state.failing.map(|reason| reason.code()),
            &Text(&state.detail),
            &state.since.as_millis(),
            &Text(&state.settings_digest),
            &state.not_before.as_millis(),
            &by.began().map(Timestamp::as_millis),
        ];
        let written = self.engine.write(UPSERT, &values);
        written.await.map(drop)
    }
}
