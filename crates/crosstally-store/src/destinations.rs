//! The destinations' state of health, shared by all nodes.

use crate::{DestinationState, Store, StoreError, on};

impl Store {
    /// All destinations that are or were paused or slowed down.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        on!(self, destination_states())
    }

    /// Sets a destination's state: paused, slowed down, or (with neither) in order again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_destination_state(&self, state: DestinationState) -> Result<(), StoreError> {
        on!(self, set_destination_state(state))
    }

    /// The same on somebody's word, which also ends a pause that somebody wanted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        on!(self, set_destination_by_hand(state))
    }
}
