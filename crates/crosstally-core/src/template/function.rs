//! What can be done to a macro's value on its way out: `{payout|round:2}`, `{status|map:approved=1,*=0}`. Everything is
//! exact: amounts are digits, never a binary number.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::Macro;
use crate::identity::sha256_hex;

/// Most functions of one macro, most decimals, and most pairs of a map.
const FUNCTIONS_MAX: usize = 8;
const DECIMALS_MAX: usize = 12;
const PAIRS_MAX: usize = 64;
/// Digits of a time in seconds; one with more is in milliseconds.
const SECONDS_DIGITS_MAX: usize = 11;
/// The year 2286 in seconds has ten digits; the sample is any time before.
const SAMPLE_SECONDS: i64 = 1_764_205_300;

/// One thing that is done to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// It is not percent-encoded.
    Raw,
    /// Without a value the event is not sent.
    Required,
    /// SHA-256 in lower-case hexadecimal; `exact` of the value as it is, else of its trimmed lower-case form.
    Hash {
        /// Whether the value is taken as it is.
        exact: bool,
    },
    /// What stands there without a value.
    Default(String),
    /// In lower case.
    Lower,
    /// Other words for the value.
    Map(Vec<(String, String)>),
    /// So many decimals, halves away from zero.
    Round(usize),
    /// A time in this format.
    Date {
        /// A format of strftime, or a word for a usual one.
        format: String,
        /// The time zone.
        zone: TimeZone,
    },
}

impl Function {
    /// Their names.
    pub const WORDS: &'static [&'static str] =
        &["raw", "required", "hash", "lower", "default", "map", "round", "date"];

    fn named(word: &str, argument: Option<&str>) -> Result<Self, Option<String>> {
        let none = |function: Self| match argument {
            None => Ok(function),
            Some(_) => Err(Some(format!("has an argument behind `{word}`; write {word} alone"))),
        };
        let needs = |what: &str| {
            argument.ok_or_else(|| Some(format!("has `{word}` without {what}; write {word}:{what}")))
        };
        match word {
            "raw" => none(Self::Raw),
            "required" => none(Self::Required),
            "lower" => none(Self::Lower),
            "hash" => match argument {
                None => Ok(Self::Hash { exact: false }),
                Some("exact") => Ok(Self::Hash { exact: true }),
                Some(_) => Err(Some("has `hash` of an unknown kind; write hash or hash:exact".to_owned())),
            },
            "default" => Ok(Self::Default(plain(needs("text")?))),
            "map" => map(needs("approved=1,*=0")?).map_err(Some),
            "round" => match needs("2")?.parse::<usize>() {
                Ok(decimals) if decimals <= DECIMALS_MAX => Ok(Self::Round(decimals)),
                _ => Err(Some(format!(
                    "rounds to no number of decimals; write round:0 to round:{DECIMALS_MAX}"
                ))),
            },
            "date" => date(needs("%Y-%m-%d")?).map_err(Some),
            _ => Err(None),
        }
    }
}

/// A value that a template demands and that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The macro's name.
    pub name: String,
    /// Why nothing can stand there.
    pub why: &'static str,
}

/// Reads what stands behind a name. An error without words is a function that is not known.
pub(super) fn read(text: &str) -> Result<Vec<Function>, Option<String>> {
    let parts = split(text, '|');
    if parts.len() > FUNCTIONS_MAX {
        return Err(Some(format!("has more than {FUNCTIONS_MAX} functions; remove some")));
    }
    parts
        .into_iter()
        .map(|part| match part.split_once(':') {
            Some((word, argument)) => Function::named(word, Some(argument)),
            None => Function::named(part, None),
        })
        .collect()
}

fn map(text: &str) -> Result<Function, String> {
    let mut pairs = Vec::new();
    for pair in split(text, ',') {
        match split(pair, '=').as_slice() {
            [from, to] => pairs.push((plain(from), plain(to))),
            _ => return Err("has a map that is none; write map:approved=1,rejected=3,*=0".to_owned()),
        }
    }
    if pairs.len() > PAIRS_MAX {
        return Err(format!("has a map of more than {PAIRS_MAX} words; remove some"));
    }
    Ok(Function::Map(pairs))
}

fn date(text: &str) -> Result<Function, String> {
    let parts = split(text, ',');
    let (format, zone) = match parts.as_slice() {
        [format] => (plain(format), TimeZone::UTC),
        [format, zone] => {
            let zone = TimeZone::get(zone).map_err(|_| {
                format!("names the time zone {zone:?}, which there is not; write date:%Y-%m-%d,Europe/Berlin")
            })?;
            (plain(format), zone)
        }
        _ => return Err("has a date of too many parts; write \\, for a comma in the format".to_owned()),
    };
    let sample = Timestamp::from_second(SAMPLE_SECONDS).expect("a time of this century");
    match formatted(sample, &format, &zone) {
        Some(text) if !text.is_empty() => Ok(Function::Date { format, zone }),
        _ => Err("has a date format that is none; write it like date:%Y-%m-%d".to_owned()),
    }
}

