//! Step: what a call does to a conversion that is known: moves it, repeats what is booked, or cannot follow.
//!
//! The same rule books a live call, reads a past one again, and tells what another contract would make of them.

use sha2::{Digest, Sha256};

use crate::config::Partner;
use crate::contract::{Contract, DuplicateMode, ReversalAmount, ValueOf};
use crate::ledger::{Amounts, ContentHash, Status};
use crate::limits;
use crate::money::Currency;
use crate::params::Params;
use crate::postback::redact;
use crate::reason::Reason;
use crate::time::{HOUR_MS, Timestamp};

/// How long after a call the very same call is taken for a retry of the sender. Senders try for a day.
pub const RETRY_WINDOW_MS: i64 = 24 * HOUR_MS;

/// What a call says about a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: Status,
    /// The currency.
    pub currency: Currency,
    /// Whether the call named the currency itself.
    pub currency_stated: bool,
    /// The amounts that it states.
    pub amounts: Amounts,
    /// When it was received.
    pub at: Timestamp,
    /// The digest of all that it says.
    pub content: ContentHash,
}

/// Where a conversion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The status.
    pub status: Status,
    /// The currency.
    pub currency: Currency,
    /// The amounts in force.
    pub amounts: Amounts,
    /// How many movements it has.
    pub movements: u32,
}

impl Standing {
    /// Whether the currency is still open: nothing has a price.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.amounts == Amounts::default()
    }
}

/// A movement of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// The status it led to.
    pub status: Status,
    /// The amounts in force after it.
    pub amounts: Amounts,
    /// When its call was received.
    pub at: Timestamp,
    /// What its call said.
    pub content: ContentHash,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The conversion stands so afterwards.
    Moves(Standing),
    /// It was booked before.
    Same(Reason),
    /// It cannot be booked as it is.
    Blocked(Reason),
}

/// Decides what a call does to a conversion, or to none yet.
///
/// Precedence: amounts in another currency than the booked ones block; the very same call within a day is a retry; then
/// the duplicate mode speaks; a status that cannot follow is a late repeat if it was booked before, else it is blocked.
#[must_use]
pub fn step(
    said: &Said,
    known: Option<&Standing>,
    past: &[Past],
    mode: DuplicateMode,
    contract: &Contract,
) -> Step {
    let Some(known) = known else {
        return Step::Moves(Standing {
            status: said.status,
            currency: said.currency,
            amounts: said.amounts,
            movements: 1,
        });
    };
    // An amount without a currency was read in the contract's; in a conversion of another one it would be another sum.
    let priced = said.currency_stated || said.amounts != Amounts::default();
    if priced && !known.is_open() && said.currency != known.currency {
        return Step::Blocked(Reason::CurrencyChanged);
    }
    if is_retry(said, past) {
        return Step::Same(Reason::SameContent);
    }
    let next = follow(said, known, mode, contract);
    let adds = mode == DuplicateMode::Add && next.amounts != known.amounts;
    if (next.status, next.amounts) == (known.status, known.amounts) && !adds {
        return Step::Same(Reason::SameContent);
    }
    if matches!(mode, DuplicateMode::Ignore | DuplicateMode::EventId) {
        return Step::Same(Reason::ChangeIgnored);
    }
    let late =
        known.status == Status::Rejected && next.status == Status::Approved && !contract.late_approvals();
    if late || !known.status.may_become(next.status) {
        let value_of = contract.value();
        let seen = past.iter().any(|past| {
            past.status == said.status && merged(past.amounts, said.amounts, value_of) == past.amounts
        });
        return if seen { Step::Same(Reason::SameContent) } else { Step::Blocked(Reason::TransitionRefused) };
    }
    if known.movements >= limits::MOVEMENTS_MAX {
        return Step::Blocked(Reason::TooManyMovements);
    }
    Step::Moves(next)
}

fn is_retry(said: &Said, past: &[Past]) -> bool {
    said.content != ContentHash::default()
        && past.iter().any(|past| {
            past.content == said.content && said.at.millis_since(past.at).abs() <= RETRY_WINDOW_MS
        })
}

