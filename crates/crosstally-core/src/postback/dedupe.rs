//! Step: the name under which a conversion is unique, and what a repeat of it is.

use crate::config::{DuplicateMode, ValueOf};
use crate::conversion::{Conversion, DedupeKey};
use crate::ledger::{Amounts, LedgerEntry};
use crate::limits;
use crate::postback::{ClickRef, Postback};
use crate::reason::Reason;

/// Names the conversion that a postback is about: by transaction id where there is one, else by click, within the
/// partner and the partner's name for what happened. A sign-up and a deposit of the same click are two conversions.
///
/// `None` if the postback names nothing that could tell it from another.
#[must_use]
pub fn key(postback: &Postback) -> Option<DedupeKey> {
    let event = postback.event.as_deref().unwrap_or("").to_lowercase();
    let key = match (&postback.transaction_id, &postback.click) {
        (Some(transaction), _) => format!("t:{transaction}"),
        (None, ClickRef::Ours(click)) => format!("c:{click}"),
        (None, ClickRef::None | ClickRef::Foreign { .. }) => return None,
    };
    let key = if event.is_empty() { key } else { format!("{key}\n{event}") };
    (key.len() <= limits::KEY_BYTES_MAX).then(|| DedupeKey { partner: postback.partner.clone(), key })
}

/// What a postback under a known key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A new movement.
    Movement,
    /// The same as something booked before.
    Same(Reason),
    /// Something that cannot be booked as it is.
    Blocked(Reason),
}

/// Compares a postback with the conversion it names.
///
/// Precedence: amounts in another currency than the booked ones block; the present status and amounts again are the same content; a mode of `ignore`
/// keeps all else out; a status that cannot follow is a late repeat if it was booked before, else it is blocked.
#[must_use]
pub fn compare(
    postback: &Postback,
    known: &Conversion,
    entries: &[LedgerEntry],
    mode: DuplicateMode,
    value_of: ValueOf,
) -> Repeat {
    // An amount without a currency was read in the contract's; in a conversion of another one it would be another sum.
    let priced = postback.currency_stated || postback.amounts != Amounts::default();
    if priced && !is_open(known) && postback.currency != known.currency {
        return Repeat::Blocked(Reason::CurrencyChanged);
    }
    let amounts = merged(known.amounts, postback.amounts, value_of);
    if postback.status == known.status && amounts == known.amounts {
        return Repeat::Same(Reason::SameContent);
    }
    if mode == DuplicateMode::Ignore {
        return Repeat::Same(Reason::ChangeIgnored);
    }
    if !known.status.may_become(postback.status) {
        let seen = entries.iter().any(|entry| {
            entry.status == postback.status
                && merged(entry.amounts, postback.amounts, value_of) == entry.amounts
        });
        return if seen {
            Repeat::Same(Reason::SameContent)
        } else {
            Repeat::Blocked(Reason::TransitionRefused)
        };
    }
    if known.movements >= limits::MOVEMENTS_MAX {
        return Repeat::Blocked(Reason::TooManyMovements);
    }
    Repeat::Movement
}

/// Whether a conversion's currency is still open: nothing in it has a price.
#[must_use]
pub fn is_open(known: &Conversion) -> bool {
    known.amounts == Amounts::default()
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
