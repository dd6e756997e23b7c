//! What a click costs by the word of its source: a parameter of the click link with the source's macro for its price. Such
//! prices are small, often less than the smallest coin, so fractions are carried from click to click and nothing is lost.

use crate::macros::looks_like_macro;
use crate::money::Currency;

/// Parts of the smallest coin that are told apart.
pub const PARTS: i64 = 1_000_000;
/// The most that one click may cost, in whole units of the currency: more is a mistake.
const WHOLE_MAX: i64 = 1_000_000;
/// Digits of a price, before and after its point.
const DIGITS_MAX: usize = 24;

/// What a price stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Per {
    /// One click.
    #[default]
    Click,
    /// A thousand of them.
    Mille,
}

/// Where the price of a click stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostToken {
    /// The parameter.
    pub param: String,
    /// The currency that the source writes it in.
    pub currency: Currency,
    /// What it stands for.
    pub per: Per,
}

impl CostToken {
    /// Reads a price, in parts of the smallest coin; nothing if it is a macro that nobody filled in, below zero, or no
    /// plain decimal. Digits beyond what is told apart are cut off.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if text.is_empty() || text.len() > DIGITS_MAX || looks_like_macro(text) {
            return None;
        }
        // Europeans write a comma, and nobody groups thousands in a price of a click.
        let (whole, rest) = text.split_once(['.', ',']).unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(rest) || (whole.is_empty() && rest.is_empty()) {
            return None;
        }
        let coins = 10_i128.pow(self.currency.exponent());
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        if whole > i128::from(WHOLE_MAX) {
            return None;
        }
        let scale = 10_i128.pow(u32::try_from(rest.len()).ok()?);
        let rest: i128 = if rest.is_empty() { 0 } else { rest.parse().ok()? };
        let parts = (whole * scale + rest) * coins * i128::from(PARTS) / scale;
        let parts = match self.per {
            Per::Click => parts,
            Per::Mille => parts / 1_000,
        };
        i64::try_from(parts).ok()
    }
}

/// Takes a price with what was carried over: the coins that the click costs, and what is carried on.
#[must_use]
pub const fn carry(parts: i64, carried: i64) -> (i64, i64) {
    let sum = parts.saturating_add(carried);
    (sum / PARTS, sum % PARTS)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn token(currency: &str, per: Per) -> CostToken {
        CostToken { param: "cost".into(), currency: currency.parse().unwrap(), per }
    }

    #[test]
    fn prices_are_read_exactly_or_not_at_all() {
        for (text, parts) in [
            ("0.25", Some(25_000_000)),
            ("0.0012", Some(120_000)),
            ("0,5", Some(50_000_000)),
            (".5", Some(50_000_000)),
            ("3", Some(300_000_000)),
            (" 0.1 ", Some(10_000_000)),
            ("0.000000019", Some(1)),
            ("0", Some(0)),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e9", None),
            ("1.2.3", None),
            ("{cost}", None),
            ("[BID]", None),
            ("NaN", None),
            ("99999999", None),
            ("0.0000000000000000000000001", None),
        ] {
            assert_eq!(token("USD", Per::Click).read(text), parts, "{text}");
        }
        assert_eq!(token("JPY", Per::Click).read("1.5"), Some(1_500_000));
        assert_eq!(token("KWD", Per::Click).read("1.5"), Some(1_500_000_000));
        assert_eq!(token("USD", Per::Mille).read("1.20"), Some(120_000));
    }

    proptest! {
        /// However the clicks are priced, their costs add up to the sum of the prices, to less than one coin.
        #[test]
        fn nothing_is_lost_over_many_clicks(prices in prop::collection::vec(0_i64..5_000_000, 0..200)) {
            let (mut carried, mut cost) = (0, 0);
            for price in &prices {
                let (coins, rest) = carry(*price, carried);
                cost += coins;
                carried = rest;
            }
            prop_assert_eq!(cost * PARTS + carried, prices.iter().sum::<i64>());
            prop_assert!((0..PARTS).contains(&carried));
        }

        #[test]
        fn any_text_is_read_or_not(text in "\\PC{0,40}") {
            let read = token("USD", Per::Click).read(&text);
            prop_assert!(read.is_none_or(|parts| parts >= 0));
        }
    }
}
