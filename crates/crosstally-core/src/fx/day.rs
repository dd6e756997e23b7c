//! Days in UTC, as rates are dated.

use std::fmt;
use std::str::FromStr;

use super::FxError;
use crate::time::{DAY_MS, Timestamp};

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(DAY_MS))
    }

    /// The day of a date; the years 1990 to 2199, as outside them it is a slip.
    #[must_use]
    pub fn from_date(year: i16, month: i8, day: i8) -> Option<Self> {
        let date = jiff::civil::Date::new(year, month, day).ok().filter(|_| (1990..2200).contains(&year))?;
        let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self::of(Timestamp::from_millis(at.timestamp().as_millisecond())))
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(DAY_MS))
    }

    /// The day so many days later, or earlier.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    /// As `2026-11-20`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.start().as_millis()) {
            Ok(at) => write!(out, "{}", at.to_zoned(jiff::tz::TimeZone::UTC).date()),
            Err(_) => write!(out, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = FxError;

    fn from_str(text: &str) -> Result<Self, FxError> {
        let mut parts = text.splitn(3, '-');
        let mut number = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i16>().ok()).flatten()
        };
        let (year, month, day) = (number(4), number(2), number(2));
        let small = |number: Option<i16>| number.and_then(|number| i8::try_from(number).ok());
        match (year, small(month), small(day)) {
            (Some(year), Some(month), Some(day)) => Self::from_date(year, month, day).ok_or(FxError::NotADay),
            _ => Err(FxError::NotADay),
        }
    }
}
