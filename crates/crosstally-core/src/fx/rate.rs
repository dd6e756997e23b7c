//! Rates as exact decimals, and ratios of them.

use std::fmt;
use std::str::FromStr;

use super::FxError;
use crate::money::Currency;

/// The most digits of a rate, and the most decimals.
const DIGITS_MAX: u32 = 12;
/// Two rates multiplied: the largest part of a ratio.
const PART_MAX: u128 = 10_u128.pow(2 * DIGITS_MAX);
/// Digits that a ratio is shown with.
const SHOWN_DIGITS: u32 = 8;
/// Decimals that a ratio is shown with at most.
const SHOWN_DECIMALS_MAX: usize = 18;

/// An exact decimal above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    mantissa: u64,
    scale: u32,
}

impl Rate {
    /// As a ratio.
    #[must_use]
    pub fn factor(self) -> Factor {
        Factor::reduced(u128::from(self.mantissa), 10_u128.pow(self.scale))
    }
}

impl FromStr for Rate {
    type Err = FxError;

    fn from_str(text: &str) -> Result<Self, FxError> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = || whole.bytes().chain(fraction.bytes());
        let scale = u32::try_from(fraction.len()).map_err(|_| FxError::NotARate)?;
        let plain = !whole.is_empty() && !text.ends_with('.') && digits().all(|b| b.is_ascii_digit());
        if !plain || scale > DIGITS_MAX {
            return Err(FxError::NotARate);
        }
        let mut mantissa: u64 = 0;
        for digit in digits() {
            let next =
                mantissa.checked_mul(10).and_then(|by_ten| by_ten.checked_add(u64::from(digit - b'0')));
            mantissa = next.filter(|next| *next < 10_u64.pow(DIGITS_MAX)).ok_or(FxError::NotARate)?;
        }
        if mantissa == 0 { Err(FxError::NotARate) } else { Ok(Self { mantissa, scale }) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&decimal(u128::from(self.mantissa), usize::try_from(self.scale).unwrap_or_default()))
    }
}

fn decimal(mantissa: u128, decimals: usize) -> String {
    let digits = format!("{mantissa:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// An exact ratio above zero: how much of one currency a unit of another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Factor {
    over: u128,
    under: u128,
}

impl Factor {
    /// One to one.
    pub const ONE: Self = Self { over: 1, under: 1 };

    fn reduced(over: u128, under: u128) -> Self {
        let common = common_divisor(over, under);
        Self { over: over / common, under: under / common }
    }

    /// The way back.
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self { over: self.under, under: self.over }
    }

    /// One after the other. `None` beyond what two rates can make.
    #[must_use]
    pub fn times(self, next: Self) -> Option<Self> {
        // Reduced crosswise first, the products are as small as they can be.
        let (one, other) = (Self::reduced(self.over, next.under), Self::reduced(next.over, self.under));
        let product =
            Self { over: one.over.checked_mul(other.over)?, under: one.under.checked_mul(other.under)? };
        product.fits().then_some(product)
    }

    const fn fits(self) -> bool {
        self.over > 0 && self.under > 0 && self.over <= PART_MAX && self.under <= PART_MAX
    }

    /// An amount in another currency, rounded once, half to even. `None` if it is larger than anything that is booked.
    #[must_use]
    pub fn convert(self, minor: i64, from: Currency, to: Currency) -> Option<i64> {
        let (finer, coarser) = (to.exponent(), from.exponent());
        let over = self.over.checked_mul(10_u128.checked_pow(finer.saturating_sub(coarser))?)?;
        let under = self.under.checked_mul(10_u128.checked_pow(coarser.saturating_sub(finer))?)?;
        let size = i64::try_from(scaled(minor.unsigned_abs(), over, under)?).ok()?;
        Some(if minor < 0 { -size } else { size })
    }

    /// A decimal for people, of about eight digits. Never to be computed with.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut digits = self.over / self.under;
        let mut rest = self.over % self.under;
        let mut decimals = 0;
        while rest != 0 && digits < 10_u128.pow(SHOWN_DIGITS - 1) && decimals < SHOWN_DECIMALS_MAX {
            rest *= 10;
            digits = digits * 10 + rest / self.under;
            rest %= self.under;
            decimals += 1;
        }
        digits += u128::from(rounds_up(digits, rest, self.under));
        let text = decimal(digits, decimals);
        if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

/// `size x over / under`, rounded half to even, without ever leaving 128 bits: `over` and `under` are below 2^94, and the
/// size goes in as two halves of at most 32 bits.
fn scaled(size: u64, over: u128, under: u128) -> Option<u128> {
    let (high, low) = (u128::from(size >> 32), u128::from(size & 0xffff_ffff));
    let first = high.checked_mul(over)?;
    let second = (first % under).checked_mul(1 << 32)?.checked_add(low.checked_mul(over)?)?;
    let whole = (first / under).checked_mul(1 << 32)?.checked_add(second / under)?;
    whole.checked_add(u128::from(rounds_up(whole, second % under, under)))
}

const fn rounds_up(whole: u128, rest: u128, under: u128) -> bool {
    let to_next = under - rest;
    rest > to_next || (rest == to_next && whole % 2 == 1)
}

const fn common_divisor(mut one: u128, mut other: u128) -> u128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

impl fmt::Display for Factor {
    /// Exactly: `1`, or `1250/1357`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.under == 1 {
            write!(out, "{}", self.over)
        } else {
            write!(out, "{}/{}", self.over, self.under)
        }
    }
}

impl FromStr for Factor {
    type Err = FxError;

    fn from_str(text: &str) -> Result<Self, FxError> {
        let (over, under) = text.split_once('/').unwrap_or((text, "1"));
        let part = |text: &str| text.parse::<u128>().map_err(|_| FxError::NotARate);
        let factor = Self { over: part(over)?, under: part(under)? };
        if factor.fits() { Ok(Self::reduced(factor.over, factor.under)) } else { Err(FxError::NotARate) }
    }
}
