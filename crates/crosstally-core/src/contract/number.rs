//! Amounts as partners write them: with a comma, with groups, in cents. Read exactly; rounded only if the contract says so.

use super::{DecimalMark, Rounding, ThousandsMark, Unit};
use crate::money::{Currency, MINOR_MAX, MoneyError};

/// How a partner writes amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    /// Units or cents.
    pub unit: Unit,
    /// How many decimals the sender's minor unit stands for, if they are not the currency's own.
    pub minor_digits: Option<u32>,
    /// The decimal mark.
    pub decimal: DecimalMark,
    /// The thousands mark.
    pub thousands: ThousandsMark,
    /// What happens to decimals beyond the currency's.
    pub rounding: Rounding,
}

impl Format {
    /// Reads an amount into minor units.
    ///
    /// # Errors
    /// Whatever is not a number in this format: signs of currencies, exponents, groups of other than three digits, a
    /// mark that could be either; more decimals than the currency has, unless the contract rounds.
    pub fn read(self, text: &str, currency: Currency) -> Result<i64, MoneyError> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or("")),
            Some(b'+') => (false, text.get(1..).unwrap_or("")),
            _ => (false, text),
        };
        let (whole, fraction) = self.split(digits)?;
        if whole.is_empty() && fraction.is_empty() {
            return Err(MoneyError::NotANumber);
        }
        let exponent = currency.exponent();
        let minor = match self.unit {
            Unit::Units => scaled(&whole, &fraction, exponent, self.rounding)?,
            Unit::Cents => {
                let theirs = self.minor_digits.unwrap_or(exponent);
                let (whole, fraction) = shifted(&whole, &fraction, theirs);
                scaled(&whole, &fraction, exponent, self.rounding)?
            }
        };
        Ok(if negative { -minor } else { minor })
    }

    /// The digits before and behind the decimal mark.
    fn split(self, text: &str) -> Result<(String, String), MoneyError> {
        let mark = match self.decimal {
            DecimalMark::Point => '.',
            DecimalMark::Comma => ',',
            DecimalMark::Any => return self.split_any(text),
        };
        let (whole, fraction) = text.split_once(mark).unwrap_or((text, ""));
        Ok((ungrouped(whole, group_marks(self.thousands, mark))?, digits(fraction)?))
    }

    /// The mark that comes last, and once, is the decimal mark; one with three digits behind it could be either.
    fn split_any(self, text: &str) -> Result<(String, String), MoneyError> {
        let Some(at) = text.rfind(['.', ',']) else {
            return Ok((ungrouped(text, group_marks(self.thousands, '\0'))?, String::new()));
        };
        let (whole, rest) = text.split_at(at);
        let mark = rest.chars().next().unwrap_or('.');
        let fraction = rest.get(1..).unwrap_or("");
        let other = if mark == '.' { ',' } else { '.' };
        if whole.contains(mark) {
            // `1.234.567`: a mark that repeats can only group.
            let grouped = ungrouped(text, &[mark])?;
            return Ok((grouped, String::new()));
        }
        if fraction.len() == 3
            && !whole.contains(other)
            && whole.trim_start_matches('0').len() <= 3
            && whole != "0"
        {
            return Err(MoneyError::Ambiguous);
        }
        Ok((ungrouped(whole, &[other, ' ', '\''])?, digits(fraction)?))
    }
}

const fn group_marks(mark: ThousandsMark, decimal: char) -> &'static [char] {
    match (mark, decimal) {
        (ThousandsMark::None, _) | (ThousandsMark::Comma, ',') | (ThousandsMark::Point, '.') => &[],
        (ThousandsMark::Comma, _) => &[','],
        (ThousandsMark::Point, _) => &['.'],
        // Also the spaces that typesetters use.
        (ThousandsMark::Space, _) => &[' ', '\u{a0}', '\u{202f}'],
        (ThousandsMark::Apostrophe, _) => &['\'', '\u{2019}'],
    }
}

/// The digits of a whole number without its group marks. Groups have three digits, the first one to three.
fn ungrouped(text: &str, marks: &[char]) -> Result<String, MoneyError> {
    let mut groups = text.split(|c| marks.contains(&c));
    let first = groups.next().unwrap_or("");
    let rest: Vec<&str> = groups.collect();
    let regular =
        rest.is_empty() || (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3);
    if !regular {
        return Err(MoneyError::NotANumber);
    }
    digits(&std::iter::once(first).chain(rest).collect::<String>())
}

fn digits(text: &str) -> Result<String, MoneyError> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(MoneyError::NotANumber)
    }
}

/// The digits with the decimal mark moved so many places to the left: from a sender's minor unit to whole units.
fn shifted(whole: &str, fraction: &str, places: u32) -> (String, String) {
    let places = usize::try_from(places).expect("a number of decimals is small");
    let padded = format!("{whole:0>places$}");
    let (units, minor) = padded.split_at(padded.len() - places);
    (units.to_owned(), format!("{minor}{fraction}"))
}

