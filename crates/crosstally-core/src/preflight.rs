//! The pre-flight of a campaign: what its hops are, how a marked test is told from real traffic, what is counted at each
//! hop, and every defect that can be named, in plain words. Knows nothing of how a hop is gone.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::money::Currency;
use crate::time::Timestamp;

mod defect;
pub mod line;
pub mod monitor;
pub mod pixel;
#[cfg(test)]
mod tests;

pub use defect::{Code, Defect};

/// The label of a receipt that a pre-flight made.
pub const LABEL: &str = "preflight";
/// Test actions unless told otherwise, and at most.
pub const ACTIONS_USUAL: usize = 24;
/// See [`ACTIONS_USUAL`].
pub const ACTIONS_MAX: usize = 100;

/// The parameter of a mark.
pub const MARK_NAME: &str = "ct_test";
const MARK_PARAM: &[u8] = b"ct_test=";
/// Digits of a mark: the time, and what shows that it was made here.
pub const MARK_DIGITS: usize = 40;
const MARK_BYTES: usize = MARK_PARAM.len() + MARK_DIGITS;
/// How long a mark is good for, in milliseconds.
pub const MARK_LIFE_MS: i64 = 600_000;

/// The mark at a query's end, and where the query ends without it. One look at a fixed place: calls without a mark, which
/// are all but a few, pay for nothing else.
#[must_use]
pub fn mark(query: &[u8]) -> Option<(usize, &str)> {
    let at = query.len().checked_sub(MARK_BYTES)?;
    let digits = query.get(at..)?.strip_prefix(MARK_PARAM)?;
    let end = match at.checked_sub(1) {
        None => 0,
        Some(before) => (query.get(before) == Some(&b'&')).then_some(before)?,
    };
    Some((end, std::str::from_utf8(digits).ok()?))
}

/// A query with a mark at its end.
#[must_use]
pub fn marked(query: &str, digits: &str) -> String {
    let and = if query.is_empty() { "" } else { "&" };
    format!("{query}{and}ct_test={digits}")
}

/// Whether further parameters can stand in a click link before its mark. What ends a query would take the mark off, and the
/// visitor would be a real one.
#[must_use]
pub fn fits_before_mark(params: &str) -> bool {
    !params.chars().any(|sign| sign == '#' || sign.is_whitespace() || sign.is_control())
}

/// The hops of a conversion, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// The click link redirects, and the click is kept as it came.
    Link,
    /// The page that the visitor arrives at.
    Lander,
    /// What the page's script tells.
    Browser,
    /// The partner's call.
    Postback,
    /// What the call would book.
    Ledger,
    /// The events that would follow.
    Signal,
    /// What the destination makes of them.
    Destination,
}

impl Hop {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Link,
        Self::Lander,
        Self::Browser,
        Self::Postback,
        Self::Ledger,
        Self::Signal,
        Self::Destination,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Lander => "lander",
            Self::Browser => "browser",
            Self::Postback => "postback",
            Self::Ledger => "ledger",
            Self::Signal => "signal",
            Self::Destination => "destination",
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

/// How a hop compares with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Count, value, currency and time are the same.
    Same,
    /// Something differs, or is broken.
    Differs,
    /// It was not gone; the notes say why.
    NotChecked,
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

impl State {
    /// As it is told to machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::NotChecked => "not_checked",
        }
    }
}

/// What is counted at a hop. Hops before the partner's call have no amounts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many came.
    pub count: usize,
    /// Sums in minor units, by currency.
    sums: BTreeMap<&'static str, (Currency, i128)>,
    /// When the first and the last happened.
    span: Option<(Timestamp, Timestamp)>,
}

impl Tally {
    /// Counts one action.
    pub fn add(&mut self, amount: Option<(i64, Currency)>, at: Option<Timestamp>) {
        self.count += 1;
        if let Some((minor, currency)) = amount {
            let sum = self.sums.entry(currency.code()).or_insert((currency, 0));
            sum.1 += i128::from(minor);
        }
        if let Some(at) = at {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
        }
    }
}

#[derive(Serialize)]
struct Sum {
    amount: String,
    currency: &'static str,
}

#[derive(Serialize)]
struct TallyOut {
    count: usize,
    values: Vec<Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let sum = |(currency, minor): &(Currency, i128)| Sum {
            amount: currency.format_minor(*minor),
            currency: currency.code(),
        };
        let told = TallyOut {
            count: self.count,
            values: self.sums.values().map(sum).collect(),
            first: self.span.map(|(first, _)| first.to_string()),
            last: self.span.map(|(_, last)| last.to_string()),
        };
        told.serialize(out)
    }
}

/// What is wrong with an amount, if anything is.
#[must_use]
pub fn amount_defect(sent: (i64, Currency), found: Option<(i64, Currency)>) -> Option<Code> {
    let Some((minor, currency)) = found else { return Some(Code::ValueMissing) };
    if currency != sent.1 {
        return Some(Code::CurrencyDiffers);
    }
    if minor == sent.0 {
        return None;
    }
    let hundredfold = i128::from(minor) == i128::from(sent.0) * 100;
    // What is sent is rounded where a hundredth of it is read.
    let hundredth = sent.0 != 0 && minor == sent.0 / 100;
    Some(if hundredfold || hundredth { Code::CentsForUnits } else { Code::ValueDiffers })
}
