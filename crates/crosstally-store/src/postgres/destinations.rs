//! The destinations' state of health.

use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::Postgres;
use super::rows::{Text, get, optional, time, word};
use super::transact::Value;
use crate::destinations::By;
use crate::{DestinationState, Outage, StoreError, WORKSPACE};

const OUTAGES: &str = "SELECT destination, reason, detail, since, settings_digest FROM outages
    WHERE workspace = $1 ORDER BY destination";
const NOTE_OUTAGE: &str = "INSERT INTO outages (workspace, destination, reason, detail, since, settings_digest)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, destination) DO UPDATE
    SET reason = excluded.reason, detail = excluded.detail, since = excluded.since, settings_digest = excluded.settings_digest";
const END_OUTAGE: &str = "DELETE FROM outages WHERE workspace = $1 AND destination = $2";
const COLUMNS: &str = "destination, paused, detail, since, settings_digest, not_before";

/// See [`By`] for what does not change. The source gives the values of the first seven columns.
macro_rules! upsert {
    ($source:literal, $began:literal) => {
        concat!(
            "INSERT INTO destination_states AS s (workspace, destination, paused, detail, since, settings_digest,
                not_before) ",
            $source,
            " ON CONFLICT (workspace, destination) DO UPDATE
            SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
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

const UPSERT: &str = upsert!("VALUES ($1, $2, $3, $4, $5, $6, $7)", "$8");
const TAKE_PROBE: &str = "UPDATE destination_states SET not_before = $7
    WHERE workspace = $1 AND destination = $2 AND paused = $3 AND since = $4 AND settings_digest = $5
        AND not_before = $6
    RETURNING destination";

fn read(row: &Row) -> Result<DestinationState, StoreError> {
    Ok(DestinationState {
        destination: get(row, 0)?,
        paused: optional(row, 1, Reason::from_code)?,
        detail: get(row, 2)?,
        since: time(row, 3)?,
        settings_digest: get(row, 4)?,
        not_before: time(row, 5)?,
    })
}

fn read_outage(row: &Row) -> Result<Outage, StoreError> {
    Ok(Outage {
        destination: get(row, 0)?,
        reason: word(row, 1, Reason::from_code)?,
        detail: get(row, 2)?,
        since: time(row, 3)?,
        settings_digest: get(row, 4)?,
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
        let values: [&Value<'_>; 8] = [
            &WORKSPACE,
            &Text(&state.destination),
            &state.paused.map(|reason| reason.code()),
            &Text(&state.detail),
            &state.since.as_millis(),
            &Text(&state.settings_digest),
            &state.not_before.as_millis(),
            &by.began().map(Timestamp::as_millis),
        ];
        let written = self.engine.write(UPSERT, &values);
        written.await.map(drop)
    }

    pub(crate) async fn take_probe(
        &self,
        read: DestinationState,
        next_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Text(&read.destination),
            &read.paused.map(|reason| reason.code()),
            &read.since.as_millis(),
            &Text(&read.settings_digest),
            &read.not_before.as_millis(),
            &next_at.as_millis(),
        ];
        Ok(!self.engine.write(TAKE_PROBE, &values).await?.is_empty())
    }

    pub(crate) async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        self.engine.read(OUTAGES, &[&WORKSPACE]).await?.iter().map(read_outage).collect()
    }

    pub(crate) async fn set_outage(
        &self,
        destination: String,
        outage: Option<Outage>,
    ) -> Result<(), StoreError> {
        let Some(outage) = outage else {
            return self.engine.write(END_OUTAGE, &[&WORKSPACE, &Text(&destination)]).await.map(drop);
        };
        let values: [&Value<'_>; 6] = [
            &WORKSPACE,
            &Text(&destination),
            &outage.reason.code(),
            &Text(&outage.detail),
            &outage.since.as_millis(),
            &Text(&outage.settings_digest),
        ];
        self.engine.write(NOTE_OUTAGE, &values).await.map(drop)
    }
}
