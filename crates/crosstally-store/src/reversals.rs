//! Reversals: what is still to be followed, what follows, and what is told nobody.

use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::Follows;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// A conversion of which something was taken back, up to a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenReversal {
    /// The conversion.
    pub conversion: ConversionId,
    /// Its last movement, up to which it is to be followed.
    pub sequence: u32,
    /// Of a movement zeroes. A delivery that has noted it, as it may have something to tell again, makes all but the first
    /// byte new each time: of two notes of one delivery the first may have been read and the second not. The first byte is
    /// zero as long as a movement is among those who noted it.
    pub mark: [u8; 16],
}

impl OpenReversal {
    /// Whether a movement is among those who noted it.
    #[must_use]
    pub const fn is_of_movement(&self) -> bool {
        self.mark[0] == 0
    }
}

/// By how much one destination was told more than is left, of one campaign and currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverstatedSum {
    /// The campaign, empty for conversions without a click.
    pub campaign: String,
    /// The destination's slug.
    pub destination: String,
    /// The currency.
    pub currency: String,
    /// Minor units.
    pub minor: i64,
    /// Of how many deliveries.
    pub deliveries: u64,
}

impl Store {
    /// Reversals that nobody has followed yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_reversals(&self, limit: u32) -> Result<Vec<OpenReversal>, StoreError> {
        on!(self, open_reversals(limit))
    }

    /// Takes deliveries back that were never tried: they end as cancelled, for this reason. Others are left alone, and all of
    /// them if somebody else has followed the reversal, or if it was noted once more since: then its sale may stand again.
    /// Tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn withdraw_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, withdraw_deliveries(open, ids, reason, now))
    }

    /// Lets withdrawn deliveries go out after all, as what was taken back stands again. Others are left alone, and all of
    /// them as above. Tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn restore_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, restore_deliveries(open, ids, now))
    }

    /// Books what follows from a reversal, and that it was followed. Nothing is written if somebody else has followed it,
    /// or if it was noted once more since; the answer tells which.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn follow_reversal(
        &self,
        open: OpenReversal,
        follows: Follows,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(self, follow_reversal(open, follows, now))
    }

    /// What was stated and is not left, of deliveries that arrived where it cannot be told: by campaign, destination and
    /// currency.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn overstated(&self) -> Result<Vec<OverstatedSum>, StoreError> {
        on!(self, overstated())
    }
}
