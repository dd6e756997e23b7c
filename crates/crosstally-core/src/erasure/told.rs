//! What a call, a link or a document tells of who somebody is: values under the names that say so, and texts in which a mark
//! may stand that needs no name. A short id of another tracker is also an amount, an order or a publisher's number somewhere
//! else, so that it counts only where a click id stands.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use crate::click::AD_CLICK_PARAMS;
use crate::contract::{Contract, Encoding};
use crate::fields::field_named;
use crate::params::decode;
use crate::postback::{IMPORTED, Receipt, redact};

/// How an advertiser's own id of a person is called in links and calls, whatever a contract says.
const USER_NAMES: [&str; 7] =
    ["external_id", "external_ids", "user_id", "userid", "uid", "customer_id", "ga_user_id"];
/// How a click id is called wherever it stands.
const CLICK_NAMES: [&str; 2] = ["click_id", "clickid"];
/// Signs of an id that nobody has by chance, and how many of them are digits at least.
const RARE_SIGNS_MIN: usize = 20;
const RARE_DIGITS_MIN: usize = 4;

/// What a value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Says {
    /// A click's id.
    Click,
    /// The advertiser's own id of the person.
    User,
    /// The order's.
    Order,
    /// What happened.
    Event,
    /// When.
    Time,
}

/// The fields that say so.
const SAID_BY: [(Says, &str); 5] = [
    (Says::Click, "click_id"),
    (Says::User, "external_id"),
    (Says::Order, "transaction_id"),
    (Says::Event, "event"),
    (Says::Time, "event_time"),
];

/// A value, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told<'a> {
    /// It stands under a name that says so.
    Named(Says, &'a str),
    /// Any text.
    Text(&'a str),
}

/// Under which names what is said.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Whole names, in lower case. A name without a meaning is another field's.
    whole: HashMap<String, Vec<Says>>,
    encoding: Encoding,
}

impl Names {
    /// Those of click links, pages and texts; `more` are the parameters in which the sources' own click ids stand.
    #[must_use]
    pub fn of_links<'n>(more: impl Iterator<Item = &'n str>) -> Self {
        let mut names = Self::default();
        for name in AD_CLICK_PARAMS.iter().map(|known| known.name).chain(more) {
            names.add(name, Says::Click);
        }
        names
    }

    /// Those of a partner's calls: the accepted ones, and those of its contract. What the contract gives to a field is that
    /// field's alone.
    #[must_use]
    pub fn of_calls(contract: Option<&Contract>) -> Self {
        let mut names = Self::default();
        let theirs = contract.map(|contract| &contract.terms().params);
        for name in theirs.into_iter().flat_map(|params| params.values()).flatten() {
            names.whole.insert(name.to_ascii_lowercase(), Vec::new());
        }
        for (says, field) in SAID_BY {
            let accepted = field_named(field).map_or(&[][..], |field| field.accepted);
            for name in accepted {
                let is_taken = names.whole.get(*name).is_some_and(Vec::is_empty);
                if !is_taken {
                    names.add(name, says);
                }
            }
        }
        for (says, field) in SAID_BY {
            for name in contract.map_or(&[][..], |contract| contract.params(field)) {
                names.add(name, says);
            }
        }
        names.encoding = contract.map(Contract::encoding).unwrap_or_default();
        names
    }

    fn add(&mut self, name: &str, says: Says) {
        let all = self.whole.entry(name.to_ascii_lowercase()).or_default();
        if !all.contains(&says) {
            all.push(says);
        }
    }

    /// What a value of this name says, or of a path that ends so.
    fn says(&self, name: &str) -> Vec<Says> {
        let name = name.trim().to_ascii_lowercase();
        if let Some(says) = self.whole.get(&name) {
            return says.clone();
        }
        let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let last = name.split(['.', '[', ']']).rev().find(|part| !is_number(part)).unwrap_or_default();
        if CLICK_NAMES.contains(&last) {
            return vec![Says::Click];
        }
        if USER_NAMES.contains(&last) { vec![Says::User] } else { Vec::new() }
    }
}

/// Whether an id is long enough to be none by chance, wherever it stands.
#[must_use]
pub fn is_rare(id: &str) -> bool {
    let signs = id.bytes().filter(u8::is_ascii_alphanumeric).count();
    let digits = id.bytes().filter(u8::is_ascii_digit).count();
    signs >= RARE_SIGNS_MIN && digits >= RARE_DIGITS_MIN
}

/// The words of a text that may be ids.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_in_id = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | ':');
    text.split(move |sign: char| !is_in_id(sign)).filter(|word| !word.is_empty())
}

