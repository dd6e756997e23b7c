//! Rates and amounts against an arithmetic of their own, and files as the European Central Bank writes them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::conversion::DedupeKey;
use crate::fx::*;
use crate::ids::ConversionId;
use crate::ledger::{Amounts, Status};
use crate::money::MINOR_MAX;

mod files;

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn quote(date: &str, pair: &str, rate: &str, source: Source) -> Quote {
    let (base, quote) = pair.split_once('/').unwrap();
    let (base, quote) = (currency(base), currency(quote));
    Quote { day: day(date), base, quote, rate: rate.parse().unwrap(), source }
}

/// A whole number as decimal digits, the last one first: slow, simple, and without any limit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Long(Vec<u32>);

impl Long {
    fn of(number: u128) -> Self {
        Self(number.to_string().bytes().rev().map(|b| u32::from(b - b'0')).collect())
    }

    fn times(&self, other: u128) -> Self {
        let other = Self::of(other);
        let mut digits = vec![0; self.0.len() + other.0.len() + 1];
        for (at, one) in self.0.iter().enumerate() {
            for (by, two) in other.0.iter().enumerate() {
                digits[at + by] += one * two;
            }
        }
        for at in 1..digits.len() {
            digits[at] += digits[at - 1] / 10;
            digits[at - 1] %= 10;
        }
        while digits.len() > 1 && digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

/// What `size x over / under` is when it is rounded half to even, found by comparing products, never by dividing.
fn is_rounded(answer: u128, size: u128, over: u128, under: u128) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let twice = Long::of(size).times(over).times(2);
    let bound = |halves: u128| twice.cmp(&Long::of(halves).times(under));
    let below = if answer == 0 { Greater } else { bound(2 * answer - 1) };
    match (below, bound(2 * answer + 1)) {
        (Greater, Less) => true,
        (Equal, _) | (_, Equal) => answer.is_multiple_of(2),
        _ => false,
    }
}

fn rates() -> impl Strategy<Value = (u64, u32)> {
    (1_u64..1_000_000_000_000, 0_u32..=12)
}

fn rate_text(mantissa: u64, scale: u32) -> String {
    let scale = usize::try_from(scale).unwrap();
    let digits = format!("{mantissa:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{whole}.{fraction}").trim_end_matches('.').to_owned()
}

fn codes() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["EUR", "USD", "JPY", "KWD", "CLF", "GBP"]).prop_map(currency)
}

fn statuses() -> impl Strategy<Value = Status> {
    prop::sample::select(&Status::ALL[..])
}

