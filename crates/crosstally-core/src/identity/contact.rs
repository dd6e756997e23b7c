//! One person's contact values: as given ([`ContactIn`]) and as kept ([`Contact`]).

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::dropped::{DropReason, Dropped};
use super::meta::{self, Field};
use super::text::{is_hex, trim};
use crate::consent;

use super::{VALUE_BYTES_MAX, country, google, phone, reddit, sha256_hex, tiktok};

/// Values of one field that are read; the rest is dropped.
pub const VALUES_PER_FIELD_MAX: usize = 10;
/// Hashes of one field that are kept when a person's values come bit by bit.
pub const FORMS_PER_FIELD_MAX: usize = 20;

/// Contact values in the clear, as a sender gave them. It lives as long as one request: it has no stored form, and its
/// `Debug` output counts the values instead of showing them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ContactIn {
    /// E-mail addresses.
    pub email: Vec<String>,
    /// Phone numbers.
    pub phone: Vec<String>,
    /// First names.
    pub first_name: Vec<String>,
    /// Last names.
    pub last_name: Vec<String>,
    /// Genders.
    pub gender: Vec<String>,
    /// Dates of birth.
    pub birthdate: Vec<String>,
    /// Cities.
    pub city: Vec<String>,
    /// States or provinces.
    pub state: Vec<String>,
    /// Postal codes.
    pub zip: Vec<String>,
    /// Countries.
    pub country: Vec<String>,
    /// The advertiser's own ids of the person.
    pub external_id: Vec<String>,
}

impl ContactIn {
    fn fields(&self) -> [(&'static str, Field, &[String]); 11] {
        [
            ("email", Field::Em, &self.email),
            ("phone", Field::Ph, &self.phone),
            ("first_name", Field::Fn, &self.first_name),
            ("last_name", Field::Ln, &self.last_name),
            ("gender", Field::Ge, &self.gender),
            ("birthdate", Field::Db, &self.birthdate),
            ("city", Field::Ct, &self.city),
            ("state", Field::St, &self.state),
            ("zip", Field::Zp, &self.zip),
            ("country", Field::Country, &self.country),
            ("external_id", Field::ExternalId, &self.external_id),
        ]
    }
}

impl fmt::Debug for ContactIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ContactIn");
        for (name, _, values) in self.fields() {
            shown.field(name, &values.len());
        }
        shown.finish()
    }
}

/// One person's contact values in every form that a platform takes, hashed; safe to store, still never logged. Its
/// `Debug` output counts the hashes instead of showing them.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// E-mail addresses trimmed and in lower case: what every platform but Google and Reddit takes.
    #[serde(rename = "em", skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// Phone numbers as digits alone.
    #[serde(rename = "ph", skip_serializing_if = "Vec::is_empty")]
    pub phone: Vec<String>,
    /// First names, without punctuation and, where that differs, with it.
    #[serde(rename = "fn", skip_serializing_if = "Vec::is_empty")]
    pub first_name: Vec<String>,
    /// Last names, without punctuation and, where that differs, with it.
    #[serde(rename = "ln", skip_serializing_if = "Vec::is_empty")]
    pub last_name: Vec<String>,
    /// `f` or `m`.
    #[serde(rename = "ge", skip_serializing_if = "Vec::is_empty")]
    pub gender: Vec<String>,
    /// Dates of birth as `YYYYMMDD`.
    #[serde(rename = "db", skip_serializing_if = "Vec::is_empty")]
    pub birthdate: Vec<String>,
    /// Cities.
    #[serde(rename = "ct", skip_serializing_if = "Vec::is_empty")]
    pub city: Vec<String>,
    /// States or provinces.
    #[serde(rename = "st", skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<String>,
    /// Postal codes.
    #[serde(rename = "zp", skip_serializing_if = "Vec::is_empty")]
    pub zip: Vec<String>,
    /// ISO 3166-1 alpha-2 codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    /// The advertiser's own ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_id: Vec<String>,
    /// Phone numbers in E.164 with the `+`, of those that could be understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub e164_phone: Vec<String>,
    /// E-mail addresses by Google's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub google_email: Vec<String>,
    /// Phone numbers by Google's rules: E.164 where the number could be understood, else a `+` and its digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub google_phone: Vec<String>,
    /// First names by Google's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub google_first_name: Vec<String>,
    /// Last names by Google's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub google_last_name: Vec<String>,
    /// E-mail addresses by Reddit's rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reddit_email: Vec<String>,
    /// Phone numbers by TikTok's rules, where that differs from E.164.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiktok_phone: Vec<String>,
    /// The advertiser's own ids as given but for spaces around them, where that differs: in capitals, for one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exact_external_id: Vec<String>,
}

