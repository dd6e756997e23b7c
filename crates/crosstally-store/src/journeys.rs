//! The calls of a partner that decided about a conversion, some calls at a time. Calls that booked nothing are not looked at:
//! anybody can make them.

use std::collections::BTreeMap;

use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::journeys::Outcome;
use crosstally_core::ledger::Status;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// A call after which a conversion was approved, rejected or reversed that was not so before.
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

/// Some of a partner's calls that booked something.
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
    /// Looks at so many of a partner's calls of a span of time at most that booked something, from one on, oldest first, for
    /// those that decided about a conversion. Each costs a few looks by key, however many there are; calls that booked nothing
    /// are passed over on the way, in the order of the index.
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

    /// How many calls of a partner that booked something were counted in a span of time; both ends are taken as starts of hours.
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

/// A call, and a movement that it made: its number, and what it was.
pub(crate) type Found = (ReceiptId, Option<(u32, DecidingCall)>);

/// What calls decided, of so many that were looked for. One that was read again has several movements: it decided what the last
/// one came to that changed the status. One that only read its amounts anew leaves what it decided as it is.
pub(crate) fn decided(found: Vec<Found>, limit: u32) -> DecidingCalls {
    let mut calls: BTreeMap<ReceiptId, Option<(u32, DecidingCall)>> = BTreeMap::new();
    for (receipt, movement) in found {
        let last = calls.entry(receipt).or_default();
        let is_later = |number: u32| last.as_ref().is_none_or(|(last, _)| *last < number);
        if let Some((number, call)) = movement
            && call.before != Some(call.status)
            && is_later(number)
        {
            *last = Some((number, call));
        }
    }
    let looked_at = u32::try_from(calls.len()).unwrap_or(u32::MAX);
    let last = calls.keys().next_back().filter(|_| looked_at == limit).copied();
    let changes = calls.into_values().flatten().map(|(_, call)| call);
    let rows = changes.filter(|call| Outcome::of(call.before, call.status).is_some()).collect();
    DecidingCalls { rows, looked_at, next: last.map(right_behind) }
}

/// The id right behind one.
fn right_behind(id: ReceiptId) -> ReceiptId {
    ReceiptId::from_bytes(u128::from_be_bytes(*id.as_bytes()).saturating_add(1).to_be_bytes())
}
