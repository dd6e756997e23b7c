//! Receipts that are read again: what is waited for, what changes, and what stood before.

use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::{Booking, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;

use crate::{Store, StoreError, on};

/// Which receipts to look at, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptFilter {
    /// Of this partner.
    pub partner: Option<String>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// With this reason.
    pub reason: Option<Reason>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
    /// After this one, the last of the page before.
    pub after: Option<ReceiptId>,
}

/// A receipt that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The receipt as it stood when it was decided.
    pub before: Receipt,
    /// What it is now, with what it books.
    pub booking: Booking,
    /// The conversion that it no longer belongs to, and the movement without it.
    pub taken_out: Option<(Conversion, LedgerEntry)>,
    /// Booked receipts that wait for something from now on, though they stand as they do.
    pub bereft: Vec<Receipt>,
    /// When.
    pub at: Timestamp,
    /// `matched`, `replay`, `repair`.
    pub cause: String,
    /// Who.
    pub author: String,
    /// The repair as JSON; empty without one.
    pub repair: String,
}

/// Whether a replay took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayAnswer {
    /// It is on disk.
    Done,
    /// Something has moved since it was decided; nothing was changed.
    Moved,
}

/// What a receipt said before it was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// 1 for the first time it was read again.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: String,
    /// Who.
    pub author: String,
    /// The repair as JSON; empty without one.
    pub repair: String,
    /// The verdict before.
    pub verdict: Verdict,
    /// The reason before.
    pub reason: Option<Reason>,
    /// The detail before.
    pub detail: String,
    /// The conversion before.
    pub conversion: Option<ConversionId>,
}

/// A receipt that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The receipt.
    pub receipt: ReceiptId,
    /// What it waits for, as [`crosstally_core::postback::Awaited`] writes it.
    pub awaited: String,
    /// Since when.
    pub since: Timestamp,
    /// How often it was looked at.
    pub looks: u32,
}

/// When a receipt that waits is looked at next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOff {
    /// The receipt.
    pub receipt: ReceiptId,
    /// What it waited for when it was looked at.
    pub awaited: String,
    /// The next look; without one it waits no longer.
    pub next: Option<Timestamp>,
}

impl Store {
    /// Receipts, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn receipts_matching(
        &self,
        filter: ReceiptFilter,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        on!(self, receipts_matching(filter, limit))
    }

    /// The conversion under a dedupe key.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn conversion_of_key(&self, key: DedupeKey) -> Result<Option<Conversion>, StoreError> {
        on!(self, conversion_of_key(key))
    }

    /// Records a receipt that was read again, with all that follows, if nothing has moved since it was decided.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn record_replay(&self, replay: Replay) -> Result<ReplayAnswer, StoreError> {
        on!(self, record_replay(replay))
    }

    /// What a receipt said before, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn revisions(&self, receipt: ReceiptId) -> Result<Vec<Revision>, StoreError> {
        on!(self, revisions(receipt))
    }

    /// Receipts that wait and are due for a look: first those of which it is known that what they wait for has come, then
    /// those that are due longest.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn due_waits(&self, now: Timestamp, limit: u32) -> Result<Vec<Wait>, StoreError> {
        on!(self, due_waits(now, limit))
    }

    /// Receipts that wait for this, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn waits_for(&self, awaited: String, limit: u32) -> Result<Vec<Wait>, StoreError> {
        on!(self, waits_for(awaited, limit))
    }

    /// What this receipt waits for, as [`crosstally_core::postback::Awaited`] writes it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn awaited_by(&self, receipt: ReceiptId) -> Result<Option<String>, StoreError> {
        on!(self, awaited_by(receipt))
    }

    /// Puts the next look at waiting receipts off; without a time they wait no longer. A receipt that waits for something
    /// else by now is left alone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off_waits(&self, waits: Vec<PutOff>) -> Result<(), StoreError> {
        on!(self, put_off_waits(waits))
    }
}
