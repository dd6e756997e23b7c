//! Which real journeys a month's review of a partner tells: one approval, one rejection, one late approval. The rule leaves
//! nobody a choice, and picks the same ones from the same decisions in any order:
//!
//! - A **decision** is a call that made a conversion approved, rejected or reversed which was not so before. What is approved
//!   once more after a reversal is a sale won back, and no decision here.
//! - It has **waited** from the first call about its conversion to the deciding one; what the first call decided has not.
//! - The **approval** and the **rejection** are those in the middle by how long they have waited (the lower one of two); among
//!   those that waited equally long the order is that of their conversions' ids. A month without a rejection has a reversal there.
//! - The **late approval** is the one that has waited longest, if that was at least [`LATE_TIMES`] times what the one in the
//!   middle has, and at least [`LATE_AT_LEAST_MS`].
//! - No conversion is told twice. One that cannot be told, as it was erased meanwhile, leaves its place to the nearest.

use std::collections::BTreeMap;

use crate::ids::{ConversionId, ReceiptId};
use crate::ledger::Status;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};

mod looks;
mod missing;
#[cfg(test)]
mod tests;

pub use looks::{CALLS_MAX, Looks, looks};
pub use missing::{Missing, Seen, why};

/// What waited shorter is not called late, however quick its partner usually is.
pub const LATE_AT_LEAST_MS: i64 = DAY_MS;
/// How many times as long as usual a late approval has waited at least.
pub const LATE_TIMES: i64 = 2;
/// How many decisions of a kind are named, in the order in which they are tried.
const CANDIDATES_MAX: usize = 8;

/// A kind of journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A sale that was approved.
    Approved,
    /// One that was rejected or taken back.
    Rejected,
    /// One that was approved much later than usual.
    LateApproval,
}

impl Kind {
    /// All of them, in the order in which they are picked and told.
    pub const ALL: [Self; 3] = [Self::Approved, Self::Rejected, Self::LateApproval];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::LateApproval => "late_approval",
        }
    }
}

/// What a call decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The money comes.
    Approved,
    /// It will not.
    Rejected,
    /// It was taken back.
    Reversed,
}

impl Outcome {
    /// What a movement from one status to another decides, if anything.
    #[must_use]
    pub fn of(before: Option<Status>, after: Status) -> Option<Self> {
        if before == Some(after) {
            return None;
        }
        match (before, after) {
            (Some(Status::Reversed), Status::Approved) | (_, Status::Lead | Status::Hold) => None,
            (_, Status::Approved) => Some(Self::Approved),
            (_, Status::Rejected) => Some(Self::Rejected),
            (_, Status::Reversed) => Some(Self::Reversed),
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
        }
    }
}

/// A call that decided about a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The conversion.
    pub conversion: ConversionId,
    /// The first call about it.
    pub first: ReceiptId,
    /// The deciding one.
    pub receipt: ReceiptId,
    /// What it decided.
    pub outcome: Outcome,
}

impl Decision {
    /// How long it has waited, by when its calls came.
    #[must_use]
    pub fn wait_ms(&self) -> i64 {
        self.receipt.time().millis_since(self.first.time()).max(0)
    }

    fn place(&self) -> (i64, ConversionId, ReceiptId) {
        (self.wait_ms(), self.conversion, self.receipt)
    }
}

/// What was picked from the decisions of a month.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picks {
    /// How many there were of each outcome.
    pub counts: BTreeMap<Outcome, usize>,
    /// How long the approval in the middle has waited.
    pub usual_ms: Option<i64>,
    /// How long the approval has that waited longest.
    pub longest_ms: Option<i64>,
    approved: Vec<Decision>,
    rejected: Vec<Decision>,
    late: Vec<Decision>,
}

impl Picks {
    /// The decisions of a kind in the order in which they are to be tried; those behind the first stand in for it.
    #[must_use]
    pub fn candidates(&self, kind: Kind) -> &[Decision] {
        match kind {
            Kind::Approved => &self.approved,
            Kind::Rejected => &self.rejected,
            Kind::LateApproval => &self.late,
        }
    }

    /// How many there were of an outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or(0)
    }

    /// From how long a wait on an approval is late; nothing without one.
    #[must_use]
    pub fn late_from_ms(&self) -> Option<i64> {
        self.usual_ms.map(late_from_ms)
    }
}

/// From how long a wait on an approval is late, where this is usual.
#[must_use]
pub fn late_from_ms(usual_ms: i64) -> i64 {
    usual_ms.saturating_mul(LATE_TIMES).max(LATE_AT_LEAST_MS)
}

/// Picks the journeys of a month.
#[must_use]
pub fn pick(decisions: &[Decision]) -> Picks {
    let of = |outcome: Outcome| {
        let mut found: Vec<Decision> =
            decisions.iter().filter(|decision| decision.outcome == outcome).copied().collect();
        found.sort_unstable_by_key(Decision::place);
        found.dedup();
        found
    };
    let (approved, rejected, reversed) =
        (of(Outcome::Approved), of(Outcome::Rejected), of(Outcome::Reversed));
    let counts = [&approved, &rejected, &reversed].map(Vec::len);
    let usual_ms = middle(&approved).map(|at| approved[at].wait_ms());
    let late = usual_ms.map(late_from_ms).map_or_else(Vec::new, |from| {
        let late = approved.iter().filter(|decision| decision.wait_ms() >= from);
        let mut late: Vec<Decision> = late.copied().collect();
        // The longest first; of those that waited equally long the first by their ids, as everywhere.
        late.sort_by_key(|decision| std::cmp::Reverse(decision.wait_ms()));
        late
    });
    Picks {
        counts: [Outcome::Approved, Outcome::Rejected, Outcome::Reversed].into_iter().zip(counts).collect(),
        usual_ms,
        longest_ms: approved.last().map(Decision::wait_ms),
        rejected: from_the_middle(if rejected.is_empty() { &reversed } else { &rejected }),
        approved: from_the_middle(&approved),
        late: late.into_iter().take(CANDIDATES_MAX).collect(),
    }
}

fn middle(sorted: &[Decision]) -> Option<usize> {
    Some(sorted.len().checked_sub(1)? / 2)
}

/// The one in the middle, then its neighbours, the lower one first.
fn from_the_middle(sorted: &[Decision]) -> Vec<Decision> {
    let Some(middle) = middle(sorted) else { return Vec::new() };
    let below = sorted.iter().take(middle).rev().map(Some).chain(std::iter::repeat(None));
    let above = sorted.iter().skip(middle + 1).map(Some).chain(std::iter::repeat(None));
    let beside = below.zip(above).take(sorted.len()).flat_map(|(below, above)| [below, above]).flatten();
    sorted.iter().skip(middle).take(1).chain(beside).take(CANDIDATES_MAX).copied().collect()
}

/// A span of time for people.
#[must_use]
pub fn span_words(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..MINUTE_MS => format!("{} s", ms / 1_000),
        MINUTE_MS..HOUR_MS => format!("{} min", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{} h {} min", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
        _ => format!("{} d {} h", ms / DAY_MS, ms % DAY_MS / HOUR_MS),
    }
}
