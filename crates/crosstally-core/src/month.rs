//! A month of the calendar, as people name it: `2026-11`. When it begins is a matter of a time zone; see
//! [`crate::visit::Zone`].

use std::fmt;
use std::str::FromStr;

/// The years that have months here: those in which a time is plausible, see [`crate::time`].
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2198;

/// A month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

/// It is not written as `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as 2026-11")]
pub struct NoMonth;

impl Month {
    /// The first there is.
    pub const EARLIEST: Self = Self { year: *YEARS.start(), month: 1 };

    /// The month of this number in a year; `None` if there is none, or it is of another century.
    #[must_use]
    pub fn of(year: i16, month: i8) -> Option<Self> {
        (YEARS.contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    /// Its year, and its number from 1.
    #[must_use]
    pub const fn parts(self) -> (i16, i8) {
        (self.year, self.month)
    }

    /// The one before.
    #[must_use]
    pub const fn before(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12 },
            month => Self { year: self.year, month: month - 1 },
        }
    }

    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let is_form = text.len() == 7
            && text
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
        let (year, month) = text.split_once('-').filter(|_| is_form).ok_or(NoMonth)?;
        let (year, month) = (year.parse().map_err(|_| NoMonth)?, month.parse().map_err(|_| NoMonth)?);
        Self::of(year, month).ok_or(NoMonth)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::visit::Zone;

    #[test]
    fn months_are_written_in_one_way() {
        for text in ["2026-11", "2000-01", "2198-12"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026-13",
            "2026-00",
            "2026-1",
            "26-11",
            "2026-11-01",
            "2026/11",
            "1999-12",
            "2199-01",
            "+026-11",
        ] {
            assert_eq!(text.parse::<Month>(), Err(NoMonth), "{text}");
        }
    }

    #[test]
    fn one_follows_the_other() {
        for (before, next) in [("2026-12", "2027-01"), ("2026-01", "2026-02")] {
            let (before, next): (Month, Month) = (before.parse().unwrap(), next.parse().unwrap());
            assert_eq!((before.next(), next.before()), (next, before));
        }
    }

    #[test]
    fn a_month_begins_at_midnight_of_its_zone() {
        for (zone, month, begins) in [
            ("UTC", "2026-11", "2026-11-01T00:00:00Z"),
            ("Europe/Berlin", "2026-10", "2026-09-30T22:00:00Z"),
            ("Europe/Berlin", "2026-11", "2026-10-31T23:00:00Z"),
            ("Asia/Kolkata", "2026-11", "2026-10-31T18:30:00Z"),
            ("America/New_York", "2026-03", "2026-03-01T05:00:00Z"),
            // There the first of this month had no midnight: clocks went on at it.
            ("America/Asuncion", "2017-10", "2017-10-01T04:00:00Z"),
        ] {
            let (at, zone) = (Timestamp::parse(begins).unwrap(), Zone::named(zone));
            let month: Month = month.parse().unwrap();
            assert_eq!(zone.begins(month), at, "{month}");
            assert_eq!((zone.month(at), zone.month(at.plus_millis(-1))), (month, month.before()));
        }
    }
}
