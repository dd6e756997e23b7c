//! The normal forms that Meta's Conversions API hashes, field by field.
//!
//! Where Meta's documentation and its own libraries say the same, so does this module, to the byte. Where they differ,
//! it follows the documentation and drops what only a guess could repair. Every normal form is its own normal form.

use std::fmt;

use super::dropped::DropReason;
use super::text::{is_hex, is_space, trim, without_space};
use super::{VALUE_BYTES_MAX, country, date, email, gender, phone, place, sha256_hex};

/// A key of `user_data` whose values are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// E-mail address.
    Em,
    /// Phone number with country code.
    Ph,
    /// First name.
    Fn,
    /// Last name.
    Ln,
    /// Gender.
    Ge,
    /// Date of birth.
    Db,
    /// City.
    Ct,
    /// State or province.
    St,
    /// Postal code.
    Zp,
    /// Country.
    Country,
    /// The advertiser's own id of the person.
    ExternalId,
    /// First five letters of the first name.
    F5first,
    /// First five letters of the last name.
    F5last,
    /// Initial of the first name.
    Fi,
    /// Day of birth.
    Dobd,
    /// Month of birth.
    Dobm,
    /// Year of birth.
    Doby,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 17] = [
        Self::Em,
        Self::Ph,
        Self::Fn,
        Self::Ln,
        Self::Ge,
        Self::Db,
        Self::Ct,
        Self::St,
        Self::Zp,
        Self::Country,
        Self::ExternalId,
        Self::F5first,
        Self::F5last,
        Self::Fi,
        Self::Dobd,
        Self::Dobm,
        Self::Doby,
    ];

    /// The name in a request's `user_data`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Em => "em",
            Self::Ph => "ph",
            Self::Fn => "fn",
            Self::Ln => "ln",
            Self::Ge => "ge",
            Self::Db => "db",
            Self::Ct => "ct",
            Self::St => "st",
            Self::Zp => "zp",
            Self::Country => "country",
            Self::ExternalId => "external_id",
            Self::F5first => "f5first",
            Self::F5last => "f5last",
            Self::Fi => "fi",
            Self::Dobd => "dobd",
            Self::Dobm => "dobm",
            Self::Doby => "doby",
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.key() == key)
    }
}

/// A value in its normal form. Its `Debug` output does not show the value.
#[derive(Clone, PartialEq, Eq)]
pub enum Normal {
    /// The text to hash; never empty.
    Text(String),
    /// Already hashed by the sender: sent as it is.
    Hashed(String),
}

impl Normal {
    /// The normalised text, or the sender's hash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Hashed(text) => text,
        }
    }

    /// What is sent: the hash of the text, or the sender's own hash.
    #[must_use]
    pub fn into_sent(self) -> String {
        match self {
            Self::Text(text) => sha256_hex(&text),
            Self::Hashed(hash) => hash,
        }
    }
}

impl fmt::Debug for Normal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Hashed(_) => "Hashed(..)",
        })
    }
}

/// The normal form of a value, or why it has none. `today_year` is the last year that a person can be born in.
///
/// # Errors
/// The reason why the value must be left out.
pub fn check(field: Field, input: &str, today_year: i16) -> Result<Normal, DropReason> {
    if input.len() > VALUE_BYTES_MAX {
        return Err(DropReason::TooLong);
    }
    let trimmed = trim(input);
    if trimmed.is_empty() {
        return Err(DropReason::Blank);
    }
    if let Some(hash) = already_hashed(trimmed) {
        return Ok(Normal::Hashed(hash));
    }
    let text = match field {
        Field::Em => email::plain(trimmed).ok_or(DropReason::NotAnEmail)?,
        Field::Ph => phone::bare_digits(trimmed)?,
        Field::Fn | Field::Ln => name(trimmed),
        Field::Ge => gender::letter(&trimmed.to_lowercase()).ok_or(DropReason::UnknownGender)?.to_owned(),
        Field::Db => date::compact(trimmed, today_year)?,
        Field::Ct => place::city(trimmed),
        Field::St => place::state(trimmed),
        Field::Zp => place::postal_code(trimmed).ok_or(DropReason::PostalCodeTooShort)?,
        Field::Country => country::from_code_or_name(trimmed).ok_or(DropReason::UnknownCountry)?.to_owned(),
        Field::ExternalId => without_space(trimmed).to_lowercase(),
        Field::F5first | Field::F5last => first_letters(trimmed, 5),
        Field::Fi => first_letters(trimmed, 1),
        Field::Dobd => two_digits(trimmed, 31).ok_or(DropReason::NotADay)?,
        Field::Dobm => two_digits(trimmed, 12).ok_or(DropReason::NotAMonth)?,
        Field::Doby => four_digits(trimmed).ok_or(DropReason::NotAYear)?,
    };
    if text.is_empty() { Err(DropReason::Blank) } else { Ok(Normal::Text(text)) }
}