impl Contact {
    /// Whether nothing is known of the person.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a country of the person's is in Europe, as far as consent goes. The hashes of so few codes are told apart.
    #[must_use]
    pub fn is_european(&self) -> bool {
        static HASHES: LazyLock<HashSet<String>> =
            LazyLock::new(|| consent::european_countries().map(sha256_hex).collect());
        self.country.iter().any(|hash| HASHES.contains(hash))
    }

    /// The hashes that are of one person alone: e-mail addresses and the advertiser's own ids.
    pub fn of_person(&self) -> impl Iterator<Item = &String> {
        let lists =
            [&self.email, &self.google_email, &self.reddit_email, &self.external_id, &self.exact_external_id];
        lists.into_iter().flatten()
    }

    /// Meta's fields that have a value.
    pub fn meta(&self) -> impl Iterator<Item = (Field, &[String])> {
        [
            (Field::Em, &self.email),
            (Field::Ph, &self.phone),
            (Field::Fn, &self.first_name),
            (Field::Ln, &self.last_name),
            (Field::Ge, &self.gender),
            (Field::Db, &self.birthdate),
            (Field::Ct, &self.city),
            (Field::St, &self.state),
            (Field::Zp, &self.zip),
            (Field::Country, &self.country),
            (Field::ExternalId, &self.external_id),
        ]
        .into_iter()
        .filter(|(_, hashes)| !hashes.is_empty())
        .map(|(field, hashes)| (field, hashes.as_slice()))
    }

    /// Adds what another record knows of the same person: its hashes that are not there yet, behind those that are, up
    /// to [`FORMS_PER_FIELD_MAX`] a field.
    pub fn add_missing(&mut self, other: &Self) {
        for (mine, theirs) in self.lists_mut().into_iter().zip(other.lists()) {
            add_all(mine, theirs.iter().cloned());
        }
    }

    fn lists(&self) -> [&Vec<String>; 19] {
        [
            &self.email,
            &self.phone,
            &self.first_name,
            &self.last_name,
            &self.gender,
            &self.birthdate,
            &self.city,
            &self.state,
            &self.zip,
            &self.country,
            &self.external_id,
            &self.e164_phone,
            &self.google_email,
            &self.google_phone,
            &self.google_first_name,
            &self.google_last_name,
            &self.reddit_email,
            &self.tiktok_phone,
            &self.exact_external_id,
        ]
    }

    // In the same order as `lists`.
    fn lists_mut(&mut self) -> [&mut Vec<String>; 19] {
        [
            &mut self.email,
            &mut self.phone,
            &mut self.first_name,
            &mut self.last_name,
            &mut self.gender,
            &mut self.birthdate,
            &mut self.city,
            &mut self.state,
            &mut self.zip,
            &mut self.country,
            &mut self.external_id,
            &mut self.e164_phone,
            &mut self.google_email,
            &mut self.google_phone,
            &mut self.google_first_name,
            &mut self.google_last_name,
            &mut self.reddit_email,
            &mut self.tiktok_phone,
            &mut self.exact_external_id,
        ]
    }

    fn add(&mut self, field: Field, value: &str, default_region: Option<&str>, forms: Vec<String>) {
        let list = match field {
            Field::Em => {
                add_all(&mut self.google_email, sha256_form(value, google::email));
                add_all(&mut self.reddit_email, sha256_form(value, reddit::email));
                &mut self.email
            }
            Field::Ph => {
                self.add_understood_phone(value, default_region);
                &mut self.phone
            }
            Field::Fn => {
                add_all(&mut self.google_first_name, sha256_form(value, google::name));
                &mut self.first_name
            }
            Field::Ln => {
                add_all(&mut self.google_last_name, sha256_form(value, google::name));
                &mut self.last_name
            }
            Field::Ge => &mut self.gender,
            Field::Db => &mut self.birthdate,
            Field::Ct => &mut self.city,
            Field::St => &mut self.state,
            Field::Zp => &mut self.zip,
            Field::Country => &mut self.country,
            Field::ExternalId => {
                // An id of 32 digits is an id, not somebody's hash of it.
                let exact = match trim(value) {
                    hash if is_hex(hash, 64) => Some(hash.to_ascii_lowercase()),
                    id => Some(sha256_hex(id)),
                };
                add_all(&mut self.exact_external_id, exact.filter(|hash| !forms.contains(hash)));
                &mut self.external_id
            }
            // Pieces of names and dates are not gathered from senders.
            Field::F5first | Field::F5last | Field::Fi | Field::Dobd | Field::Dobm | Field::Doby => return,
        };
        add_all(list, forms);
    }

