//! Step: what a call does to a conversion that is known: moves it, repeats what is booked, or cannot follow.
//!
//! The same rule books a live call, reads a past one again, and tells what another contract would make of them.

use sha2::{Digest, Sha256};

use crate::config::Partner;
use crate::contract::{Contract, DuplicateMode, ReversalAmount, ValueOf};
use crate::ids::ReceiptId;
use crate::ledger::{Amounts, ContentHash, LedgerEntry, Status};
use crate::limits;
use crate::money::Currency;
use crate::params::Params;
use crate::postback::redact;
use crate::reason::Reason;
use crate::time::{HOUR_MS, Timestamp};

/// How long after a call the very same call is taken for a retry of the sender. Senders try for a day.
pub const RETRY_WINDOW_MS: i64 = 24 * HOUR_MS;

/// The parameter by which the rows of an imported file are told apart: its digest and the row's number.
pub const IMPORT_ROW: &str = "import_row";

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
    /// Whether it is one of a kind, as a row of a file is: the same one again is the same one after years.
    pub once: bool,
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
    /// Whether the currency is still open: nothing has a price, and nothing is nothing in any of them.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.amounts.is_priced()
    }
}

/// A movement of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// The status it led to.
    pub status: Status,
    /// The amounts in force after it.
    pub amounts: Amounts,
    /// When its call was received, not when it was booked: a call that waited for its click is retried like any other.
    pub at: Timestamp,
    /// What its call said.
    pub content: ContentHash,
}

