//! Erasing a person: who is meant, which records speak of them, and what is left of such a record: that it was there, and
//! its money. Where the records are, and how often they must be looked at, is not known here.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::browser::BrowserEvent;
use crate::click::Click;
use crate::conversion::{Conversion, DedupeKey};
use crate::identity::{Contact, ContactIn, hash_contact};
use crate::ids::ClickId;
use crate::postback::Receipt;

mod left;
#[cfg(test)]
mod tests;
pub mod told;

pub use left::{LABEL, click, conversion, event, order, receipt};
pub use told::Names;

use told::{Says, Told};

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
    /// The order that conversions were about, whatever else their names are made of.
    Order,
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
            Self::Order => "order",
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
    /// Other trackers' ids of clicks that were found on the way. Calls hand them back; in links they may be anybody's.
    aliases: BTreeSet<String>,
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
        // Ours are read in any case; those of others are told apart by it.
        let id = ClickId::parse_unchecked(id).map_or_else(|_| id.to_owned(), |ours| ours.to_string());
        is_mark(&id) && self.clicks.insert(id)
    }

    /// Adds another tracker's id of a click that was found; whether it is new.
    pub fn add_alias(&mut self, id: &str) -> bool {
        is_mark(id.trim()) && self.aliases.insert(id.trim().to_owned())
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

    /// The marks that another one has not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let left = |own: &BTreeSet<String>, others| own.difference(others).cloned().collect();
        Self {
            clicks: left(&self.clicks, &other.clicks),
            contacts: left(&self.contacts, &other.contacts),
            users: left(&self.users, &other.users),
            aliases: left(&self.aliases, &other.aliases),
            names: left(&self.names, &other.names),
        }
    }

    /// Whether only a conversion can have a mark of it: no text speaks of a name.
    #[must_use]
    pub fn is_known_by_names_only(&self) -> bool {
        self.is_nobody() && self.aliases.is_empty()
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
        let all_ours = self.clicks.iter().all(|id| ClickId::parse_unchecked(id).is_ok());
        self.contacts.is_empty() && self.users.is_empty() && all_ours
    }

    /// Whether a conversion is of this person.
    #[must_use]
    pub fn has_conversion(&self, conversion: &Conversion) -> bool {
        conversion.click.is_some_and(|click| self.has_click_id(click))
            || conversion.external_id.as_deref().is_some_and(|id| self.has_user(id))
            || self.has_contact(&conversion.contact)
            || !self.names.is_empty() && self.names.contains(&name_of(&conversion.key))
    }

    /// Whether a call speaks of this person, as far as it is kept. `names` are those of its partner's calls.
    #[must_use]
    pub fn has_receipt(&self, receipt: &Receipt, names: &Names) -> bool {
        receipt.click.is_some_and(|click| self.has_click_id(click))
            || self.has_contact(&receipt.contact)
            || told::of_receipt(receipt, names, &mut |told| self.is_told(told, true))
    }

    /// Whether a click is this person's. `names` are those of click links.
    #[must_use]
    pub fn has_click(&self, click: &Click, names: &Names) -> bool {
        let query = click.query.as_bytes();
        self.has_click_id(click.id) || told::of_bytes(query, names, &mut |told| self.is_told(told, false))
    }

    /// Whether an event of a browser is.
    #[must_use]
    pub fn has_browser_event(&self, event: &BrowserEvent, names: &Names) -> bool {
        let mut fields = event.fields.iter();
        let is_told = &mut |told: Told<'_>| self.is_told(told, false);
        self.has_click_id(event.click)
            || fields.any(|(name, value)| told::of_value(name, value, names, is_told))
    }

    /// Whether bytes speak of this person: a query string, a form, JSON or any text.
    #[must_use]
    pub fn has_bytes(&self, raw: &[u8], names: &Names) -> bool {
        told::of_bytes(raw, names, &mut |told| self.is_told(told, true))
    }

    fn is_told(&self, told: Told<'_>, by_alias: bool) -> bool {
        match told {
            Told::Named(Says::Click, text) => {
                self.has_click_text(text) || by_alias && self.aliases.contains(text.trim())
            }
            Told::Named(Says::User, text) => self.has_user(text),
            Told::Named(Says::Order | Says::Event | Says::Time, _) => false,
            Told::Text(text) => self.has_words(text),
        }
    }

    /// Ids of ours, hashes and long ids of others are none by chance, and e-mail addresses stand out.
    fn has_words(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let stands_in = |mark: &String| match ClickId::parse_unchecked(mark) {
            Ok(_) => lower.contains(mark.as_str()),
            Err(_) => told::is_rare(mark) && told::words(text).any(|word| word == mark),
        };
        self.contacts.iter().any(|hash| lower.contains(hash.as_str()))
            || self.clicks.iter().chain(&self.aliases).any(stands_in)
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

/// The hashes by which the e-mail addresses in a text are known, and what may be such a hash itself.
pub fn contact_marks(text: &str) -> impl Iterator<Item = String> {
    let words = told::words(text).filter(|word| is_hash(word)).map(str::to_ascii_lowercase);
    words.chain(emails(text).flat_map(email_hashes))
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
