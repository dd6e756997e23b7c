//! The rates at hand, and which of them an amount takes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{Day, Factor, Fx, Origin, Rate, Source};
use crate::money::Currency;

/// How many days older than asked for a rate may be: a weekend with holidays on both sides.
pub const OLDER_DAYS_MAX: i64 = 7;

static EUR: LazyLock<Currency> = LazyLock::new(|| "EUR".parse().expect("EUR is a currency of ISO 4217"));

/// A rate as it was published: on this day, one unit of `base` was `rate` units of `quote`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The day.
    pub day: Day,
    /// What one unit is asked of.
    pub base: Currency,
    /// What the rate counts.
    pub quote: Currency,
    /// The rate.
    pub rate: Rate,
    /// Who says so.
    pub source: Source,
}

/// All rates of some days.
#[derive(Debug, Clone, Default)]
pub struct Rates(BTreeMap<Day, Vec<Quote>>);

impl Rates {
    /// The table of these rates. Of two with the same day, pair and source the last one counts.
    #[must_use]
    pub fn new(quotes: impl IntoIterator<Item = Quote>) -> Self {
        let mut days: BTreeMap<Day, Vec<Quote>> = BTreeMap::new();
        for quote in quotes {
            days.entry(quote.day).or_default().push(quote);
        }
        Self(days)
    }

    /// The rate of a day between two currencies: that day's, else the latest earlier one that is not too old.
    #[must_use]
    pub fn find(&self, currency: Currency, base: Currency, day: Day) -> Option<Fx> {
        if currency == base {
            return Some(Fx { base, rate: Factor::ONE, date: day, source: Origin::Same });
        }
        self.0.range(day.plus(-OLDER_DAYS_MAX)..=day).rev().find_map(|(date, quotes)| {
            let (rate, source) = between(quotes, currency, base)?;
            Some(Fx { base, rate, date: *date, source })
        })
    }
}

/// One day's rate: the pair's own, else the cross rate over EUR.
fn between(quotes: &[Quote], from: Currency, to: Currency) -> Option<(Factor, Origin)> {
    if let Some((factor, source)) = leg(quotes, from, to) {
        return Some((factor, Origin::One(source)));
    }
    if from == *EUR || to == *EUR {
        return None;
    }
    let ((one, one_source), (other, other_source)) = (leg(quotes, from, *EUR)?, leg(quotes, *EUR, to)?);
    let origin = if one_source == other_source {
        Origin::One(one_source)
    } else {
        Origin::Two(one_source, other_source)
    };
    Some((one.times(other)?, origin))
}

/// The rate of a pair, in whichever direction it was published: of the strongest source, and of one source rather as
/// asked for.
fn leg(quotes: &[Quote], from: Currency, to: Currency) -> Option<(Factor, Source)> {
    let of_pair = quotes.iter().filter_map(|quote| {
        let is_direct = (quote.base, quote.quote) == (from, to);
        (is_direct || (quote.base, quote.quote) == (to, from)).then_some((
            quote.source,
            is_direct,
            quote.rate,
        ))
    });
    let (source, is_direct, rate) = of_pair.max_by_key(|(source, is_direct, _)| (*source, *is_direct))?;
    Some((if is_direct { rate.factor() } else { rate.factor().inverse() }, source))
}
