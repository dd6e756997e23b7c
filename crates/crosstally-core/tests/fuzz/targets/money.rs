//! Amounts: read exactly or refused, never rounded unasked, never beyond the largest that is believed, and never in one of
//! two ways.

use crosstally_core::config::Word as _;
use crosstally_core::contract::number::Format;
use crosstally_core::contract::{DecimalMark, Rounding, ThousandsMark, Unit};
use crosstally_core::money::{Currency, MINOR_MAX, Money, MoneyError};

use crate::input::{Input, text};
use crate::samples;

pub(super) const WORDS: &[&str] = &[
    ".",
    ",",
    "'",
    "\u{2019}",
    "\u{a0}",
    "\u{202f}",
    " ",
    "-",
    "+",
    "0",
    "000",
    "999",
    "1e3",
    "0x",
    "NaN",
    "1234567",
    ".50",
    ",50",
    "1.234",
    "1,234",
    "9999999999999",
    "00000000000000000000",
    "5",
    "\u{661}",
    "$",
    "EUR",
];

const CURRENCIES: &[&str] = &["USD", "JPY", "KWD", "EUR", "CLF", "BTC", "XAU"];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for text in [
        "12.34",
        "-3",
        ".5",
        "5.",
        "1200",
        "1.234",
        "1,234.50",
        "1.234,50",
        "1'234.50",
        "1 234 567,89",
        "0,500",
        "1,234",
        "10000000000000.00",
        "9999999999999.995",
        "10000000000000.006",
        "1.005",
        "+1",
        "--1",
        "",
        ".",
        "-.",
        "00012.30",
        "1.2.3",
        "1,2,3",
        "000.500",
    ] {
        for choices in ["00000", "10111", "21200", "30020", "01010", "00201", "00240", "00130"] {
            seeds.push(format!("{choices}{text}").into_bytes());
        }
    }
    let of_call = |text: &str| {
        let values = text.split(['&', ',', '{', '}', '"']).filter_map(|pair| pair.split(['=', ':']).nth(1));
        values
            .filter(|value| value.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut amounts: Vec<String> = samples::ALL.iter().flat_map(|sample| of_call(&sample.query)).collect();
    amounts.sort();
    amounts.dedup();
    seeds.extend(amounts.into_iter().map(|amount| format!("00000{amount}").into_bytes()));
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(currency) = input.pick(CURRENCIES).parse::<Currency>() else { return };
    let format = Format {
        unit: *input.pick(Unit::ALL),
        minor_digits: None,
        decimal: *input.pick(DecimalMark::ALL),
        thousands: *input.pick(ThousandsMark::ALL),
        rounding: *input.pick(Rounding::ALL),
    };
    let text = text(input.rest());
    check_currency(&text);
    let read = format.read(&text, currency);
    if let Ok(minor) = read {
        assert!((-MINOR_MAX..=MINOR_MAX).contains(&minor), "{minor} is more than is believed");
        check_printed(minor, format, currency);
        check_digits(&text, minor, format, currency);
    }
    check_sign(&text, read, format, currency);
    check_rounding(&text, read, format, currency);
    if format.decimal == DecimalMark::Any {
        check_any(&text, read, format, currency);
    }
    assert_eq!(
        currency.parse_minor(&text),
        Format::default().read(&text, currency),
        "a plain number reads in one way"
    );
}

fn check_currency(text: &str) {
    if let Ok(currency) = text.parse::<Currency>() {
        assert_eq!(currency.code().parse(), Ok(currency));
        assert!(currency.code().eq_ignore_ascii_case(text.trim()) && currency.exponent() <= 4);
    }
}

/// What is printed reads back, in the plain format and in this one.
fn check_printed(minor: i64, format: Format, currency: Currency) {
    let printed = currency.format_minor(minor);
    assert_eq!(Money::new(minor, currency).decimal(), printed);
    assert_eq!(currency.parse_minor(&printed), Ok(minor));
    let mark = match format.decimal {
        DecimalMark::Point => ".",
        DecimalMark::Comma => ",",
        // Three decimals could be a group.
        DecimalMark::Any => return,
    };
    let written = match format.unit {
        Unit::Cents => minor.to_string(),
        Unit::Units => printed.replace('.', mark),
    };
    assert_eq!(format.read(&written, currency), Ok(minor), "{written}");
}

/// An independent reading: all digits as one number, by the place of the decimal mark.
fn check_digits(text: &str, minor: i64, format: Format, currency: Currency) {
    let places = match format.unit {
        Unit::Units => usize::try_from(currency.exponent()).expect("small"),
        Unit::Cents => 0,
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let mark = match format.decimal {
        DecimalMark::Point => text.find('.'),
        DecimalMark::Comma => text.find(','),
        // A mark that repeats groups; the last one of its kind parts.
        DecimalMark::Any => text.rfind(['.', ',']).filter(|at| {
            let mark = text.as_bytes().get(*at).copied();
            text.bytes().filter(|byte| Some(*byte) == mark).count() == 1
        }),
    };
    let behind = mark.map_or(0, |at| text.bytes().skip(at).filter(u8::is_ascii_digit).count());
    let (whole, fraction) = digits.split_at(digits.len() - behind);
    let kept: String = fraction.chars().chain(std::iter::repeat_n('0', places)).take(places).collect();
    let cut: i128 = format!("0{whole}{kept}").parse().expect("digits of a number that is not too large");
    let off = i128::from(minor.unsigned_abs()) - cut;
    let has_more = fraction.chars().skip(places).any(|digit| digit != '0');
    assert!(
        off == 0 || off == 1 && has_more && format.rounding == Rounding::HalfEven,
        "{text} is not {minor}"
    );
}

fn check_sign(text: &str, read: Result<i64, MoneyError>, format: Format, currency: Currency) {
    let text = text.trim();
    if !text.starts_with(['-', '+']) && !text.is_empty() {
        assert_eq!(format.read(&format!("-{text}"), currency), read.map(|minor| -minor));
        assert_eq!(format.read(&format!("+{text}"), currency), read);
        assert_eq!(format.read(&format!(" {text}\t"), currency), read);
    }
}

/// Rounding only ever decides what would else be refused as too precise, and by less than one.
fn check_rounding(text: &str, read: Result<i64, MoneyError>, format: Format, currency: Currency) {
    let strict = Format { rounding: Rounding::Refuse, ..format }.read(text, currency);
    let rounded = Format { rounding: Rounding::HalfEven, ..format }.read(text, currency);
    match strict {
        Err(MoneyError::TooPrecise) => {
            assert!(rounded.is_ok() || rounded == Err(MoneyError::TooLarge), "{rounded:?}");
        }
        same => assert_eq!(same, rounded),
    }
    assert!(read == strict || read == rounded);
}

/// Where two formats read two different amounts, `any` takes neither.
fn check_any(text: &str, read: Result<i64, MoneyError>, format: Format, currency: Currency) {
    let with = |decimal, thousands| Format { decimal, thousands, ..format }.read(text, currency).ok();
    let point = with(DecimalMark::Point, ThousandsMark::None)
        .or_else(|| with(DecimalMark::Point, ThousandsMark::Comma));
    let comma = with(DecimalMark::Comma, ThousandsMark::None)
        .or_else(|| with(DecimalMark::Comma, ThousandsMark::Point));
    let grouped = [ThousandsMark::Comma, ThousandsMark::Point].into_iter().find_map(|mark| match mark {
        ThousandsMark::Comma => with(DecimalMark::Point, mark),
        _ => with(DecimalMark::Comma, mark),
    });
    // Nobody groups behind a lone zero.
    let is_fraction = text.trim().trim_start_matches(['-', '+']).starts_with("0.")
        || text.trim().trim_start_matches(['-', '+']).starts_with("0,");
    let readings: Vec<i64> = [point, comma, grouped].into_iter().flatten().collect();
    if let (Ok(minor), false) = (read, is_fraction) {
        assert!(readings.iter().all(|reading| *reading == minor), "{text}: {minor} or one of {readings:?}");
    }
}