/// Hands over everything that a kept call tells, until `found` says that it is enough; whether it did.
pub fn of_receipt(receipt: &Receipt, names: &Names, found: &mut dyn FnMut(Told<'_>) -> bool) -> bool {
    for (field, says) in [("click_id", Says::Click), ("external_id", Says::User)] {
        if let Some(text) = receipt.read.get(field).and_then(Value::as_str)
            && found(Told::Named(says, text))
        {
            return true;
        }
    }
    // What had no encoding of its own was kept in ours.
    let in_ours = receipt.method == IMPORTED || receipt.content_type.ends_with(redact::FROM_PARTS);
    let encoding = if in_ours { Encoding::Once } else { names.encoding };
    receipt.headers.iter().any(|(name, value)| {
        let said = names.says(&format!("header:{name}"));
        said.into_iter().any(|says| found(Told::Named(says, value)))
    }) || read(&receipt.query, encoding, names, found)
        || read(&receipt.body, encoding, names, found)
}

/// The same of bytes: a query string, a form, JSON, lines of it, or any text.
pub fn of_bytes(raw: &[u8], names: &Names, found: &mut dyn FnMut(Told<'_>) -> bool) -> bool {
    read(raw, names.encoding, names, found)
}

/// The same of a value under its name.
pub fn of_value(path: &str, value: &Value, names: &Names, found: &mut dyn FnMut(Told<'_>) -> bool) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, value)| {
            let below =
                if path.is_empty() { Cow::Borrowed(key) } else { Cow::Owned(format!("{path}.{key}")) };
            of_value(&below, value, names, found)
        }),
        Value::Array(list) => list.iter().enumerate().any(|(at, item)| {
            let text = |key: &str| item.get(key).and_then(Value::as_str);
            // As shops send their own fields: `{"name": "click_id", "value": "x"}`.
            if let (Some(name), Some(value)) = (text("name").or_else(|| text("key")), text("value"))
                && of_pair(&format!("{path}[{name}]"), value, names, found)
            {
                return true;
            }
            // The rows of a list are calls of their own.
            let below = if path.is_empty() { String::new() } else { format!("{path}.{at}") };
            of_value(&below, item, names, found)
        }),
        Value::String(text) => of_pair(path, text, names, found) || found(Told::Text(text)),
        Value::Number(number) => of_pair(path, &number.to_string(), names, found),
        Value::Null | Value::Bool(_) => false,
    }
}

fn read(raw: &[u8], encoding: Encoding, names: &Names, found: &mut dyn FnMut(Told<'_>) -> bool) -> bool {
    if raw.is_empty() {
        return false;
    }
    if found(Told::Text(&decode(raw).0)) {
        return true;
    }
    if matches!(raw.trim_ascii_start().first(), Some(b'{' | b'[')) {
        if let Ok(document) = serde_json::from_slice::<Value>(raw) {
            return of_value("", &document, names, found);
        }
        // As it is written too: a plus is a blank in a form only.
        return found(Told::Text(&String::from_utf8_lossy(raw)))
            || raw.split(|byte| *byte == b'\n').any(|line| {
                serde_json::from_slice::<Value>(line).is_ok_and(|value| of_value("", &value, names, found))
            });
    }
    raw.split(|byte| *byte == b'&').any(|piece| {
        let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let (name, value) = (piece.get(..at).unwrap_or_default(), piece.get(at + 1..).unwrap_or_default());
        let (name, value) = (decoded(name, encoding), decoded(value, encoding));
        of_pair(&name, &value, names, found)
            || encoding != Encoding::Once && found(Told::Text(&value))
            || is_document(&value) && of_bytes(value.as_bytes(), names, found)
    })
}

/// A document inside a value is read once more, whatever it is; what is decoded already becomes shorter each time.
fn is_document(value: &str) -> bool {
    matches!(value.trim_start().as_bytes().first(), Some(b'{' | b'['))
}

/// A value under its name, and the pairs of a URL that stands in it.
fn of_pair(name: &str, value: &str, names: &Names, found: &mut dyn FnMut(Told<'_>) -> bool) -> bool {
    if names.says(name).into_iter().any(|says| found(Told::Named(says, value))) {
        return true;
    }
    let pairs = value.split(['?', '&', '#', ';', '"', ' ']).filter_map(|piece| piece.split_once('='));
    pairs.into_iter().any(|(name, value)| {
        let name = name.trim().to_ascii_lowercase();
        let says = match name.as_str() {
            name if CLICK_NAMES.contains(&name) => Says::Click,
            name if USER_NAMES.contains(&name) => Says::User,
            _ => return false,
        };
        found(Told::Named(says, &decode(value.as_bytes()).0))
    })
}

fn decoded(raw: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Once => decode(raw).0,
        Encoding::Twice => decode(decode(raw).0.as_bytes()).0,
        Encoding::Never => String::from_utf8_lossy(raw).into_owned(),
    }
}
