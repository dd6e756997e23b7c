//! Phone numbers, in two stages.
//!
//! Stage one ([`to_e164`]) understands a number: it needs a `+` or a country to read it in, and finds trunk zeros and
//! extensions. Stage two (`bare_digits`) only keeps the digits, as the platform's own libraries do. A number that
//! stage one cannot read still goes through stage two.

use std::str::FromStr as _;

use phonenumber::country::Id;

use super::VALUE_BYTES_MAX;
use super::dropped::DropReason;
use super::text::{is_space, trim};

/// The shortest number with its country code. The platform's server libraries refuse shorter ones.
const DIGITS_MIN: usize = 7;
/// The longest number of ITU-T E.164 and an international prefix, with room for a trunk zero.
const DIALLED_DIGITS_MAX: usize = 20;

/// The number in E.164 with its `+`, if it is one that can exist. A number without `+` is read as dialled in
/// `default_region` (an ISO 3166-1 alpha-2 code), and not at all without one. An extension is cut off.
#[must_use]
pub fn to_e164(input: &str, default_region: Option<&str>) -> Option<String> {
    if input.len() > VALUE_BYTES_MAX {
        return None;
    }
    let dialled = dialled(input)?;
    let number = understood(&dialled, default_region);
    // Two zeros stand for the plus in most of the world, also where the number is read by other rules.
    let abroad = || understood(&format!("+{}", dialled.strip_prefix("00")?), None);
    number.or_else(abroad)
}

fn understood(dialled: &str, default_region: Option<&str>) -> Option<String> {
    // With a region at hand the library would look for that region's trunk prefix even in a number that names its own.
    let region = if dialled.starts_with('+') {
        None
    } else {
        Some(Id::from_str(&default_region?.to_ascii_uppercase()).ok()?)
    };
    let number = phonenumber::parse(region, dialled).ok()?;
    phonenumber::is_valid(&number).then(|| number.format().mode(phonenumber::Mode::E164).to_string())
}

// The bare number as it would be keyed in: an optional `+` and digits. The library behind is given nothing else, so
// that no odd input reaches its grammar. Letters that are no extension make a number unreadable: a number that spells
// a word belongs to a company, not to a person.
fn dialled(input: &str) -> Option<String> {
    let text = trim(input);
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let number = &*text.to_lowercase();
    let number = ["ext", "x", "#", ";", ","]
        .iter()
        .fold(number, |number, mark| number.split_once(mark).map_or(number, |(before, _)| before));
    let mut dialled = String::with_capacity(number.len());
    for c in number.chars() {
        match c {
            '+' | '\u{ff0b}' if dialled.is_empty() => dialled.push('+'),
            _ if is_space(c) || is_separator(c) => {}
            _ => dialled.push(ascii_digit(c)?),
        }
    }
    (dialled.len() <= DIALLED_DIGITS_MAX && dialled.len() > 1).then_some(dialled)
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '(' | ')' | '/' | '[' | ']' | '~' | '\u{b7}' | '\u{200b}'..='\u{200f}'
        | '\u{2010}'..='\u{2015}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2212}' | '\u{ff0d}')
}

// Digits as phones of Arabic, Persian and East Asian locales type them.
fn ascii_digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

/// The ASCII digits without leading zeros.
pub(super) fn bare_digits(input: &str) -> Result<String, DropReason> {
    let digits: String = input.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Err(DropReason::PhoneWithoutDigits);
    }
    let number = digits.trim_start_matches('0');
    if number.len() < DIGITS_MIN { Err(DropReason::PhoneTooShort) } else { Ok(number.to_owned()) }
}

#[cfg(test)]
mod tests;