fn conversion(code: &str, at: Timestamp) -> Conversion {
    Conversion {
        id: ConversionId::from_bytes([3; 16]),
        key: DedupeKey { partner: "acme".into(), key: "t:1".into() },
        transaction_id: None,
        event: None,
        click: None,
        campaign: String::new(),
        source: String::new(),
        status: Status::Approved,
        currency: currency(code),
        amounts: Amounts::default(),
        balance: Balance::default(),
        fx: None,
        base: Balance::default(),
        movements: 0,
        event_time: at,
        created_at: at,
        updated_at: at,
        event_id: None,
        external_id: None,
        contact: crate::identity::Contact::default(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    }
}

/// A conversion's movements one after the other, as booking makes them.
fn story(rates: &Rates, code: &str, said: &[(Status, i64)]) -> (Conversion, Vec<Option<Balance>>) {
    let market = Market { rates, base: currency("USD"), rate_day: RateDay::Event };
    let mut deltas = Vec::new();
    let mut known: Option<Conversion> = None;
    for (status, value) in said {
        let mut next = known.clone().unwrap_or_else(|| conversion(code, day("2026-11-20").start()));
        next.status = *status;
        next.amounts.value = Some(*value);
        next.balance = Balance::under(*status, next.amounts.value);
        next.movements += 1;
        price(known.as_ref(), &mut next, &market);
        deltas.push(delta(known.as_ref(), &next));
        known = Some(next);
    }
    (known.unwrap(), deltas)
}

fn sum(deltas: &[Option<Balance>]) -> Balance {
    deltas.iter().flatten().fold(Balance::default(), |sum, delta| Balance {
        confirmed: sum.confirmed + delta.confirmed,
        pending: sum.pending + delta.pending,
    })
}

proptest! {
    #[test]
    fn an_amount_is_rounded_once_and_half_to_even(
        (over, over_scale) in rates(), (under, under_scale) in rates(),
        minor in any::<i64>(), from in codes(), to in codes(),
    ) {
        let one: Rate = rate_text(over, over_scale).parse().unwrap();
        let other: Rate = rate_text(under, under_scale).parse().unwrap();
        let factor = one.factor().times(other.factor().inverse()).unwrap();
        let (finer, coarser) = (to.exponent(), from.exponent());
        let top = u128::from(over) * 10_u128.pow(under_scale + finer.saturating_sub(coarser));
        let bottom = u128::from(under) * 10_u128.pow(over_scale + coarser.saturating_sub(finer));
        match factor.convert(minor, from, to) {
            Some(answer) => {
                prop_assert!(answer == 0 || (answer < 0) == (minor < 0));
                let (answer, size) = (u128::from(answer.unsigned_abs()), u128::from(minor.unsigned_abs()));
                prop_assert!(is_rounded(answer, size, top, bottom), "{minor} {from} x {factor} -> {answer} {to}");
            }
            None => {
                // More than fits: at least 2^63 - 1 by the same arithmetic.
                let product = Long::of(u128::from(minor.unsigned_abs())).times(top);
                let most = Long::of(u128::from(i64::MAX.unsigned_abs())).times(bottom);
                prop_assert!(product.cmp(&most).is_ge());
            }
        }
    }

    #[test]
    fn rates_and_ratios_print_and_read_exactly((over, scale) in rates(), (under, _) in rates()) {
        let rate: Rate = rate_text(over, scale).parse().unwrap();
        prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        let other: Rate = rate_text(under, 0).parse().unwrap();
        let factor = rate.factor().times(other.factor().inverse()).unwrap();
        prop_assert_eq!(factor.to_string().parse::<Factor>(), Ok(factor));
    }

    #[test]
    fn a_cross_rate_is_the_ratio_of_its_legs(
        (from_mantissa, from_scale) in rates(), (to_mantissa, to_scale) in rates(), minor in -MINOR_MAX..=MINOR_MAX,
    ) {
        let rates = Rates::new([
            quote("2026-11-20", "EUR/GBP", &rate_text(from_mantissa, from_scale), Source::Ecb),
            quote("2026-11-20", "EUR/JPY", &rate_text(to_mantissa, to_scale), Source::Ecb),
        ]);
        let found = rates.find(currency("GBP"), currency("JPY"), day("2026-11-20")).unwrap();
        prop_assert_eq!(found.source, Origin::One(Source::Ecb));
        if let Some(answer) = found.rate.convert(minor, currency("GBP"), currency("JPY")) {
            // pence / 100 / (GBP per EUR) x (JPY per EUR)
            let top = u128::from(to_mantissa) * 10_u128.pow(from_scale);
            let bottom = u128::from(from_mantissa) * 10_u128.pow(to_scale) * 100;
            let (answer, size) = (u128::from(answer.unsigned_abs()), u128::from(minor.unsigned_abs()));
            prop_assert!(is_rounded(answer, size, top, bottom));
        }
    }

    #[test]
    fn what_is_taken_back_nets_to_zero(minor in 1..=MINOR_MAX, (mantissa, scale) in (1_u64..1_000_000_000, 3_u32..=9)) {
        let rates = Rates::new([quote("2026-11-20", "EUR/USD", &rate_text(mantissa, scale), Source::Ecb)]);
        for last in [Status::Reversed, Status::Rejected] {
            let (conversion, deltas) =
                story(&rates, "EUR", &[(Status::Approved, minor), (last, minor)]);
            prop_assert!(conversion.fx.is_some());
            prop_assert_eq!(sum(&deltas), Balance::default());
        }
    }

    #[test]
    fn deltas_add_up_to_the_rounded_balance(
        said in prop::collection::vec((statuses(), -1_000_000_i64..1_000_000_000), 1..20),
        (mantissa, scale) in (1_u64..1_000_000, 0_u32..=6),
    ) {
        let rates = Rates::new([quote("2026-11-20", "EUR/USD", &rate_text(mantissa, scale), Source::Set)]);
        let (conversion, deltas) = story(&rates, "EUR", &said);
        prop_assert_eq!(sum(&deltas), conversion.base);
        if let Some(fx) = conversion.fx {
            prop_assert_eq!(fx.of(conversion.balance, conversion.currency), Some(conversion.base));
        } else {
            prop_assert!(said.iter().all(|(_, value)| *value == 0));
        }
    }

    #[test]
    fn settled_later_and_rated_again_the_deltas_still_add_up(
        said in prop::collection::vec((statuses(), 1_i64..1_000_000_000), 1..8),
        (first, second) in (1_u64..1_000_000, 1_u64..1_000_000),
    ) {
        let (mut conversion, mut deltas) = story(&Rates::default(), "EUR", &said);
        prop_assert!(conversion.is_fx_pending() && deltas.iter().all(Option::is_none));
        for (mantissa, base) in [(first, "USD"), (second, "USD"), (second, "USD"), (first, "JPY")] {
            let rates = Rates::new([quote("2026-11-19", &format!("EUR/{base}"), &rate_text(mantissa, 4), Source::Set)]);
            let market = Market { rates: &rates, base: currency(base), rate_day: RateDay::Event };
            let found = market.find(&conversion).unwrap();
            let known = conversion.fx;
            match rate(&conversion, found, ReceiptId::from_bytes([1; 16]), Timestamp::default()) {
                None => prop_assert_eq!(known, Some(found)),
                Some(rated) => {
                    prop_assert_eq!(rated.movements_before, conversion.movements);
                    prop_assert!(rated.entries.iter().all(|entry| entry.confirmed_delta == 0 && entry.pending_delta == 0));
                    conversion = rated.conversion.clone();
                    prop_assert_eq!(rated.entries.last().unwrap().sequence, conversion.movements);
                    if base == "JPY" {
                        // What was booked in dollars is taken out in dollars.
                        let dollars = rated.change_in(currency("USD"));
                        let before = sum(&deltas);
                        prop_assert_eq!((dollars.confirmed, dollars.pending), (-before.confirmed, -before.pending));
                        prop_assert_eq!(rated.change_in(currency("JPY")), conversion.base);
                    } else {
                        deltas.extend(rated.entries.iter().map(LedgerEntry::base_delta));
                        prop_assert_eq!(sum(&deltas), conversion.base);
                    }
                }
            }
            prop_assert_eq!(found.of(conversion.balance, currency("EUR")), Some(conversion.base));
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in "[ -~\n]{0,200}", format in prop::sample::select(&Format::ALL[..])) {
        // Whatever comes of it: it comes back.
        let parsed = read(&text, format);
        prop_assert!(parsed.is_ok() || parsed.is_err());
        prop_assert!(Format::ALL.contains(&Format::of(&text)));
    }
}

#[test]
fn halves_go_to_the_even_neighbour() {
    let half: Rate = "0.5".parse().unwrap();
    let usd = currency("USD");
    for (minor, rounded) in [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2), (2, 1)] {
        assert_eq!(half.factor().convert(minor, usd, usd), Some(rounded), "{minor}");
    }
}

#[test]
fn currencies_without_cents_and_with_three_decimals_convert() {
    let rates = Rates::new([
        quote("2026-11-20", "EUR/JPY", "163.05", Source::Ecb),
        quote("2026-11-20", "EUR/USD", "1.0856", Source::Ecb),
        quote("2026-11-20", "USD/KWD", "0.3071", Source::Csv),
    ]);
    let at = |minor, from: &str, to: &str| {
        let (from, to) = (currency(from), currency(to));
        rates.find(from, to, day("2026-11-20")).and_then(|fx| fx.rate.convert(minor, from, to))
    };
    assert_eq!(at(10_000, "EUR", "USD"), Some(10_856));
    assert_eq!(at(10_856, "USD", "EUR"), Some(10_000));
    assert_eq!(at(10_000, "EUR", "JPY"), Some(16_305));
    // 1000 yen / 163.05 x 1.0856 = 6.6580.. dollars
    assert_eq!(at(1_000, "JPY", "USD"), Some(666));
    assert_eq!(at(10_000, "USD", "KWD"), Some(30_710));
    // There is no leg from dinars to euros, and none is made up.
    assert_eq!(at(1_000, "KWD", "EUR"), None);
    assert_eq!(at(5, "USD", "USD"), Some(5));
}

#[test]
fn the_days_rate_counts_else_the_latest_of_a_week() {
    let (eur, usd) = (currency("EUR"), currency("USD"));
    let rates = Rates::new([
        quote("2026-11-13", "EUR/USD", "1.10", Source::Ecb),
        quote("2026-11-20", "EUR/USD", "1.20", Source::Ecb),
    ]);
    for (asked, date) in [
        ("2026-11-12", None),
        ("2026-11-13", Some("2026-11-13")),
        ("2026-11-15", Some("2026-11-13")),
        ("2026-11-19", Some("2026-11-13")),
        ("2026-11-20", Some("2026-11-20")),
        ("2026-11-27", Some("2026-11-20")),
        ("2026-11-28", None),
    ] {
        let found = rates.find(eur, usd, day(asked)).map(|fx| fx.date);
        assert_eq!(found, date.map(day), "{asked}");
    }
    let same = rates.find(usd, usd, day("1999-01-01")).unwrap();
    assert_eq!((same.rate, same.source.to_string().as_str()), (Factor::ONE, "same"));
}

#[test]
fn ones_own_rates_go_before_the_banks() {
    let found = |quotes: &[(&str, &str, Source)]| {
        let quotes = quotes.iter().map(|(pair, rate, source)| quote("2026-11-20", pair, rate, *source));
        let fx = Rates::new(quotes).find(currency("GBP"), currency("USD"), day("2026-11-20")).unwrap();
        (fx.rate.shown(), fx.source.to_string())
    };
    let (ecb, csv, set) = (Source::Ecb, Source::Csv, Source::Set);
    let bank = [("EUR/GBP", "0.80", ecb), ("EUR/USD", "1.2", ecb)];
    assert_eq!(found(&bank), ("1.5".into(), "ecb".into()));
    assert_eq!(found(&[bank[0], bank[1], ("EUR/USD", "1.6", set)]), ("2".into(), "ecb+set".into()));
    assert_eq!(found(&[bank[0], bank[1], ("USD/GBP", "0.5", csv)]), ("2".into(), "csv".into()));
    assert_eq!(found(&[("GBP/USD", "1.3", csv), ("GBP/USD", "1.4", set)]), ("1.4".into(), "set".into()));
    assert_eq!(found(&[("GBP/USD", "1.3", csv), ("USD/GBP", "0.9", csv)]), ("1.3".into(), "csv".into()));
}

#[test]
fn only_plain_decimals_above_zero_are_rates() {
    for text in ["1.0856", "0.0000613", "17234.56", "1", "000001.10", "999999999999", "0.000000000001"] {
        assert!(text.parse::<Rate>().is_ok(), "{text}");
    }
    for text in [
        "",
        "0",
        "0.000",
        "-1",
        "+1",
        "1e3",
        "1,1",
        ".5",
        "1.",
        "1.2.3",
        "NaN",
        "1234567890123",
        "0.0000000000001",
        "١",
    ] {
        assert_eq!(text.parse::<Rate>(), Err(FxError::NotARate), "{text}");
    }
    assert_eq!("1.0850".parse::<Rate>().unwrap().to_string(), "1.085");
    for text in ["0/1", "1/0", "x", "-1", "1/2/3", "1000000000000000000000000000/1"] {
        assert!(text.parse::<Factor>().is_err(), "{text}");
    }
}

#[test]
fn ratios_are_shown_with_about_eight_digits() {
    for (pair, rate, shown) in [
        ("EUR/USD", "1.0856", "0.92114959"),
        ("EUR/IDR", "17234.56", "0.000058022949"),
        ("EUR/KWD", "0.3333", "3.0003"),
    ] {
        let code = pair.split_once('/').unwrap().1;
        let rates = Rates::new([quote("2026-11-20", pair, rate, Source::Ecb)]);
        let fx = rates.find(currency(code), currency("EUR"), day("2026-11-20")).unwrap();
        assert_eq!(fx.rate.shown(), shown);
    }
    assert_eq!("100".parse::<Rate>().unwrap().factor().shown(), "100");
}

#[test]
fn days_are_dates() {
    assert_eq!(Day::of(Timestamp::from_millis(0)).to_string(), "1970-01-01");
    assert_eq!(Day::of(Timestamp::from_millis(-1)).to_string(), "1969-12-31");
    assert_eq!(day("2024-02-29").plus(1).to_string(), "2024-03-01");
    for text in
        ["", "2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "2026-11-20T00", "1776-07-04", "-026-01-01"]
    {
        assert_eq!(text.parse::<Day>(), Err(FxError::NotADay), "{text}");
    }
}