/// Where the conversion would stand.
fn follow(said: &Said, known: &Standing, mode: DuplicateMode, contract: &Contract) -> Standing {
    let currency = if known.is_open() { said.currency } else { known.currency };
    let value_of = contract.value();
    let standing = |status, amounts| Standing { status, currency, amounts, movements: known.movements + 1 };
    if said.status == Status::Reversed && !known.is_open() {
        match contract.reversal() {
            ReversalAmount::Whole => {}
            ReversalAmount::Part => return taken_back(said, known, value_of, standing),
            ReversalAmount::Remaining => return remaining(said, known, value_of, standing),
        }
    }
    let adds = mode == DuplicateMode::Add && said.status == known.status;
    let amounts = if adds {
        summed(known.amounts, said.amounts, value_of)
    } else {
        merged(known.amounts, said.amounts, value_of)
    };
    standing(said.status, amounts)
}

/// A refund of a part leaves the rest; a refund of all of it, or without an amount, takes the conversion back.
fn taken_back(
    said: &Said,
    known: &Standing,
    value_of: ValueOf,
    standing: impl Fn(Status, Amounts) -> Standing,
) -> Standing {
    let rest = |before: Option<i64>, part: Option<i64>| match (before, part) {
        (Some(before), Some(part)) => Some((before - part).max(0)),
        (before, _) => before,
    };
    let payout = rest(known.amounts.payout, said.amounts.payout);
    let revenue = rest(known.amounts.revenue, said.amounts.revenue);
    let after = Amounts { payout, revenue, value: value_of.of(payout, revenue) };
    let is_part = said.amounts.value.is_some() && after.value.is_some_and(|value| value > 0);
    if is_part { standing(known.status, after) } else { standing(Status::Reversed, known.amounts) }
}

/// The amount says what is left.
fn remaining(
    said: &Said,
    known: &Standing,
    value_of: ValueOf,
    standing: impl Fn(Status, Amounts) -> Standing,
) -> Standing {
    match said.amounts.value {
        Some(1..) => standing(known.status, merged(known.amounts, said.amounts, value_of)),
        _ => standing(Status::Reversed, known.amounts),
    }
}

/// The amounts in force when some were stated before and some are stated now: what is not stated stays, and the value
/// follows from all that is known, not from what one call happened to state.
#[must_use]
pub fn merged(before: Amounts, now: Amounts, value_of: ValueOf) -> Amounts {
    let (payout, revenue) = (now.payout.or(before.payout), now.revenue.or(before.revenue));
    if (payout, revenue) == (before.payout, before.revenue) {
        return before;
    }
    Amounts { payout, revenue, value: value_of.of(payout, revenue) }
}

fn summed(before: Amounts, now: Amounts, value_of: ValueOf) -> Amounts {
    let sum = |before: Option<i64>, now: Option<i64>| match (before, now) {
        (Some(before), Some(now)) => Some(before.saturating_add(now)),
        (before, now) => before.or(now),
    };
    let (payout, revenue) = (sum(before.payout, now.payout), sum(before.revenue, now.revenue));
    Amounts { payout, revenue, value: value_of.of(payout, revenue) }
}

/// The digest of all that a call says: its parameters in any order and the headers that the contract reads, without what is volatile, secret
/// and personal data, so that a kept call that is read again has the same.
#[must_use]
pub fn content(params: &Params, headers: &[(String, String)], partner: Option<&Partner>) -> ContentHash {
    let volatile = partner.map_or(&[][..], |partner| partner.contract.volatile());
    let of_headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut pairs: Vec<(&str, &str)> = redact::open(params, partner)
        .map(|param| (param.name.as_str(), param.value.as_str()))
        .filter(|(name, _)| !volatile.iter().any(|volatile| volatile.eq_ignore_ascii_case(name)))
        .chain(of_headers)
        .collect();
    pairs.sort_unstable();
    let mut digest = Sha256::new();
    for text in pairs.into_iter().flat_map(|(name, value)| [name, value]) {
        // With their lengths: no two different lists read the same.
        digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.finalize().split_at(16).0);
    ContentHash::from_bytes(bytes)
}
