//! The destinations' state of health, shared by all nodes.

use crosstally_core::time::Timestamp;

use crate::{DestinationState, Store, StoreError, on};

/// On whose word a destination's state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody's, who may end whatever somebody began.
    Hand,
    /// What a look at the destination or at its settings says. It ends no pause that somebody wanted.
    Look,
    /// What a call that began then says. Nor does it end a pause of the same settings that has begun since: of that it knows
    /// nothing.
    Call(Timestamp),
}

impl By {
    /// Pauses that began before this may be ended; `None` if all may.
    pub(crate) fn began(self) -> Option<Timestamp> {
        match self {
            Self::Hand => None,
            Self::Look => Some(Timestamp::from_millis(i64::MAX)),
            Self::Call(at) => Some(at),
        }
    }
}

impl Store {
    /// All destinations that are or were paused, failing or slowed down.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn destination_states(&self) -> Result<Vec<DestinationState>, StoreError> {
        on!(self, destination_states())
    }

    /// Sets a destination's state: paused, failing, slowed down, or (with none of these) in order again.
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
