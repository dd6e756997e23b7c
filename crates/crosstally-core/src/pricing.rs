//! What rates do to conversions: each is priced once, keeps its rate, and tells with every movement by how much its balance
//! in the base currency changed.

use crate::contract::RateDay;
use crate::conversion::Conversion;
use crate::fx::{Day, Fx, Rates};
use crate::ids::ReceiptId;
use crate::ledger::{Balance, ContentHash, EntryKind, LedgerEntry};
use crate::money::Currency;
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

impl Fx {
    /// A balance in the base currency, each amount rounded once; `None` if one is larger than anything that is booked.
    #[must_use]
    pub fn of(&self, balance: Balance, currency: Currency) -> Option<Balance> {
        Some(Balance {
            confirmed: self.rate.convert(balance.confirmed, currency, self.base)?,
            pending: self.rate.convert(balance.pending, currency, self.base)?,
        })
    }
}

/// What rates there are, and what they lead to.
#[derive(Debug, Clone, Copy)]
pub struct Market<'a> {
    /// The rates.
    pub rates: &'a Rates,
    /// The workspace's base currency.
    pub base: Currency,
    /// Which day's rate the partner's contract names.
    pub rate_day: RateDay,
}

impl Market<'_> {
    /// The day whose rate a conversion takes.
    #[must_use]
    pub const fn day_of(&self, conversion: &Conversion) -> Day {
        day_of(self.rate_day, conversion.event_time, conversion.created_at)
    }

    /// The rate that a conversion would be priced with now.
    #[must_use]
    pub fn find(&self, conversion: &Conversion) -> Option<Fx> {
        self.rates.find(conversion.currency, self.base, self.day_of(conversion))
    }
}

/// The day whose rate counts: the one on which it happened, or the one on which it was first received.
#[must_use]
pub const fn day_of(rate_day: RateDay, happened: Timestamp, received: Timestamp) -> Day {
    match rate_day {
        RateDay::Event => Day::of(happened),
        RateDay::Received => Day::of(received),
    }
}

/// Prices a conversion that has just moved: with the rate that it has, else with the one that is found. Its base balance
/// follows its balance.
pub fn price(before: Option<&Conversion>, after: &mut Conversion, market: &Market<'_>) {
    let kept = before.filter(|before| before.currency == after.currency).and_then(|before| before.fx);
    // A conversion that is read again in another currency stays in the base that its earlier movements are in.
    let base = before.and_then(|before| before.fx).map_or(market.base, |fx| fx.base);
    let fx = kept.or_else(|| after.has_value().then(|| Market { base, ..*market }.find(after)).flatten());
    let priced = fx.and_then(|fx| fx.of(after.balance, after.currency).map(|balance| (fx, balance)));
    after.fx = priced.map(|(fx, _)| fx);
    after.base = priced.map(|(_, balance)| balance).unwrap_or_default();
}

/// By how much a movement changed the base balance; `None` while that is not known. The sum over a conversion's movements
/// is its base balance, as each is the difference of two rounded balances.
#[must_use]
pub fn delta(before: Option<&Conversion>, after: &Conversion) -> Option<Balance> {
    let was = before.map(|before| before.base).unwrap_or_default();
    (!after.is_fx_pending() || was != Balance::default()).then_some(difference(was, after.base))
}

const fn difference(before: Balance, after: Balance) -> Balance {
    Balance {
        confirmed: after.confirmed.saturating_sub(before.confirmed),
        pending: after.pending.saturating_sub(before.pending),
    }
}

/// A conversion that is given a rate, or another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    /// The conversion with its rate.
    pub conversion: Conversion,
    /// How many movements it had: if it has others meanwhile, nothing is booked.
    pub movements_before: u32,
    /// What is booked: one movement, or two if the base currency is another one.
    pub entries: Vec<LedgerEntry>,
}

impl Rated {
    /// By how much the base balance changes in this currency.
    #[must_use]
    pub fn change_in(&self, base: Currency) -> Balance {
        let in_base = self.entries.iter().filter(|entry| entry.fx.is_some_and(|fx| fx.base == base));
        in_base.filter_map(LedgerEntry::base_delta).fold(Balance::default(), |sum, delta| Balance {
            confirmed: sum.confirmed.saturating_add(delta.confirmed),
            pending: sum.pending.saturating_add(delta.pending),
        })
    }
}

/// Gives a conversion a rate, as movements that change nothing but amounts in the base currency. `None` if it has that
/// rate already, or if its amounts cannot be told in the base currency.
#[must_use]
pub fn rate(before: &Conversion, fx: Fx, receipt: ReceiptId, now: Timestamp) -> Option<Rated> {
    if before.fx == Some(fx) {
        return None;
    }
    let balance = fx.of(before.balance, before.currency)?;
    let mut conversion = before.clone();
    let mut entries = Vec::new();
    let mut book = |fx: Fx, from: Balance, to: Balance| {
        conversion.movements += 1;
        (conversion.fx, conversion.base, conversion.updated_at) = (Some(fx), to, now);
        entries.push(entry(&conversion, difference(from, to), receipt, now));
    };
    match before.fx {
        // Amounts in two currencies have no difference: what was booked in the old base is taken out of it.
        Some(old) if old.base != fx.base => {
            book(old, before.base, Balance::default());
            book(fx, Balance::default(), balance);
        }
        _ => book(fx, before.base, balance),
    }
    Some(Rated { conversion, movements_before: before.movements, entries })
}

fn entry(conversion: &Conversion, change: Balance, receipt: ReceiptId, now: Timestamp) -> LedgerEntry {
    LedgerEntry {
        conversion: conversion.id,
        sequence: conversion.movements,
        receipt,
        status: conversion.status,
        status_word: String::new(),
        currency: conversion.currency,
        amounts: conversion.amounts,
        confirmed_delta: 0,
        pending_delta: 0,
        event_time: conversion.event_time,
        recorded_at: now,
        click: conversion.click,
        campaign: conversion.campaign.clone(),
        source: conversion.source.clone(),
        partner: conversion.key.partner.clone(),
        kind: EntryKind::Rate,
        content: ContentHash::default(),
        fx: conversion.fx,
        base_confirmed_delta: Some(change.confirmed),
        base_pending_delta: Some(change.pending),
    }
}
