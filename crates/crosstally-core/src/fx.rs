//! Amounts in the base currency: which rate an amount takes, and how it is computed.
//!
//! A rate is an exact decimal, a cross rate an exact ratio of two of them, and an amount is rounded once, at the very
//! end, half to even. A conversion keeps the rate that it was first priced with, so what is taken back in full nets to
//! zero whatever rates do meanwhile. Without a rate there is no amount: it is pending, and never taken for one to one.
//!
//! This module refuses to know where rates come from and when they are asked for.

use std::fmt;
use std::str::FromStr;

use crate::money::Currency;

mod day;
mod rate;
mod read;
mod table;

pub use day::Day;
pub use rate::{Factor, Rate};
pub use read::{Format, Parsed, Unreadable, read};
pub use table::{OLDER_DAYS_MAX, Quote, Rates};

/// Why a text is not a rate, a day or a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FxError {
    /// Not a plain decimal above zero with at most twelve digits and twelve decimals.
    #[error("is not a rate: a plain decimal above zero such as 1.0856, of at most 12 digits")]
    NotARate,
    /// Not a day.
    #[error("is not a day such as 2026-11-20")]
    NotADay,
    /// Not a word of ours.
    #[error("is not a source of rates")]
    UnknownSource,
}

/// Where a rate comes from. The later one counts where two of them name the same pair on the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The European Central Bank's reference rates.
    Ecb,
    /// A file of one's own.
    Csv,
    /// Set by hand.
    Set,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 3] = [Self::Ecb, Self::Csv, Self::Set];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecb => "ecb",
            Self::Csv => "csv",
            Self::Set => "set",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

/// Where the rate of an amount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the amount is in the base currency already.
    Same,
    /// One source.
    One(Source),
    /// A cross rate over EUR with its two legs from two sources.
    Two(Source, Source),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => out.write_str("same"),
            Self::One(source) => out.write_str(source.as_str()),
            Self::Two(from, to) => write!(out, "{}+{}", from.as_str(), to.as_str()),
        }
    }
}

impl FromStr for Origin {
    type Err = FxError;

    fn from_str(text: &str) -> Result<Self, FxError> {
        let source = |word| Source::from_word(word).ok_or(FxError::UnknownSource);
        match text.split_once('+') {
            _ if text == "same" => Ok(Self::Same),
            Some((from, to)) => Ok(Self::Two(source(from)?, source(to)?)),
            None => source(text).map(Self::One),
        }
    }
}

/// The rate that a conversion is priced with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fx {
    /// The base currency.
    pub base: Currency,
    /// How much of it one unit of the conversion's currency is.
    pub rate: Factor,
    /// The day of the rate.
    pub date: Day,
    /// Where it comes from.
    pub source: Origin,
}

/// Serde of a type by the text that it prints and reads.
macro_rules! by_text {
    ($($name:ty)*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

by_text! { Origin Factor Rate Day }