    // What no other platform takes, Google's own formatter still makes something of.
    fn add_loose(&mut self, field: Field, value: &str) {
        match field {
            Field::Em => add_all(&mut self.google_email, sha256_form(value, google::email)),
            Field::Ph => add_all(&mut self.google_phone, sha256_form(value, google::phone)),
            _ => {}
        }
    }

    // A number that the sender hashed is in an unknown form: it is passed on only where the sender meant it to go.
    fn add_understood_phone(&mut self, value: &str, default_region: Option<&str>) {
        if is_digest(value) {
            return;
        }
        let e164 = phone::to_e164(value, default_region);
        add_all(&mut self.e164_phone, e164.as_deref().map(sha256_hex));
        let national = e164.as_deref().and_then(tiktok::phone);
        add_all(&mut self.tiktok_phone, national.map(sha256_hex));
        add_all(&mut self.google_phone, e164.or_else(|| google::phone(value)).as_deref().map(sha256_hex));
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.meta().map(|(field, hashes)| (field.key(), hashes.len()))).finish()
    }
}

/// Hashes a person's contact values into every form that a platform takes, and tells which values were left out.
///
/// A phone number is read as dialled in `default_region` (an ISO 3166-1 alpha-2 code) if it has no `+`. `today_year`
/// bounds the date of birth. Values that are blank count as not given.
#[must_use]
pub fn hash_contact(
    given: &ContactIn,
    default_region: Option<&str>,
    today_year: i16,
) -> (Contact, Vec<Dropped>) {
    let mut contact = Contact::default();
    let mut dropped = Vec::new();
    for (name, field, values) in given.fields() {
        for value in values.iter().take(VALUES_PER_FIELD_MAX).filter(|value| !is_blank(value)) {
            match forms(field, value, default_region, today_year) {
                Ok(forms) => contact.add(field, value, default_region, forms),
                Err(reason) => {
                    contact.add_loose(field, value);
                    dropped.push(Dropped { field: name, reason });
                }
            }
        }
        if values.len() > VALUES_PER_FIELD_MAX {
            dropped.push(Dropped { field: name, reason: DropReason::TooMany });
        }
    }
    (contact, dropped)
}

fn is_blank(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX && trim(value).is_empty()
}

fn forms(
    field: Field,
    value: &str,
    default_region: Option<&str>,
    today_year: i16,
) -> Result<Vec<String>, DropReason> {
    let plain = meta::checked_forms(field, value, today_year);
    if plain == Err(DropReason::UnknownCountry) {
        // What people write for a country is told before any platform's form of it.
        return country::from_any_name(value).map(|code| vec![sha256_hex(code)]).map_or(plain, Ok);
    }
    if field != Field::Ph || is_digest(value) {
        return plain;
    }
    let Some(e164) = phone::to_e164(value, default_region) else { return plain };
    let understood = sha256_hex(e164.trim_start_matches('+'));
    match plain {
        // A national number's bare digits are another person's number, or nobody's.
        Ok(_) if !trim(value).starts_with('+') => Ok(vec![understood]),
        // Trunk zeros and extensions stay in the form that the platform's own libraries send, so both go.
        Ok(mut forms) => {
            add_all(&mut forms, [understood]);
            Ok(forms)
        }
        Err(_) => Ok(vec![understood]),
    }
}

// Other platforms than Meta take SHA-256 alone, and from a sender who hashed the value it can only be passed on.
fn sha256_form(value: &str, normalise: fn(&str) -> Option<String>) -> Option<String> {
    let trimmed = trim(value);
    if is_hex(trimmed, 64) {
        return Some(trimmed.to_ascii_lowercase());
    }
    if is_digest(value) { None } else { normalise(value).as_deref().map(sha256_hex) }
}

fn is_digest(value: &str) -> bool {
    meta::already_hashed(trim(value)).is_some()
}

fn add_all(list: &mut Vec<String>, hashes: impl IntoIterator<Item = String>) {
    for hash in hashes {
        if list.len() < FORMS_PER_FIELD_MAX && !list.contains(&hash) {
            list.push(hash);
        }
    }
}

#[cfg(test)]
mod tests;
