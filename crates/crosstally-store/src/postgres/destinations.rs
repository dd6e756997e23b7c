//! The destinations' state of health.

use super::rows::Text;
use super::transact::Value;
use super::{Postgres, rows};
use crate::{DestinationState, StoreError, WORKSPACE};

const UPSERT: &str =
    "INSERT INTO destination_states (workspace, destination, paused, detail, since, settings_digest,
        not_before)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (workspace, destination) DO UPDATE
    SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
        settings_digest = excluded.settings_digest, not_before = excluded.not_before";

impl Postgres {
    pub(crate) async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let ask = format!(
            "SELECT {} FROM destination_states WHERE workspace = $1 ORDER BY destination",
            rows::DESTINATION_STATE
        );
        self.engine.read(&ask, &[&WORKSPACE]).await?.iter().map(rows::destination_state).collect()
    }

    pub(crate) async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Text(&state.destination),
            &state.paused.map(|reason| reason.code()),
            &Text(&state.detail),
            &state.since.as_millis(),
            &Text(&state.settings_digest),
            &state.not_before.as_millis(),
        ];
        let written = self.engine.write(UPSERT, &values);
        written.await.map(drop)
    }
}
