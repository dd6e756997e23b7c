//! The ledger: append-only movements of a conversion. Balances are sums, nothing is ever overwritten.

use crate::fx::Fx;
use crate::ids::{ClickId, ConversionId, ReceiptId};
use crate::money::Currency;
use crate::time::Timestamp;

mod as_of;

pub use as_of::{By, State, Window};

/// What a partner says about a conversion, in our words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Somebody signed up or filled in a form; no money is confirmed.
    Lead,
    /// The money is pending.
    Hold,
    /// The money is confirmed.
    Approved,
    /// The money will not come.
    Rejected,
    /// The money was confirmed and has been taken back: refund, chargeback.
    Reversed,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 5] = [Self::Lead, Self::Hold, Self::Approved, Self::Rejected, Self::Reversed];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Hold => "hold",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
        }
    }

    /// Reads one of our own words, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(word.trim()))
    }

    /// Whether `next` may follow this status on the same conversion. A repeat of the same status may carry another
    /// amount. What is confirmed or refused never falls back to open: such a call arrived out of order.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use Status::{Approved, Hold, Lead, Rejected, Reversed};
        match (self, next) {
            (Hold, Lead) | (Approved | Rejected | Reversed, Lead | Hold) | (Reversed, Rejected) => false,
            // A sale that was refused before it was confirmed has nothing to take back.
            (Rejected, Reversed) => false,
            (Lead | Hold | Approved | Rejected | Reversed, _) => true,
        }
    }

    /// Whether amounts under this status are confirmed money.
    #[must_use]
    pub const fn is_confirmed(self) -> bool {
        matches!(self, Self::Approved)
    }

    /// Whether amounts under this status are still open.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Lead | Self::Hold)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The amounts that a movement states, in minor units of the conversion's currency. Absent means never stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Amounts {
    /// The commission.
    pub payout: Option<i64>,
    /// The order's amount.
    pub revenue: Option<i64>,
    /// What this workspace earns: one of the two, as the contract says.
    pub value: Option<i64>,
}

impl Amounts {
    /// Whether one of them is more than nothing.
    #[must_use]
    pub const fn is_priced(&self) -> bool {
        !matches!((self.payout, self.revenue), (None | Some(0), None | Some(0)))
    }
}

/// A digest of all that a call said, in any order and without its secrets: two calls with one digest are one call sent
/// twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl serde::Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&hex::text(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        hex::bytes(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a digest in hex"))
    }
}

mod hex {
    use std::fmt::Write as _;

    pub(super) fn text(bytes: &[u8; 16]) -> String {
        bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
    }

    pub(super) fn bytes(text: &str) -> Option<[u8; 16]> {
        u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
    }
}

/// Why an entry was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A call moved the conversion.
    #[default]
    Call,
    /// A receipt was read again, under a new contract or after a repair.
    Replay,
    /// A rate was set or changed; only the amounts in the base currency move.
    Rate,
    /// The last of its calls is another conversion's now, or nobody's. The name is free for the next call.
    Left,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Call, Self::Replay, Self::Rate, Self::Left];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Replay => "replay",
            Self::Rate => "rate",
            Self::Left => "left",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LedgerEntry {
    /// The conversion that moved.
    pub conversion: ConversionId,
    /// 1 for the first movement, then rising by one.
    pub sequence: u32,
    /// The receipt that caused it.
    pub receipt: ReceiptId,
    /// The status after this movement.
    pub status: Status,
    /// The partner's own word, as it came; empty if none came.
    pub status_word: String,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The amounts in force after this movement.
    pub amounts: Amounts,
    /// By how much the confirmed value changed. Its sum over all entries is what is earned.
    pub confirmed_delta: i64,
    /// By how much the pending value changed. Its sum is what is still open.
    pub pending_delta: i64,
    /// When it happened, by the partner's word, else when it was received.
    pub event_time: Timestamp,
    /// When it was booked.
    pub recorded_at: Timestamp,
    /// The click it is attributed to.
    pub click: Option<ClickId>,
    /// The campaign of that click, empty without one.
    pub campaign: String,
    /// The source of that click, empty without one.
    pub source: String,
    /// The partner.
    pub partner: String,
    /// Why it was written.
    pub kind: EntryKind,
    /// What the call said.
    pub content: ContentHash,
    /// The rate that the conversion has after it.
    pub fx: Option<Fx>,
    /// By how much the confirmed value in the base currency changed; `None` while there is no rate.
    pub base_confirmed_delta: Option<i64>,
    /// By how much the pending value in the base currency changed; `None` while there is no rate.
    pub base_pending_delta: Option<i64>,
}

impl LedgerEntry {
    /// By how much the balance in the base currency changed; `None` while there is no rate.
    #[must_use]
    pub fn base_delta(&self) -> Option<Balance> {
        Some(Balance { confirmed: self.base_confirmed_delta?, pending: self.base_pending_delta? })
    }
}

/// The sums of a conversion's movements so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Balance {
    /// Confirmed value.
    pub confirmed: i64,
    /// Open value.
    pub pending: i64,
}

impl Balance {
    /// What the balance must be under this status and value.
    #[must_use]
    pub fn under(status: Status, value: Option<i64>) -> Self {
        let value = value.unwrap_or(0);
        Self {
            confirmed: if status.is_confirmed() { value } else { 0 },
            pending: if status.is_pending() { value } else { 0 },
        }
    }

    /// The sums over some entries.
    #[must_use]
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a LedgerEntry>) -> Self {
        entries.into_iter().fold(Self::default(), |sum, entry| Self {
            confirmed: sum.confirmed + entry.confirmed_delta,
            pending: sum.pending + entry.pending_delta,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmed_money_never_falls_back_to_open() {
        use Status::{Approved, Hold, Lead, Rejected, Reversed};
        for (from, to, allowed) in [
            (Lead, Hold, true),
            (Lead, Approved, true),
            (Hold, Approved, true),
            (Hold, Rejected, true),
            (Approved, Reversed, true),
            (Approved, Rejected, true),
            (Rejected, Approved, true),
            (Reversed, Approved, true),
            (Approved, Approved, true),
            (Lead, Reversed, true),
            (Approved, Hold, false),
            (Approved, Lead, false),
            (Hold, Lead, false),
            (Rejected, Hold, false),
            (Rejected, Reversed, false),
            (Reversed, Rejected, false),
        ] {
            assert_eq!(from.may_become(to), allowed, "{from} -> {to}");
        }
    }
}
