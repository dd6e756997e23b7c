//! How many of the clicks that were sent on came to which hop.

use crosstally_core::ids::ClickId;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// Clicks of one campaign and day that went the same way, and how far they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HopCount {
    /// The campaign.
    pub campaign: String,
    /// The day of the clicks, UTC.
    pub day: Timestamp,
    /// The lander that they were sent to; empty without one.
    pub lander: String,
    /// The offer that they were sent to or stepped on to last; empty without one.
    pub offer: String,
    /// Clicks that a page made for itself: nobody was redirected.
    pub direct: u64,
    /// Clicks that bear a label, such as those of programs; they are in none of the counts below.
    pub labelled: u64,
    /// Redirects that were served.
    pub served: u64,
    /// Of these, those whose browser told a page.
    pub viewed: u64,
    /// Those that stepped from a lander to an offer.
    pub stepped: u64,
    /// Those whose browser told more than a look at a page.
    pub acted: u64,
    /// Those with a conversion.
    pub converted: u64,
}

/// Some clicks, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HopCounts {
    /// By campaign, day, lander and offer.
    pub rows: Vec<HopCount>,
    /// Behind which to go on, if there may be more.
    pub next: Option<ClickId>,
}

/// The id right before that of the first click that was not counted.
pub(crate) fn right_before(id: [u8; 16]) -> ClickId {
    ClickId::from_bytes(u128::from_be_bytes(id).saturating_sub(1).to_be_bytes())
}

/// The clicks of a span of time behind one, as a range of their ids without its first.
pub(crate) fn clicks_behind(
    (from, to): (Timestamp, Timestamp),
    after: Option<ClickId>,
) -> (ClickId, ClickId) {
    // No click has the earliest id itself, as that has no tag.
    let first = ClickId::earliest(from);
    (after.map_or(first, |after| after.max(first)), ClickId::earliest(to))
}

impl Store {
    /// Counts the clicks of a span of time by how far they came, oldest first, so many at most behind one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn hop_counts(
        &self,
        span: (Timestamp, Timestamp),
        after: Option<ClickId>,
        limit: u32,
    ) -> Result<HopCounts, StoreError> {
        on!(self, hop_counts(span, after, limit))
    }
}