/// The normal form of a value, if it has one.
#[must_use]
pub fn normalise(field: Field, input: &str, today_year: i16) -> Option<Normal> {
    check(field, input, today_year).ok()
}

/// What is sent for a value: SHA-256 of its normal form, or the sender's own hash.
#[must_use]
pub fn hashed(field: Field, input: &str, today_year: i16) -> Option<String> {
    normalise(field, input, today_year).map(Normal::into_sent)
}

/// Every form of a value that is worth sending, the documented one first. Empty if the value has no normal form.
///
/// Names have a second one: Meta documents them without punctuation, while its server libraries only trim them and
/// make them lower case, and a list may hold both.
#[must_use]
pub fn hashed_forms(field: Field, input: &str, today_year: i16) -> Vec<String> {
    checked_forms(field, input, today_year).unwrap_or_default()
}

pub(super) fn checked_forms(field: Field, input: &str, today_year: i16) -> Result<Vec<String>, DropReason> {
    let normal = check(field, input, today_year)?;
    let plainer = match (&normal, field) {
        (Normal::Text(text), Field::Fn | Field::Ln) => {
            Some(plain_name(input)).filter(|plain| plain != text).map(|plain| sha256_hex(&plain))
        }
        _ => None,
    };
    Ok(std::iter::once(normal.into_sent()).chain(plainer).collect())
}

/// A name trimmed and in lower case, its punctuation kept.
pub(super) fn plain_name(input: &str) -> String {
    trim(input).to_lowercase()
}

// A digest is told by its looks alone, as in the platform's own libraries: SHA-256 or MD5 in hexadecimal, the former
// also with the suffix that the platform's parameter builder puts behind it. The suffix is case-sensitive, so that
// form is left untouched.
pub(super) fn already_hashed(trimmed: &str) -> Option<String> {
    if is_hex(trimmed, 64) || is_hex(trimmed, 32) {
        return Some(trimmed.to_ascii_lowercase());
    }
    let (digest, suffix) = trimmed.split_once('.')?;
    (is_hex(digest, 64) && is_builder_suffix(suffix)).then(|| trimmed.to_owned())
}

fn is_builder_suffix(suffix: &str) -> bool {
    suffix.len() == 8 && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

// Only ASCII punctuation goes: an apostrophe or dash of another kind stays, as in all of the platform's libraries.
fn name(input: &str) -> String {
    let letters: String = input.chars().filter(|c| !(c.is_ascii_punctuation() || is_space(*c))).collect();
    letters.to_lowercase()
}

fn first_letters(input: &str, count: usize) -> String {
    trim(&input.to_lowercase().chars().take(count).collect::<String>()).to_owned()
}

fn two_digits(input: &str, max: u8) -> Option<String> {
    let number: u8 = digits_of_length(input, 1..=2)?.parse().ok()?;
    (1..=max).contains(&number).then(|| format!("{number:02}"))
}

fn four_digits(input: &str) -> Option<String> {
    digits_of_length(input, 4..=4).map(str::to_owned)
}

fn digits_of_length(input: &str, length: std::ops::RangeInclusive<usize>) -> Option<&str> {
    (length.contains(&input.len()) && input.bytes().all(|b| b.is_ascii_digit())).then_some(input)
}

#[cfg(test)]
mod tests;
