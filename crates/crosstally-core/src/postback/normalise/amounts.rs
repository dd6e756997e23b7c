//! Amounts by the contract: its number format, its signs, its bounds.

use crate::contract::{Contract, Negative, Range};
use crate::ledger::Amounts;
use crate::money::{Currency, MoneyError};
use crate::postback::parse::{Fields, printable};
use crate::reason::Reason;
use crate::verdict::Stop;

/// What a call states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stated {
    /// The amounts, never below zero.
    pub(super) amounts: Amounts,
    /// Whether they came below zero, and the contract takes that for a refund.
    pub(super) is_refund: bool,
}

/// Reads both amounts.
pub(super) fn read(fields: &Fields, currency: Currency, contract: &Contract) -> Result<Stated, Stop> {
    let (payout, revenue) =
        (one(fields, "payout", currency, contract)?, one(fields, "revenue", currency, contract)?);
    let is_refund = payout.is_some_and(|minor| minor < 0) || revenue.is_some_and(|minor| minor < 0);
    // Of a refund that names one amount below zero and one above, only the former is paid back.
    let told = |minor: Option<i64>| minor.filter(|minor| !is_refund || *minor < 0).map(i64::abs);
    let (payout, revenue) = (told(payout), told(revenue));
    Ok(Stated {
        amounts: Amounts { payout, revenue, value: contract.value().of(payout, revenue) },
        is_refund,
    })
}

fn one(fields: &Fields, name: &str, currency: Currency, contract: &Contract) -> Result<Option<i64>, Stop> {
    let Some(text) = fields.get(name) else { return Ok(None) };
    let minor = contract
        .number(currency)
        .read(text, currency)
        .map_err(|error| Stop::refused(reason(error), format!("{name} {} {error}", printable(text))))?;
    if minor < 0 && contract.negative() == Negative::Refuse {
        return Err(Stop::refused(
            Reason::AmountNegative,
            format!("{name} {} is below zero", printable(text)),
        ));
    }
    if let Some(range) = contract.range(name) {
        within(minor.abs(), range, currency).map_err(|bound| {
            let detail = format!("{name} {} is not {bound}, as the contract asks", printable(text));
            Stop::refused(Reason::AmountOutOfRange, detail)
        })?;
    }
    Ok(Some(minor))
}

const fn reason(error: MoneyError) -> Reason {
    match error {
        MoneyError::NotANumber | MoneyError::UnknownCurrency => Reason::AmountNotANumber,
        MoneyError::Ambiguous => Reason::AmountAmbiguous,
        MoneyError::TooPrecise => Reason::AmountTooPrecise,
        MoneyError::TooLarge => Reason::AmountTooLarge,
    }
}

/// The bound that is broken, in words. A bound finer than the currency is rounded towards what is allowed.
fn within(minor: i64, range: &Range, currency: Currency) -> Result<(), String> {
    let bound = |text: &Option<String>| text.as_deref().and_then(|text| cut(text, currency));
    if let Some(min) = bound(&range.min).filter(|min| minor < *min) {
        return Err(format!("at least {} {currency}", currency.format_minor(min)));
    }
    if let Some(max) = bound(&range.max).filter(|max| minor > *max) {
        return Err(format!("at most {} {currency}", currency.format_minor(max)));
    }
    Ok(())
}

fn cut(text: &str, currency: Currency) -> Option<i64> {
    let places = usize::try_from(currency.exponent()).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.get(..places.min(fraction.len()))?;
    currency.parse_minor(&format!("{whole}.{fraction}0")).or_else(|_| currency.parse_minor(whole)).ok()
}