/// The parts of a text. What stands behind a backslash separates nothing.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == separator => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// The text without the backslashes that protected its characters.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}

/// Does to a value what the macro says.
pub(super) fn apply<'a>(
    found: &Macro,
    value: Option<Cow<'a, str>>,
) -> Result<Option<Cow<'a, str>>, Unresolved> {
    // Spaces alone say nothing: a hash of them would be the one of an empty text.
    let mut value = Ok(value.filter(|value| !value.trim().is_empty()));
    for function in &found.functions {
        value = match (function, value) {
            // What there is not, or is of no use, is what a default stands in for.
            (Function::Default(text), Ok(None) | Err(_)) => Ok(Some(Cow::Owned(text.clone()))),
            (_, Err(why)) => Err(why),
            (Function::Required, Ok(None)) => Err("it is required and there is no value"),
            (_, Ok(None)) => Ok(None),
            // A word of a map may be empty.
            (Function::Hash { .. }, Ok(Some(value))) if value.is_empty() => Ok(None),
            (function, Ok(Some(value))) => one(function, value).map(Some),
        };
    }
    value.map_err(|why| Unresolved { name: found.name.clone(), why })
}

fn one<'a>(function: &Function, value: Cow<'a, str>) -> Result<Cow<'a, str>, &'static str> {
    match function {
        Function::Raw | Function::Required | Function::Default(_) => Ok(value),
        Function::Hash { exact } => Ok(Cow::Owned(hash(&value, *exact))),
        Function::Lower => Ok(Cow::Owned(value.to_lowercase())),
        Function::Map(pairs) => pairs
            .iter()
            .find(|(from, _)| from == value.as_ref())
            .or_else(|| pairs.iter().find(|(from, _)| from == "*"))
            .map(|(_, to)| Cow::Owned(to.clone()))
            .ok_or("its map has no word for this value, and no `*`"),
        Function::Round(decimals) => {
            round(&value, *decimals).map(Cow::Owned).ok_or("it is rounded and its value is no decimal number")
        }
        Function::Date { format, zone } => time(&value)
            .and_then(|at| formatted(at, format, zone))
            .map(Cow::Owned)
            .ok_or("it is written as a date and its value is no time"),
    }
}

/// SHA-256. A value that is one already stays, in lower case: a hash of a hash fits nothing.
fn hash(value: &str, exact: bool) -> String {
    let normal = if exact { Cow::Borrowed(value) } else { Cow::Owned(value.trim().to_lowercase()) };
    if !exact && normal.len() == 64 && normal.bytes().all(|b| b.is_ascii_hexdigit()) {
        return normal.into_owned();
    }
    sha256_hex(&normal)
}

/// So many decimals, halves away from zero, digit by digit.
fn round(value: &str, decimals: usize) -> Option<String> {
    let (sign, digits) = value.strip_prefix('-').map_or(("", value), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let kept = fraction.get(..decimals).unwrap_or(fraction);
    let mut number = format!("{whole}{kept:0<decimals$}").into_bytes();
    if fraction.as_bytes().get(decimals).is_some_and(|next| *next >= b'5') {
        let nines = number.iter().rev().take_while(|digit| **digit == b'9').count();
        let len = number.len();
        number.iter_mut().skip(len - nines).for_each(|digit| *digit = b'0');
        match len.checked_sub(nines + 1).and_then(|at| number.get_mut(at)) {
            Some(digit) => *digit += 1,
            None => number.insert(0, b'1'),
        }
    }
    let number = String::from_utf8(number).ok()?;
    let (whole, kept) = number.split_at(number.len() - decimals);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    // Nothing is left of it: zero has no sign.
    let sign = if number.bytes().all(|digit| digit == b'0') { "" } else { sign };
    Some(if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{kept}") })
}

/// Unix seconds or milliseconds, or RFC 3339.
fn time(value: &str) -> Option<Timestamp> {
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return value.parse().ok();
    }
    let number = value.parse::<i64>().ok()?;
    if value.len() > SECONDS_DIGITS_MAX {
        Timestamp::from_millisecond(number).ok()
    } else {
        Timestamp::from_second(number).ok()
    }
}

fn formatted(at: Timestamp, format: &str, zone: &TimeZone) -> Option<String> {
    match format {
        "seconds" => Some(at.as_second().to_string()),
        "milliseconds" => Some(at.as_millisecond().to_string()),
        "rfc3339" => strtime::format("%Y-%m-%dT%H:%M:%S%:z", &at.to_zoned(zone.clone())).ok(),
        _ => strtime::format(format, &at.to_zoned(zone.clone())).ok(),
    }
}
