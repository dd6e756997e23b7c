//! Deliveries: their states, what an attempt can come to, and what follows from it.

use serde::{Deserialize, Serialize};

use crate::reason::Reason;

pub mod digest;
pub mod job;
pub mod lane;
pub mod lookback;
pub mod retry;

/// Where a delivery stands. There is no state for "being worked on": that is a lease beside `Pending`, which ends by
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Waiting for its due time, its lease's end, or its destination.
    Pending,
    /// Confirmed by the destination.
    Delivered,
    /// Refused for good, or out of attempts.
    Dead,
    /// Too old for the destination before it could be delivered.
    Expired,
    /// Cancelled by hand.
    Cancelled,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Delivered, Self::Dead, Self::Expired, Self::Cancelled];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl std::fmt::Display for DeliveryState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What one attempt came to, for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The destination confirmed the event.
    Delivered,
    /// The destination took the event and will not say whether it counts: as good as it gets there.
    Unverified,
    /// It may work later.
    Retry {
        /// Why it did not work.
        reason: Reason,
        /// The wait that the destination asked for, in milliseconds.
        after_ms: Option<i64>,
    },
    /// The destination refuses this event for good.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// The destination refuses this event, with an answer that it also gives while somebody works on it: a few more tries tell.
    Doubted {
        /// Why.
        reason: Reason,
    },
    /// The destination refuses the batch because of at least one event in it, without saying which.
    Split {
        /// Why, if the batch turns out to be this one event.
        reason: Reason,
    },
    /// Nothing will work until somebody changes something: the destination is paused and its events wait.
    Pause {
        /// Why.
        reason: Reason,
    },
}

impl Outcome {
    /// The reason code to show for it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Delivered => Reason::Delivered,
            Self::Unverified => Reason::AcceptedUnverified,
            Self::Retry { reason, .. }
            | Self::Refused { reason }
            | Self::Doubted { reason }
            | Self::Split { reason }
            | Self::Pause { reason } => *reason,
        }
    }

    /// The word for tables and metrics. What is delivered without proof has a reason of its own, not a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered | Self::Unverified => "delivered",
            Self::Retry { .. } => "retry",
            Self::Refused { .. } | Self::Doubted { .. } => "refused",
            Self::Split { .. } => "split",
            Self::Pause { .. } => "paused",
        }
    }
}
