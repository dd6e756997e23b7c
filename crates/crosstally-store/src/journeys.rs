//! The calls of a partner that decided about a conversion, some calls at a time.

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::ledger::Status;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// A call after which a conversion was approved, rejected or reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingCall {
    /// The call.
    pub receipt: ReceiptId,
    /// The conversion.
    pub conversion: ConversionId,
    /// The call that the conversion was first booked by.
    pub first: ReceiptId,
    /// The status after it.
    pub status: Status,
    /// The status before it; none if there was no conversion.
    pub before: Option<Status>,
    /// The conversion's labels.
    pub labels: Vec<String>,
}

/// Some of a partner's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingCalls {
    /// Those that decided, oldest first.
    pub rows: Vec<DecidingCall>,
    /// How many calls were looked at.
    pub looked_at: u32,
    /// Where to go on, if there may be more.
    pub next: Option<ReceiptId>,
}

impl Store {
    /// Looks at so many of a partner's calls of a span of time at most, from one on, oldest first, for those that decided about
    /// a conversion. Each costs a few looks by key, however many there are.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn deciding_calls(
        &self,
        partner: String,
        span: (Timestamp, Timestamp),
        from: Option<ReceiptId>,
        limit: u32,
    ) -> Result<DecidingCalls, StoreError> {
        on!(self, deciding_calls(partner, span, from, limit))
    }

    /// How many calls of a partner were counted in a span of time; both ends are taken as starts of hours.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_calls_of(
        &self,
        partner: String,
        span: (Timestamp, Timestamp),
    ) -> Result<u64, StoreError> {
        on!(self, count_calls_of(partner, span))
    }
}

/// The calls of a span of time from one on, as a range of their ids.
pub(crate) fn calls_of((from, to): (Timestamp, Timestamp), at: Option<ReceiptId>) -> (ReceiptId, ReceiptId) {
    let first = ReceiptId::new(from, [0; 10]);
    (at.map_or(first, |at| at.max(first)), ReceiptId::new(to, [0; 10]))
}

/// The id right behind one.
pub(crate) fn right_behind(id: ReceiptId) -> ReceiptId {
    ReceiptId::from_bytes(u128::from_be_bytes(*id.as_bytes()).saturating_add(1).to_be_bytes())
}
