//! What receipts that were only looked at would have come to, so that the next one is decided as if they had been booked: a
//! preview of many tells what doing it would do.

use std::collections::HashMap;

use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::Receipt;
use crosstally_core::postback::replay::Around;
use crosstally_core::verdict::Verdict;

use super::Decided;

/// Conversions as they would stand.
#[derive(Default)]
pub struct Imagined {
    of: HashMap<ConversionId, Around>,
    under: HashMap<DedupeKey, ConversionId>,
    /// Refunds that would have been booked with their sale.
    refunds: HashMap<ReceiptId, Receipt>,
}

impl Imagined {
    pub(super) fn of(&self, id: ConversionId) -> Option<Around> {
        self.of.get(&id).cloned()
    }

    pub(super) fn under(&self, key: &DedupeKey) -> Option<Around> {
        self.under.get(key).and_then(|id| self.of(*id))
    }

    pub(super) fn receipt(&self, id: ReceiptId) -> Option<Receipt> {
        self.refunds.get(&id).cloned()
    }

    /// Takes a refund for booked that waited for its sale.
    pub(super) fn note_refund(&mut self, decided: Decided) {
        let mut receipt = decided.replayed.booking.receipt.clone();
        receipt.revision += 1;
        self.refunds.insert(receipt.id, receipt);
        self.note(decided);
    }

    /// Takes what was decided for done.
    pub(crate) fn note(&mut self, decided: Decided) {
        let Decided { replayed, old, new, click, .. } = decided;
        let mut receipt = replayed.booking.receipt;
        receipt.revision += 1;
        if let Some(mut old) = old {
            old.receipts.retain(|one| one.id != receipt.id);
            if let Some((conversion, entry)) = replayed.taken_out {
                old.conversion = conversion;
                old.entries.push(entry);
            }
            self.keep(old);
        }
        let is_booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
        let Some(id) = receipt.conversion.filter(|_| is_booked) else { return };
        let after = replayed.booking.conversion.as_ref().map(|change| change.conversion().clone());
        let begun = || {
            let conversion = after.clone()?;
            let attributed = click.filter(|click| conversion.click == Some(click.id));
            Some(Around { conversion, entries: Vec::new(), receipts: Vec::new(), attributed })
        };
        let Some(mut around) = self.of(id).or(new).or_else(begun) else { return };
        around.conversion = after.unwrap_or(around.conversion);
        around.entries.extend(replayed.booking.entry);
        around.receipts.retain(|one| one.id != receipt.id);
        around.receipts.push(receipt);
        self.keep(around);
    }

    fn keep(&mut self, around: Around) {
        let (key, id) = (around.conversion.key.clone(), around.conversion.id);
        self.under.insert(key, id);
        self.of.insert(id, around);
    }
}
