//! Value policies: which amount the event of a goal carries, at which status, and why. Money is integer minor units all
//! the way; a rate is parts per million.

use crate::config::{Goal, Otherwise, SendValue, ValueAt};
use crate::conversion::Conversion;
use crate::ledger::Status;
use crate::word::Word as _;

/// One whole, in parts per million.
const WHOLE: u64 = 1_000_000;

/// What became of the conversions that were decided: approved, or rejected or reversed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decided {
    /// How many of them are approved now.
    pub approved: u64,
    /// How many were decided.
    pub decided: u64,
}

impl Decided {
    /// The share of those approved, in parts per million, rounded down; `None` of nothing.
    #[must_use]
    pub fn rate_ppm(self) -> Option<u64> {
        let share = u128::from(self.approved.min(self.decided)) * u128::from(WHOLE);
        u64::try_from(share.checked_div(u128::from(self.decided))?).ok()
    }
}

/// What was measured of a partner's conversions, by campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measured {
    /// Each campaign's, empty for conversions without a click.
    pub campaigns: Vec<(String, Decided)>,
}

impl Measured {
    /// Of one campaign.
    #[must_use]
    pub fn of_campaign(&self, campaign: &str) -> Decided {
        self.campaigns
            .iter()
            .find(|(known, _)| known == campaign)
            .map_or_else(Decided::default, |(_, of)| *of)
    }

    /// Of all of them.
    #[must_use]
    pub fn of_all(&self) -> Decided {
        self.campaigns.iter().fold(Decided::default(), |sum, (_, of)| Decided {
            approved: sum.approved.saturating_add(of.approved),
            decided: sum.decided.saturating_add(of.decided),
        })
    }
}

/// The amount that an event carries, in minor units, and why it is not simply the conversion's own.
#[must_use]
pub fn of(
    goal: &Goal,
    conversion: &Conversion,
    measured: &[(i64, Measured)],
) -> (Option<i64>, Option<String>) {
    let amounts = conversion.amounts;
    let stated = match goal.send_value {
        SendValue::Value => amounts.value,
        SendValue::Payout => amounts.payout,
        SendValue::Revenue => amounts.revenue,
        SendValue::None => None,
    };
    let Some(minor) = stated.filter(|_| !reached(conversion.status, goal)) else { return (stated, None) };
    let whole = conversion.currency.format_minor(minor);
    let Some(expected) = &goal.expected else {
        return (None, Some(format!("none of {whole} before {}", goal.value_at.word())));
    };
    let within =
        measured.iter().find(|(within_ms, _)| *within_ms == expected.within_ms).map(|(_, found)| found);
    let of = within.map_or_else(Decided::default, |found| match expected.by_campaign {
        true => found.of_campaign(&conversion.campaign),
        false => found.of_all(),
    });
    match of.rate_ppm().filter(|_| of.decided >= u64::from(expected.at_least)) {
        Some(rate) => {
            let basis = format!("expected {} of {whole} over {} decided", share(rate), of.decided);
            (part(minor, rate), Some(basis))
        }
        None => {
            let few = format!("{} decided, {} needed", of.decided, expected.at_least);
            match expected.otherwise {
                Otherwise::None => (None, Some(format!("none of {whole}: {few}"))),
                Otherwise::Full => (Some(minor), Some(format!("full {whole}: {few}"))),
            }
        }
    }
}

/// Whether the status is one from which on the whole amount is sent. What was taken back is past it: its amount is what
/// the goal asked for.
const fn reached(status: Status, goal: &Goal) -> bool {
    match goal.value_at {
        ValueAt::Lead => true,
        ValueAt::Hold => !matches!(status, Status::Lead),
        ValueAt::Approval => !matches!(status, Status::Lead | Status::Hold),
    }
}

/// That part of an amount, half a minor unit and more rounded up, away from nothing.
fn part(minor: i64, rate_ppm: u64) -> Option<i64> {
    let (rate, whole) = (i128::from(rate_ppm), i128::from(WHOLE));
    let share = i128::from(minor.unsigned_abs()) * rate;
    let rounded = (share + whole / 2) / whole;
    i64::try_from(if minor < 0 { -rounded } else { rounded }).ok()
}

/// A rate with four decimals, rounded down.
fn share(rate_ppm: u64) -> String {
    format!("{}.{:04}", rate_ppm / WHOLE, rate_ppm % WHOLE / 100)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_exact_parts_per_million() {
        for (approved, decided, ppm, shown) in [
            (0, 10, Some(0), "0.0000"),
            (10, 10, Some(1_000_000), "1.0000"),
            (1, 3, Some(333_333), "0.3333"),
            (2, 3, Some(666_666), "0.6666"),
            (2_157, 5_120, Some(421_289), "0.4212"),
            (u64::MAX, u64::MAX, Some(1_000_000), "1.0000"),
        ] {
            let rate = Decided { approved, decided }.rate_ppm();
            assert_eq!(rate, ppm, "{approved}/{decided}");
            assert_eq!(share(rate.unwrap_or_default()), shown);
        }
        assert_eq!(Decided::default().rate_ppm(), None);
    }

    #[test]
    fn parts_are_rounded_to_the_nearest_minor_unit() {
        for (minor, rate, expected) in [
            (1234, 500_000, 617),
            (1235, 500_000, 618),
            (1, 499_999, 0),
            (1, 500_000, 1),
            (0, 421_289, 0),
            (i64::MAX, 1_000_000, i64::MAX),
            (-1235, 500_000, -618),
        ] {
            assert_eq!(part(minor, rate), Some(expected), "{minor} {rate}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_more_than_the_whole(minor in any::<i64>(), rate in 0..=WHOLE) {
            let part = part(minor, rate);
            prop_assert!(part.is_some_and(|part| part.unsigned_abs() <= minor.unsigned_abs()));
            prop_assert!(part.is_some_and(|part| part == 0 || (part < 0) == (minor < 0)));
        }
    }
}
