//! The destinations' state of health.

use super::rows::Text;
use super::transact::Value;
use super::{Postgres, rows};
use crate::{DestinationState, StoreError, WORKSPACE};

macro_rules! upsert {
    () => {
        "INSERT INTO destination_states (workspace, destination, paused, detail, since, settings_digest,
                not_before)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (workspace, destination) DO UPDATE
            SET paused = excluded.paused, detail = excluded.detail, since = excluded.since,
                settings_digest = excluded.settings_digest, not_before = excluded.not_before"
    };
}

const BY_HAND: &str = upsert!();
/// What a call or other settings say of a destination: a pause that somebody wanted is nothing that they could end.
const UPSERT: &str = concat!(upsert!(), " WHERE destination_states.paused IS DISTINCT FROM 'paused_by_hand'");

impl Postgres {
    pub(crate) async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        let ask = format!(
            "SELECT {} FROM destination_states WHERE workspace = $1 ORDER BY destination",
            rows::DESTINATION_STATE
        );
        self.engine.read(&ask, &[&WORKSPACE]).await?.iter().map(rows::destination_state).collect()
    }

    pub(crate) async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        self.set_state(UPSERT, &state).await
    }

    pub(crate) async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        self.set_state(BY_HAND, &state).await
    }

    async fn set_state(&self, statement: &str, state: &DestinationState) -> Result<(), StoreError> {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Text(&state.destination),
            &state.paused.map(|reason| reason.code()),
            &Text(&state.detail),
            &state.since.as_millis(),
            &Text(&state.settings_digest),
            &state.not_before.as_millis(),
        ];
        let written = self.engine.write(statement, &values);
        written.await.map(drop)
    }
}