impl Past {
    /// What an entry of the ledger tells.
    #[must_use]
    pub fn of(entry: &LedgerEntry) -> Self {
        let LedgerEntry { status, amounts, content, .. } = *entry;
        Self { status, amounts, at: entry.receipt.time(), content }
    }
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
/// Precedence: a refund waits for its sale; amounts in another currency than the booked ones block; the very same call
/// within a day is a retry, unless what it led to was undone since, other than by a refund; then the duplicate mode speaks; a
/// status that cannot follow is a late repeat if it was booked before, else it is blocked.
#[must_use]
pub fn step(
    said: &Said,
    known: Option<&Standing>,
    past: &[Past],
    mode: DuplicateMode,
    contract: &Contract,
) -> Step {
    let Some(known) = known else {
        // Calls of before that belong to another conversion now were still received.
        if is_retry(said, None, past) {
            return Step::Same(Reason::SameContent);
        }
        if said.status == Status::Reversed {
            return Step::Blocked(Reason::SaleUnknown);
        }
        return Step::Moves(Standing {
            status: said.status,
            currency: said.currency,
            amounts: said.amounts,
            movements: 1,
        });
    };
    // An amount without a currency was read in the contract's; in a conversion of another one it would be another sum.
    let priced = said.currency_stated || said.amounts.is_priced();
    if priced && !known.is_open() && said.currency != known.currency {
        return Step::Blocked(Reason::CurrencyChanged);
    }
    if is_retry(said, Some(known), past) {
        return Step::Same(Reason::SameContent);
    }
    let Some(next) = follow(said, known, mode, contract) else {
        return Step::Blocked(Reason::TransitionRefused);
    };
    if (next.status, next.amounts) == (known.status, known.amounts) {
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

fn is_retry(said: &Said, known: Option<&Standing>, past: &[Past]) -> bool {
    let again = |(at, before): (usize, &Past)| {
        let stands = known.is_none_or(|known| {
            let since = past.get(at..).unwrap_or_default();
            let is_refund = said.status == Status::Reversed && known.status != Status::Reversed;
            stands(said.status, known.status, before.status) && !(is_refund && is_sold_again(since))
        });
        before.content == said.content
            && (said.once || stands && said.at.millis_since(before.at).abs() <= RETRY_WINDOW_MS)
    };
    said.content != ContentHash::default() && past.iter().enumerate().any(again)
}

/// Whether the whole sale was taken back in these movements, and sold again by a call.
fn is_sold_again(past: &[Past]) -> bool {
    let mut since = past.iter().skip_while(|past| past.status != Status::Reversed);
    since.any(|past| past.status.is_confirmed() && past.content != ContentHash::default())
}

/// Whether what a call led to before still stands, so that the very same one is a retry of it.
fn stands(said: Status, known: Status, past: Status) -> bool {
    match (known, said) {
        // A part that was paid back stays so, whatever is approved since; a whole sale that is sold once more is another one.
        (_, Status::Reversed) => past != Status::Reversed || known == Status::Reversed,
        // Who tries the sale once more does not know of its refund yet.
        (Status::Reversed, _) => true,
        // A sale that was refused and is approved once more in the same words is approved, not retried.
        _ => known == past || known == said,
    }
}

/// Where the conversion would stand; `None` if a refund contradicts those before it.
fn follow(said: &Said, known: &Standing, mode: DuplicateMode, contract: &Contract) -> Option<Standing> {
    let currency = if known.is_open() { said.currency } else { known.currency };
    let value_of = contract.value();
    let standing = |status, amounts| Standing { status, currency, amounts, movements: known.movements + 1 };
    if said.status == Status::Reversed
        && contract.reversal() != ReversalAmount::Whole
        && let Some(amounts) = paid_back(said.amounts, known)
    {
        return match contract.reversal() {
            // Nothing is left to take a part of.
            _ if !known.status.is_confirmed() && !known.status.is_pending() => {
                Some(standing(said.status, known.amounts))
            }
            ReversalAmount::Remaining => remaining(amounts, known, value_of, standing),
            ReversalAmount::Whole | ReversalAmount::Part => {
                Some(taken_back(amounts, known, value_of, standing))
            }
        };
    }
    // What is refused or paid back is so once, however often that is said.
    let counts = known.status.is_confirmed() || known.status.is_pending();
    let adds = mode == DuplicateMode::Add && said.status == known.status && counts;
    let amounts = if adds {
        summed(known.amounts, said.amounts, value_of)
    } else {
        merged(known.amounts, said.amounts, value_of)
    };
    Some(standing(said.status, amounts))
}

/// What a refund states, in the fields in which the sale's amounts are known: a sale with one amount is paid back out of
/// that one, whatever field the refund uses. `None` if the sale has no price.
fn paid_back(said: Amounts, known: &Standing) -> Option<Amounts> {
    if known.amounts == Amounts::default() {
        return None;
    }
    Some(match (known.amounts, said) {
        (
            Amounts { payout: Some(_), revenue: None, .. },
            Amounts { payout: None, revenue: part @ Some(_), .. },
        ) => Amounts { payout: part, revenue: None, ..said },
        (
            Amounts { payout: None, revenue: Some(_), .. },
            Amounts { payout: part @ Some(_), revenue: None, .. },
        ) => Amounts { payout: None, revenue: part, ..said },
        _ => said,
    })
}

/// A refund of a part leaves the rest; a refund of all of it, or without an amount, takes the conversion back.
fn taken_back(
    part: Amounts,
    known: &Standing,
    value_of: ValueOf,
    standing: impl Fn(Status, Amounts) -> Standing,
) -> Standing {
    let rest = |before: Option<i64>, part: Option<i64>| match (before, part) {
        (Some(before), Some(part)) => Some((before - part).max(0)),
        (before, _) => before,
    };
    let payout = rest(known.amounts.payout, part.payout);
    let revenue = rest(known.amounts.revenue, part.revenue);
    let after = Amounts { payout, revenue, value: value_of.of(payout, revenue) };
    // Whoever pays the whole order back has no sale any more, whatever is known of the commission.
    let is_all = [(part.payout, payout), (part.revenue, revenue)]
        .iter()
        .any(|(part, rest)| matches!((part, rest), (Some(1..), Some(0))));
    let is_part = part.value.is_some() && !is_all && after.value.is_some_and(|value| value > 0);
    if is_part { standing(known.status, after) } else { standing(Status::Reversed, known.amounts) }
}

/// The amount says what is left. More than there was is a refund that a later one has overtaken.
fn remaining(
    left: Amounts,
    known: &Standing,
    value_of: ValueOf,
    standing: impl Fn(Status, Amounts) -> Standing,
) -> Option<Standing> {
    // Of an amount that the sale does not know, nothing can be left.
    let payout = left.payout.filter(|_| known.amounts.payout.is_some());
    let revenue = left.revenue.filter(|_| known.amounts.revenue.is_some());
    let left = Amounts { payout, revenue, value: value_of.of(payout, revenue) };
    let after = merged(known.amounts, left, value_of);
    let rises =
        |left: Option<i64>, known: Option<i64>| left.zip(known).is_some_and(|(left, known)| left > known);
    match left.value {
        Some(1..)
            if rises(left.payout, known.amounts.payout)
                || rises(left.revenue, known.amounts.revenue)
                || rises(after.value, known.amounts.value) =>
        {
            None
        }
        Some(1..) => Some(standing(known.status, after)),
        _ => Some(standing(Status::Reversed, known.amounts)),
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

/// A call among others of its conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its receipt.
    pub receipt: ReceiptId,
    /// What it says.
    pub said: Said,
    /// What it does if it is a repeat with a change.
    pub mode: DuplicateMode,
    /// Where it stood among the conversion's movements if it was judged when it came: after how many, and whether it was
    /// none itself.
    pub live: Option<(u32, bool)>,
    /// The same of a call that was booked later than it came: where that was.
    pub booked: Option<(u32, bool)>,
}

/// Puts the calls of a conversion into their order: that of the times at which they came, but those that were judged as
/// they came stay in the order in which they were, however close together or on whichever node that was.
pub fn put_in_order(calls: &mut [Placed]) {
    calls.sort_by_key(|call| (call.said.at, call.receipt));
    let mut live: Vec<Placed> = calls.iter().filter(|call| call.live.is_some()).copied().collect();
    live.sort_by_key(|call| call.live);
    for (place, call) in calls.iter_mut().filter(|call| call.live.is_some()).zip(live) {
        *place = call;
    }
}

/// Where calls in their order lead, and what each of them does. What has left the conversion leads nowhere, but whoever
/// tries one of those calls again tries a call that came.
#[must_use]
pub fn fold(calls: &[Placed], left: Vec<Past>, contract: &Contract) -> (Option<Standing>, Vec<Step>) {
    let steps = Vec::with_capacity(calls.len());
    let mut fold = Fold { contract, left, standing: None, past: Vec::new(), steps };
    // Refunds that came ahead of their sale follow it, and what was taken for its repeat before they were booked.
    let mut ahead: Vec<usize> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        fold.follow_up(&mut ahead, calls, Some(call));
        let step = fold.step(call);
        fold.steps.push(step);
        if step == Step::Blocked(Reason::SaleUnknown) {
            ahead.push(at);
        }
    }
    fold.follow_up(&mut ahead, calls, None);
    (fold.standing, fold.steps)
}

/// Whether a call was judged when it came, moved nothing, and did so before a refund was booked.
fn is_before(call: &Placed, refund: &Placed) -> bool {
    matches!((call.live, refund.booked), (Some(live @ (_, true)), Some(booked)) if live < booked)
}

struct Fold<'a> {
    contract: &'a Contract,
    left: Vec<Past>,
    standing: Option<Standing>,
    past: Vec<Past>,
    steps: Vec<Step>,
}

impl Fold<'_> {
    /// Books the refunds that came ahead, once there is a sale, unless the next call comes before them.
    fn follow_up(&mut self, ahead: &mut Vec<usize>, calls: &[Placed], next: Option<&Placed>) {
        if ahead.is_empty() || !self.standing.is_some_and(|standing| standing.status.is_confirmed()) {
            return;
        }
        let repeat = next.filter(|next| matches!(self.judge(next), Step::Same(_)));
        ahead.retain(|at| {
            let Some(refund) = calls.get(*at) else { return false };
            if repeat.is_some_and(|repeat| is_before(repeat, refund)) {
                return true;
            }
            let step = self.step(refund);
            self.steps[*at] = step;
            false
        });
    }

    fn judge(&self, call: &Placed) -> Step {
        let value = self.contract.value().of(call.said.amounts.payout, call.said.amounts.revenue);
        let said = Said { amounts: Amounts { value, ..call.said.amounts }, ..call.said };
        let left: Vec<Past> = self.left.iter().filter(|past| past.at <= said.at).copied().collect();
        if is_retry(&said, self.standing.as_ref(), &left) {
            Step::Same(Reason::SameContent)
        } else {
            step(&said, self.standing.as_ref(), &self.past, call.mode, self.contract)
        }
    }

    fn step(&mut self, call: &Placed) -> Step {
        let step = self.judge(call);
        if let Step::Moves(next) = step {
            self.past.push(Past {
                status: next.status,
                amounts: next.amounts,
                at: call.said.at,
                content: call.said.content,
            });
            self.standing = Some(next);
        }
        step
    }
}

/// What a swallowed call says once it was real: the same, and once more.
#[must_use]
pub fn once_more(content: ContentHash, receipt: ReceiptId) -> ContentHash {
    let mut digest = Sha256::new();
    digest.update(content.as_bytes());
    digest.update(receipt.as_bytes());
    finished(digest)
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
    finished(digest)
}

fn finished(digest: Sha256) -> ContentHash {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.finalize().split_at(16).0);
    ContentHash::from_bytes(bytes)
}
