//! Look-backs: calls whose events a platform took and judges later, until it was asked what became of them.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::{CallId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, Timestamp};

use crate::{Store, StoreError, on};

/// Calls that were made longer ago are not asked about any more, whatever has kept them: no platform tells of them.
const KEPT_MS: i64 = 50 * DAY_MS;
/// How many of those are forgotten at once.
pub(crate) const FORGOTTEN_MAX: u32 = 200;

/// Before every call that is still asked about. Ids begin with the time at which they were made.
pub(crate) fn oldest(now: Timestamp) -> CallId {
    CallId::new(now.plus_millis(-KEPT_MS), [0; 10])
}

/// A call to be asked about later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLookback {
    /// The call.
    pub call: CallId,
    /// Its destination.
    pub destination: String,
    /// Under which name the platform knows it.
    pub receipt: String,
    /// When to ask first.
    pub due_at: Timestamp,
}

/// A call that is asked about now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookback {
    /// The call.
    pub call: CallId,
    /// Under which name the platform knows it.
    pub receipt: String,
    /// How often it was asked about before.
    pub looks: u32,
    /// The deliveries that it took, each with what was sent, as far as that is kept.
    pub sent: Vec<(DeliveryId, String)>,
}

/// What became of a delivery that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Where it stands now.
    pub state: DeliveryState,
    /// Why.
    pub reason: Reason,
    /// The platform's own words.
    pub detail: String,
    /// When it is sent once more, in place of that state and for the same reason: unless it had arrived before, will be too
    /// old by then, has failed too often, or its sale was taken back meanwhile.
    pub again_at: Option<Timestamp>,
}

impl Store {
    /// Notes that a call is to be asked about. One that is noted already stays as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn note_lookback(&self, lookback: NewLookback) -> Result<(), StoreError> {
        on!(self, note_lookback(lookback))
    }

    /// Takes calls of a destination that are due to be asked about, the oldest first. Nobody else gets them until `again_at`.
    /// Of calls of whatever destination that were made fifty days ago some are forgotten with it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take_lookbacks(
        &self,
        destination: String,
        now: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lookback>, StoreError> {
        on!(self, take_lookbacks(destination, now, again_at, limit))
    }

    /// Asks about a call once more at this time, as nothing is known yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off_lookback(&self, call: CallId, due_at: Timestamp) -> Result<(), StoreError> {
        on!(self, put_off_lookback(call, due_at))
    }

    /// Writes down what became of a call's deliveries, which is not asked about any more. Those that were sent again since, or
    /// that stand otherwise by now, are left alone. What is sent once more waits for it as if an attempt had failed. Tells how many
    /// changed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn settle_lookback(
        &self,
        call: CallId,
        found: Vec<Found>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, settle_lookback(call, found, now))
    }
}
