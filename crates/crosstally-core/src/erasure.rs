//! Erasing a person: who is meant, which records speak of them, and what is left of such a record: that it was there, and
//! its money. Where the records are, and how often they must be looked at, is not known here.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::browser::BrowserEvent;
use crate::click::Click;
use crate::conversion::{Conversion, DedupeKey};
use crate::identity::{Contact, ContactIn, hash_contact};
use crate::ids::ClickId;
use crate::params::{Params, decode};
use crate::postback::Receipt;

mod left;
#[cfg(test)]
mod tests;

pub use left::{LABEL, click, conversion, event, receipt};

/// How an advertiser's own id of a person is called in links and calls that were not read by a contract.
const USER_NAMES: [&str; 7] =
    ["external_id", "external_ids", "user_id", "userid", "uid", "customer_id", "ga_user_id"];
/// The longest value that can name a person.
pub const MARK_BYTES_MAX: usize = 512;
/// Marks of one person that are looked for.
pub const MARKS_MAX: usize = 100;

/// A kind of mark by which a person is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A click id, ours or another tracker's.
    Click,
    /// The hash of an e-mail address, in any of the forms that platforms take.
    Contact,
    /// The advertiser's own id of the person.
    User,
    /// The name of a conversion.
    Conversion,
}

impl Mark {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Contact => "contact",
            Self::User => "user",
            Self::Conversion => "conversion",
        }
    }
}

/// Who is to be erased, by all marks that are known of them. It is kept sealed and for as long as it is needed; `Debug`
/// counts the marks instead of showing them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    clicks: BTreeSet<String>,
    contacts: BTreeSet<String>,
    users: BTreeSet<String>,
    /// Names of conversions that were found on the way.
    names: BTreeSet<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clicks, contacts, users, .. } = self;
        let counts = (clicks.len(), contacts.len(), users.len());
        write!(out, "Person({} clicks, {} contacts, {} users)", counts.0, counts.1, counts.2)
    }
}

impl Person {
    /// Adds a click id, ours or another tracker's.
    pub fn add_click(&mut self, id: &str) -> bool {
        let id = id.trim();
        // Ours are read in any case; those of others are told apart by it, and never longer than ours by chance.
        let id = ClickId::parse_unchecked(id).map_or_else(|_| id.to_owned(), |ours| ours.to_string());
        is_mark(&id) && self.clicks.insert(id)
    }

    /// Adds an e-mail address, or the hash of one; whether it is either.
    pub fn add_email(&mut self, email: &str) -> bool {
        let email = email.trim();
        if is_hash(email) {
            self.contacts.insert(email.to_ascii_lowercase());
            return true;
        }
        let hashes = email_hashes(email);
        let found = email.contains('@') && !hashes.is_empty();
        self.contacts.extend(hashes.into_iter().filter(|_| found));
        found
    }

    /// Adds the advertiser's own id of the person, with the hashes under which it is kept.
    pub fn add_user(&mut self, id: &str) -> bool {
        let id = id.trim();
        if !is_mark(id) {
            return false;
        }
        let given = ContactIn { external_id: vec![id.to_owned()], ..ContactIn::default() };
        let (Contact { external_id, exact_external_id, .. }, _) = hash_contact(&given, None, 0);
        self.contacts.extend(external_id.into_iter().chain(exact_external_id).filter(|hash| is_hash(hash)));
        self.users.insert(id.to_owned())
    }

    /// Adds the name of a conversion; whether it is new.
    pub fn add_name(&mut self, key: &DedupeKey) -> bool {
        self.names.insert(name_of(key))
    }

