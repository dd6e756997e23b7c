//! The ledger as it was: which movements were known at a time, and where they had brought the conversion.
//!
//! Knowledge is a prefix: a movement is known once it and all movements before it are recorded. Two calls that are
//! received at the same moment on two nodes may be booked in the other order; without this rule a sum could hold the
//! second step without the first one.

use super::{Amounts, Balance, LedgerEntry, Status};
use crate::fx::Fx;
use crate::ids::{ClickId, ConversionId};
use crate::money::Currency;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Which of an entry's two times a range is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// When it was booked.
    #[default]
    Recorded,
    /// When it happened, by the partner's word.
    Event,
}

impl By {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Recorded, Self::Event];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Event => "event",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    /// The time of an entry that it names.
    #[must_use]
    pub const fn time_of(self, entry: &LedgerEntry) -> Timestamp {
        match self {
            Self::Recorded => entry.recorded_at,
            Self::Event => entry.event_time,
        }
    }
}

/// Which movements count: those known at a time, within a range of one of their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// What was recorded at this time or before. Nothing means now.
    pub as_of: Option<Timestamp>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// By which time the range is.
    pub by: By,
}

impl Window {
    /// Of a conversion's movements in order, those that were known.
    #[must_use]
    pub fn known<'a>(&self, entries: &'a [LedgerEntry]) -> &'a [LedgerEntry] {
        let known = |entry: &LedgerEntry| self.as_of.is_none_or(|as_of| entry.recorded_at <= as_of);
        prefix(entries, known)
    }

    /// Of a conversion's movements in order, those that were known and lie in the range.
    pub fn entries<'a>(&self, entries: &'a [LedgerEntry]) -> impl Iterator<Item = &'a LedgerEntry> {
        let Self { from, to, by, .. } = *self;
        self.known(entries).iter().filter(move |entry| {
            let at = by.time_of(entry);
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
        })
    }

    /// Where a conversion stood: after its last movement that was known and lies before the end of the range, with none
    /// left out before it. `None` if it was not there yet.
    #[must_use]
    pub fn state(&self, entries: &[LedgerEntry]) -> Option<State> {
        let before_the_end = |entry: &LedgerEntry| self.to.is_none_or(|to| self.by.time_of(entry) < to);
        State::after(prefix(self.known(entries), before_the_end))
    }
}

fn prefix(entries: &[LedgerEntry], counts: impl Fn(&LedgerEntry) -> bool) -> &[LedgerEntry] {
    let length = entries.iter().take_while(|entry| counts(entry)).count();
    entries.get(..length).unwrap_or_default()
}

/// Where a conversion stands after some of its movements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The conversion.
    pub conversion: ConversionId,
    /// The partner.
    pub partner: String,
    /// The status.
    pub status: Status,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The amounts in force.
    pub amounts: Amounts,
    /// The sums of the movements.
    pub balance: Balance,
    /// The rate that it had.
    pub fx: Option<Fx>,
    /// The balance in the base currency; zero while that is not known.
    pub base: Balance,
    /// How many movements it had.
    pub movements: u32,
    /// The click that it was attributed to.
    pub click: Option<ClickId>,
    /// The campaign of that click, empty without one.
    pub campaign: String,
    /// The source of that click, empty without one.
    pub source: String,
    /// When it happened: the first movement's event time.
    pub event_time: Timestamp,
    /// When it was first booked.
    pub created_at: Timestamp,
    /// When it had last moved.
    pub updated_at: Timestamp,
}

impl State {
    /// Where a conversion stands after these movements, the first ones of it in order. `None` after none.
    #[must_use]
    pub fn after(entries: &[LedgerEntry]) -> Option<Self> {
        let (first, last) = (entries.first()?, entries.last()?);
        Some(Self {
            conversion: last.conversion,
            partner: last.partner.clone(),
            status: last.status,
            currency: last.currency,
            amounts: last.amounts,
            balance: Balance::of(entries),
            fx: last.fx,
            base: base(entries),
            movements: last.sequence,
            click: last.click,
            campaign: last.campaign.clone(),
            source: last.source.clone(),
            event_time: first.event_time,
            created_at: first.recorded_at,
            updated_at: last.recorded_at,
        })
    }

    /// Whether its value could not be told in the base currency, because there was no rate.
    #[must_use]
    pub const fn is_fx_pending(&self) -> bool {
        self.fx.is_none() && matches!(self.amounts.value, Some(1.. | ..=-1))
    }
}

/// The sums in the base currency. A change of the base takes the old one's part out with a movement of its own, so the sum
/// over all is always in the last one's.
fn base(entries: &[LedgerEntry]) -> Balance {
    entries.iter().filter_map(LedgerEntry::base_delta).fold(Balance::default(), |sum, delta| Balance {
        confirmed: sum.confirmed.saturating_add(delta.confirmed),
        pending: sum.pending.saturating_add(delta.pending),
    })
}