fn scaled(whole: &str, fraction: &str, exponent: u32, rounding: Rounding) -> Result<i64, MoneyError> {
    let places = usize::try_from(exponent).expect("an exponent is a small number");
    let (kept, beyond) = fraction.split_at(places.min(fraction.len()));
    let mut minor: i64 = 0;
    for byte in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', places - kept.len())) {
        minor = minor
            .checked_mul(10)
            .and_then(|minor| minor.checked_add(i64::from(byte - b'0')))
            .filter(|minor| *minor <= MINOR_MAX)
            .ok_or(MoneyError::TooLarge)?;
    }
    if beyond.bytes().all(|byte| byte == b'0') {
        return Ok(minor);
    }
    match rounding {
        Rounding::Refuse => Err(MoneyError::TooPrecise),
        Rounding::HalfEven => {
            let half = beyond.as_bytes()[0].cmp(&b'5');
            let is_exact_half = half.is_eq() && beyond.bytes().skip(1).all(|byte| byte == b'0');
            let up = half.is_gt() || half.is_eq() && (!is_exact_half || minor % 2 == 1);
            Some(minor + i64::from(up)).filter(|minor| *minor <= MINOR_MAX).ok_or(MoneyError::TooLarge)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn read(format: Format, text: &str, currency: &str) -> Result<i64, MoneyError> {
        format.read(text, currency.parse().unwrap())
    }

    #[test]
    fn the_plain_format_reads_as_before() {
        for (text, currency, minor) in [
            ("12.34", "USD", Ok(1234)),
            ("-3", "USD", Ok(-300)),
            (".5", "USD", Ok(50)),
            ("5.", "USD", Ok(500)),
            ("1200", "JPY", Ok(1200)),
            ("1.234", "KWD", Ok(1234)),
            ("1.230", "USD", Ok(123)),
            ("1.234", "USD", Err(MoneyError::TooPrecise)),
            ("1,234.50", "USD", Err(MoneyError::NotANumber)),
            ("12,34", "USD", Err(MoneyError::NotANumber)),
            ("$12", "USD", Err(MoneyError::NotANumber)),
            ("1e3", "USD", Err(MoneyError::NotANumber)),
            ("", "USD", Err(MoneyError::NotANumber)),
            (".", "USD", Err(MoneyError::NotANumber)),
            ("--1", "USD", Err(MoneyError::NotANumber)),
            ("10000000000000.01", "USD", Err(MoneyError::TooLarge)),
        ] {
            assert_eq!(read(Format::default(), text, currency), minor, "{text} {currency}");
        }
    }

    #[test]
    fn each_partner_writes_as_its_contract_says() {
        let cents = Format { unit: Unit::Cents, ..Format::default() };
        let german =
            Format { decimal: DecimalMark::Comma, thousands: ThousandsMark::Point, ..Format::default() };
        let spaced = Format { thousands: ThousandsMark::Space, ..Format::default() };
        let any = Format { decimal: DecimalMark::Any, ..Format::default() };
        for (format, text, minor) in [
            (cents, "1234", Ok(1234)),
            (cents, "1234.5", Err(MoneyError::TooPrecise)),
            (cents, "1234.00", Ok(1234)),
            (german, "1.234,50", Ok(123_450)),
            (german, "12,5", Ok(1250)),
            (german, "1.23,50", Err(MoneyError::NotANumber)),
            (german, "12.34", Err(MoneyError::NotANumber)),
            (spaced, "1 234 567.89", Ok(123_456_789)),
            (spaced, "12 34", Err(MoneyError::NotANumber)),
            (any, "12,34", Ok(1234)),
            (any, "12.34", Ok(1234)),
            (any, "1.234,50", Ok(123_450)),
            (any, "1,234.50", Ok(123_450)),
            (any, "1,234,567", Ok(123_456_700)),
            (any, "1,234", Err(MoneyError::Ambiguous)),
            (any, "0,500", Ok(50)),
            (any, "1234", Ok(123_400)),
        ] {
            assert_eq!(read(format, text, "USD"), minor, "{format:?} {text}");
        }
    }

    #[test]
    fn a_senders_minor_unit_is_not_always_the_currencys() {
        let of = |digits| Format { unit: Unit::Cents, minor_digits: Some(digits), ..Format::default() };
        for (digits, text, currency, minor) in [
            (2, "500", "ISK", Ok(5)),
            (2, "-500", "ISK", Ok(-5)),
            (2, "0", "ISK", Ok(0)),
            (2, "550", "ISK", Err(MoneyError::TooPrecise)),
            (2, "5", "UGX", Err(MoneyError::TooPrecise)),
            (0, "500", "MGA", Ok(50_000)),
            (3, "5120", "KWD", Ok(5120)),
        ] {
            assert_eq!(read(of(digits), text, currency), minor, "{text} {currency}");
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_halves_go_to_even() {
        let rounds = Format { rounding: Rounding::HalfEven, ..Format::default() };
        assert_eq!(read(rounds, "10000000000000.006", "USD"), Err(MoneyError::TooLarge));
        for (text, minor) in [
            ("1.005", 100),
            ("1.015", 102),
            ("1.0051", 101),
            ("1.0049", 100),
            ("-1.015", -102),
            ("1.999", 200),
        ] {
            assert_eq!(read(rounds, text, "USD"), Ok(minor), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(minor in -MINOR_MAX..MINOR_MAX) {
            let currency: Currency = "EUR".parse().unwrap();
            prop_assert_eq!(Format::default().read(&currency.format_minor(minor), currency), Ok(minor));
            let comma = Format { decimal: DecimalMark::Comma, ..Format::default() };
            let text = currency.format_minor(minor).replace('.', ",");
            prop_assert_eq!(comma.read(&text, currency), Ok(minor));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9., '€]{0,12}") {
            for decimal in [DecimalMark::Point, DecimalMark::Comma, DecimalMark::Any] {
                let format = Format { decimal, rounding: Rounding::HalfEven, ..Format::default() };
                if let Ok(minor) = read(format, &text, "USD") {
                    prop_assert!(minor.abs() <= MINOR_MAX);
                }
            }
        }
    }
}
