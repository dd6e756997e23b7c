//! The destinations' state of health, shared by all nodes.

use crosstally_core::time::Timestamp;

use crate::{CallResult, DestinationState, Outage, Store, StoreError, on};

/// On whose word a destination's state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody's, who may end whatever somebody began.
    Hand,
    /// What a look at the destination or at its settings says. It ends no pause that somebody wanted.
    Look,
    /// What a probe that began then says. Nor does it end a pause of the same settings that has begun since: of that it knows
    /// nothing.
    Probe(Timestamp),
    /// What any other call says. It ends no pause of the same settings at all.
    Call,
}

impl By {
    /// On whose word a call's end says something.
    pub(crate) fn call(result: &CallResult) -> Self {
        if result.probe { Self::Probe(result.id.time()) } else { Self::Call }
    }

    /// Pauses that began before this may be ended; `None` if all may.
    pub(crate) fn began(self) -> Option<Timestamp> {
        match self {
            Self::Hand => None,
            Self::Look => Some(Timestamp::from_millis(i64::MAX)),
            Self::Probe(at) => Some(at),
            Self::Call => Some(Timestamp::from_millis(i64::MIN)),
        }
    }
}

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

    /// Takes the turn to probe a paused destination: the next probe is due at that time. Whether it was taken: not if another
    /// node probes, or if the destination has been resumed or paused anew since its state was read.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take_probe(&self, read: DestinationState, next_at: Timestamp) -> Result<bool, StoreError> {
        on!(self, take_probe(read, next_at))
    }

    /// The same as setting its state, on somebody's word, which also ends a pause that somebody wanted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_destination_by_hand(&self, state: DestinationState) -> Result<(), StoreError> {
        on!(self, set_destination_by_hand(state))
    }

    /// Destinations whose calls come to nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn outages(&self) -> Result<Vec<Outage>, StoreError> {
        on!(self, outages())
    }

    /// Notes an outage in place of the one that was noted before, or that there is none any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_outage(&self, destination: String, outage: Option<Outage>) -> Result<(), StoreError> {
        on!(self, set_outage(destination, outage))
    }
}
