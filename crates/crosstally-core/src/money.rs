//! Money as integer minor units of an ISO 4217 currency with its real exponent. Parsed exactly, printed exactly.

use std::fmt;
use std::str::FromStr;

/// The largest amount that is believed, in minor units: more is a number in the wrong field.
pub const MINOR_MAX: i64 = 1_000_000_000_000_000;

/// A currency that has minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

/// An amount in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in the currency's smallest unit: cents for USD, yen for JPY, fils for KWD.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("is not a plain decimal number such as 12.34")]
    NotANumber,
    /// A mark that could part decimals or group thousands.
    #[error("could be read in two ways")]
    Ambiguous,
    /// More decimals than the currency has.
    #[error("has more decimals than the currency has")]
    TooPrecise,
    /// Larger than anything that is believed.
    #[error("is too large")]
    TooLarge,
    /// Not an ISO 4217 code, or one without minor units.
    #[error("is not a currency of ISO 4217")]
    UnknownCurrency,
}

impl Currency {
    /// How many decimals the currency has.
    #[must_use]
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }

    /// The ISO 4217 code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Reads a plain decimal (`12.34`, `-3`, `0.5`) into minor units of this currency.
    ///
    /// # Errors
    /// Exponents, separators, signs other than one leading `-` or `+`, and more significant decimals than the currency
    /// has are refused; nothing is ever rounded.
    pub fn parse_minor(self, text: &str) -> Result<i64, MoneyError> {
        let text = text.trim();
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, text.split_at(1).1),
            Some(b'+') => (false, text.split_at(1).1),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(MoneyError::NotANumber);
        }
        let exponent = self.exponent();
        let mut minor: i64 = 0;
        let mut push = |digit: u8| {
            minor = minor.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
            (minor <= MINOR_MAX).then_some(())
        };
        for byte in whole.bytes() {
            push(byte).ok_or(MoneyError::TooLarge)?;
        }
        let mut decimals = fraction.bytes();
        for _ in 0..exponent {
            push(decimals.next().unwrap_or(b'0')).ok_or(MoneyError::TooLarge)?;
        }
        if decimals.any(|b| b != b'0') {
            return Err(MoneyError::TooPrecise);
        }
        Ok(if negative { -minor } else { minor })
    }

    /// Prints minor units as a decimal with all the currency's decimals: `12.30`, `-0.05`, `1200`.
    #[must_use]
    pub fn format_minor(self, minor: impl Into<i128>) -> String {
        let minor: i128 = minor.into();
        let exponent = usize::try_from(self.exponent()).expect("an exponent is a small number");
        let sign = if minor < 0 { "-" } else { "" };
        let digits = minor.unsigned_abs().to_string();
        if exponent == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = exponent + 1);
        let (whole, fraction) = padded.split_at(padded.len() - exponent);
        format!("{sign}{whole}.{fraction}")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let code: String = text.trim().chars().filter(|c| *c != '.').collect::<String>().to_ascii_uppercase();
        let currency = iso_currency::Currency::from_code(&code).ok_or(MoneyError::UnknownCurrency)?;
        // Metals, test codes and "no currency" have no minor unit: an amount in them cannot be booked.
        if currency.exponent().is_none() { Err(MoneyError::UnknownCurrency) } else { Ok(Self(currency)) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Money {
    /// Makes an amount.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The decimal text without the currency, e.g. `12.34`.
    #[must_use]
    pub fn decimal(&self) -> String {
        self.currency.format_minor(self.minor)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.decimal(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_exactly_in_the_currencys_own_decimals() {
        for (code, text, minor) in [
            ("USD", "12.34", 1234),
            ("usd", "12", 1200),
            ("USD", ".5", 50),
            ("USD", "5.", 500),
            ("USD", "-0.05", -5),
            ("USD", "12.3400", 1234),
            ("JPY", "1200", 1200),
            ("JPY", "1200.00", 1200),
            ("KWD", "1.234", 1234),
            ("USD", "0.1", 10),
        ] {
            assert_eq!(currency(code).parse_minor(text), Ok(minor), "{code} {text}");
        }
    }

    #[test]
    fn a_currency_may_have_dots_and_nothing_else() {
        for (text, code) in [("U.S.D", Some("USD")), (" eur ", Some("EUR")), ("US D", None), ("$USD", None)] {
            assert_eq!(text.parse::<Currency>().ok().map(Currency::code), code, "{text}");
        }
    }

    #[test]
    fn what_is_not_plainly_a_number_is_refused() {
        for text in
            ["", ".", "-", "1e3", "1,5", "1 000", "NaN", "inf", "0x10", "--1", "1.2.3", "{payout}", "١٢"]
        {
            assert_eq!(currency("USD").parse_minor(text), Err(MoneyError::NotANumber), "{text}");
        }
        assert_eq!(currency("USD").parse_minor("0.001"), Err(MoneyError::TooPrecise));
        assert_eq!(currency("JPY").parse_minor("1.5"), Err(MoneyError::TooPrecise));
        assert_eq!(currency("USD").parse_minor("99999999999999999999"), Err(MoneyError::TooLarge));
        assert!("XAU".parse::<Currency>().is_err());
        assert!("EURO".parse::<Currency>().is_err());
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_exact(minor in -MINOR_MAX..=MINOR_MAX, code in prop::sample::select(vec!["USD", "JPY", "KWD"])) {
            let currency = currency(code);
            prop_assert_eq!(currency.parse_minor(&currency.format_minor(minor)), Ok(minor));
        }
    }
}