    /// Whether nobody is meant.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.marks().next().is_none()
    }

    /// All marks, each with its kind.
    pub fn marks(&self) -> impl Iterator<Item = (Mark, &str)> {
        let kinds = [(Mark::Click, &self.clicks), (Mark::Contact, &self.contacts), (Mark::User, &self.users)];
        kinds.into_iter().flat_map(|(kind, marks)| marks.iter().map(move |mark| (kind, mark.as_str())))
    }

    /// Which kinds of marks it has, in words.
    #[must_use]
    pub fn subject(&self) -> String {
        let kinds = [("click", &self.clicks), ("contact", &self.contacts), ("user", &self.users)];
        let named: Vec<&str> =
            kinds.iter().filter(|(_, marks)| !marks.is_empty()).map(|(kind, _)| *kind).collect();
        named.join(", ")
    }

    /// The clicks of ours among the marks.
    pub fn clicks(&self) -> impl Iterator<Item = ClickId> {
        self.clicks.iter().filter_map(|id| ClickId::parse_unchecked(id).ok())
    }

    /// The other trackers' click ids among the marks, and those of ours.
    pub fn click_texts(&self) -> impl Iterator<Item = &str> {
        self.clicks.iter().map(String::as_str)
    }

    /// Whether only the records around a click can be meant, so that clicks need not be searched by what they say.
    #[must_use]
    pub fn is_known_by_clicks_only(&self) -> bool {
        self.contacts.is_empty() && self.users.is_empty()
    }

    /// Whether a conversion is of this person.
    #[must_use]
    pub fn has_conversion(&self, conversion: &Conversion) -> bool {
        conversion.click.is_some_and(|click| self.has_click_id(click))
            || conversion.external_id.as_deref().is_some_and(|id| self.has_user(id))
            || self.has_contact(&conversion.contact)
            || !self.names.is_empty() && self.names.contains(&name_of(&conversion.key))
    }

    /// Whether a call speaks of this person, as far as it is kept.
    #[must_use]
    pub fn has_receipt(&self, receipt: &Receipt) -> bool {
        let read = |name: &str| receipt.read.get(name).and_then(Value::as_str);
        receipt.click.is_some_and(|click| self.has_click_id(click))
            || read("click_id").is_some_and(|id| self.has_click_text(id))
            || read("external_id").is_some_and(|id| self.has_user(id))
            || self.has_contact(&receipt.contact)
            || self.has_bytes(&receipt.query)
            || self.has_bytes(&receipt.body)
    }

    /// Whether a click is this person's.
    #[must_use]
    pub fn has_click(&self, click: &Click) -> bool {
        self.has_click_id(click.id) || self.has_bytes(click.query.as_bytes())
    }

    /// Whether an event of a browser is.
    #[must_use]
    pub fn has_browser_event(&self, event: &BrowserEvent) -> bool {
        self.has_click_id(event.click) || event.fields.iter().any(|(name, value)| self.has_value(name, value))
    }

    /// Whether bytes speak of this person: a query string, a form, JSON or any text.
    #[must_use]
    pub fn has_bytes(&self, raw: &[u8]) -> bool {
        if raw.is_empty() {
            return false;
        }
        self.has_words(&decode(raw).0) || self.has_user_in(raw)
    }

    fn has_user_in(&self, raw: &[u8]) -> bool {
        if self.users.is_empty() {
            return false;
        }
        match raw.trim_ascii_start().first() {
            Some(b'{' | b'[') => raw.split(|byte| *byte == b'\n').chain([raw]).any(|line| {
                serde_json::from_slice::<Value>(line).is_ok_and(|value| self.has_value("", &value))
            }),
            _ => Params::parse(raw).is_ok_and(|params| {
                params.iter().any(|param| is_user_name(&param.name) && self.has_user(&param.value))
            }),
        }
    }

    fn has_value(&self, name: &str, value: &Value) -> bool {
        match value {
            Value::Object(object) => object.iter().any(|(name, value)| self.has_value(name, value)),
            Value::Array(list) => list.iter().any(|value| self.has_value(name, value)),
            Value::String(text) => is_user_name(name) && self.has_user(text) || self.has_words(text),
            Value::Number(number) => is_user_name(name) && self.has_user(&number.to_string()),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Click ids and hashes are long enough to be none by chance, and e-mail addresses stand out.
    fn has_words(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let stands_in = |mark: &String| match ClickId::parse_unchecked(mark) {
            Ok(_) => lower.contains(mark.as_str()),
            Err(_) => text.split(|sign: char| !is_in_id(sign)).any(|word| word == mark),
        };
        self.contacts.iter().any(|hash| lower.contains(hash.as_str()))
            || self.clicks.iter().any(stands_in)
            || !self.contacts.is_empty() && emails(text).any(|email| self.has_email(email))
    }

    fn has_email(&self, email: &str) -> bool {
        email_hashes(email).iter().any(|hash| self.contacts.contains(hash))
    }

    fn has_click_id(&self, id: ClickId) -> bool {
        !self.clicks.is_empty() && self.clicks.contains(&id.to_string())
    }

    fn has_click_text(&self, id: &str) -> bool {
        let id = id.trim();
        self.clicks.contains(id) || self.clicks.contains(&id.to_ascii_lowercase())
    }

    fn has_user(&self, id: &str) -> bool {
        self.users.contains(id.trim())
    }

    fn has_contact(&self, contact: &Contact) -> bool {
        !self.contacts.is_empty() && contact.of_person().any(|hash| self.contacts.contains(hash))
    }
}

fn name_of(key: &DedupeKey) -> String {
    format!("{}\n{}", key.partner, key.key)
}

fn is_mark(text: &str) -> bool {
    (1..=MARK_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_user_name(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or(name);
    USER_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn is_in_id(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | ':')
}

fn email_hashes(email: &str) -> Vec<String> {
    let given = ContactIn { email: vec![email.to_owned()], ..ContactIn::default() };
    let (Contact { email, google_email, reddit_email, .. }, _) = hash_contact(&given, None, 0);
    email.into_iter().chain(google_email).chain(reddit_email).filter(|hash| is_hash(hash)).collect()
}

/// Whatever looks like an e-mail address in a text.
fn emails(text: &str) -> impl Iterator<Item = &str> {
    let in_name = |sign: char| sign.is_alphanumeric() || "._%+-'".contains(sign);
    let in_host = |sign: char| sign.is_alphanumeric() || ".-".contains(sign);
    text.match_indices('@').filter_map(move |(at, _)| {
        let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
        let name = before.len()
            - before.chars().rev().take_while(|sign| in_name(*sign)).map(char::len_utf8).sum::<usize>();
        let host = after.chars().take_while(|sign| in_host(*sign)).map(char::len_utf8).sum::<usize>();
        text.get(name..at + 1 + host)
            .map(|email| email.trim_end_matches('.'))
            .filter(|email| name < at && host > 0 && !email.is_empty())
    })
}
