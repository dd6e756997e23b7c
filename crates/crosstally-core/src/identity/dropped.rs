//! Why a contact value was not used. The reason never holds the value.

use std::fmt;

/// One value that was left out: the field it was given for, and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The field's name as in a server event's `user` object.
    pub field: &'static str,
    /// Why.
    pub reason: DropReason,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason.code())
    }
}

/// Why a contact value has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Nothing is left after normalising.
    Blank,
    /// Longer than [`super::VALUE_BYTES_MAX`].
    TooLong,
    /// More values than [`super::VALUES_PER_FIELD_MAX`] for one field.
    TooMany,
    /// Not `name@host.tld` in plain ASCII.
    NotAnEmail,
    /// No ASCII digit in a phone number.
    PhoneWithoutDigits,
    /// Fewer digits than the shortest number with its country code.
    PhoneTooShort,
    /// None of the words for female or male.
    UnknownGender,
    /// Not a date in a form that is read without guessing.
    NotADate,
    /// A date that no calendar has, or a year before 1900 or after this year.
    ImpossibleDate,
    /// Neither an ISO 3166-1 code nor an English name of a country.
    UnknownCountry,
    /// A postal code of fewer than two characters.
    PostalCodeTooShort,
    /// Not a day of the month.
    NotADay,
    /// Not a month.
    NotAMonth,
    /// Not a year of four digits.
    NotAYear,
}

impl DropReason {
    /// The stable code that logs, answers and pages show.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many_values",
            Self::NotAnEmail => "not_an_email",
            Self::PhoneWithoutDigits => "phone_without_digits",
            Self::PhoneTooShort => "phone_too_short",
            Self::UnknownGender => "unknown_gender",
            Self::NotADate => "not_a_date",
            Self::ImpossibleDate => "impossible_date",
            Self::UnknownCountry => "unknown_country",
            Self::PostalCodeTooShort => "postal_code_too_short",
            Self::NotADay => "not_a_day",
            Self::NotAMonth => "not_a_month",
            Self::NotAYear => "not_a_year",
        }
    }
}
