//! What is gone stays gone: receipts of which nothing is left, and calls that would bring an erased person back.

use crosstally_core::erasure::LABEL;
use crosstally_core::postback::{Postback, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::retention::PURGED;
use crosstally_core::verdict::{Stop, Verdict};

use crate::Engine;
use crate::snapshot::Snapshot;

/// Whether nothing of it is left but that it was there.
#[must_use]
pub fn is_erased(receipt: &Receipt) -> bool {
    receipt.labels.iter().any(|label| label == LABEL || label == PURGED)
}

impl Engine {
    /// What a call says of an erased person is not read. One that is booked stays so until it is erased with its conversion:
    /// the money stays.
    pub(super) fn keep_gone(
        &self,
        reading: &mut Result<Postback, Stop>,
        receipt: &Receipt,
        snapshot: &Snapshot,
    ) {
        if matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated) {
            return;
        }
        let partner = snapshot.partner(&receipt.partner).map(|(partner, _)| partner);
        if let (Ok(postback), Some(partner)) = (&*reading, partner)
            && self.brings_back(postback, (&receipt.method, receipt.received_at), &partner.contract)
        {
            *reading = Err(Stop::refused(Reason::Erased, ""));
        }
    }
}
