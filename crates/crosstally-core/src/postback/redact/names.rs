//! Which names hold a secret or tell who somebody is, however they are spelled. Of values this knows nothing.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::config::Partner;
use crate::fields::{FIELDS, Field, FieldKind, SECRET_NAMES, TOKEN_PARAMS};
use crate::params::decode;

/// More names of secrets, which a contract may give to a field of its own.
const SECRET_WORDS: &[&str] = &["sign", "shasign", "hash", "securitycode"];
/// How such names end.
const SECRET_ENDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authkey",
    "signingkey",
    "authcode",
    "authorization",
    "bearer",
    "jwt",
    "sessionid",
    "sessionhash",
    "multipassidentifier",
    "hmac",
    "signature",
];
/// Names that hold contact values in other people's calls. Nothing is read from them.
const CONTACT_NAMES: &[&str] = &["mail", "em", "ph", "tel", "emails", "phones", "fname", "lname"];
/// How such names end.
const CONTACT_ENDS: &[&str] = &[
    "email",
    "address",
    "phone",
    "phonenumber",
    "mobile",
    "mobilenumber",
    "msisdn",
    "telephone",
    "firstname",
    "lastname",
    "fullname",
    "givenname",
    "familyname",
    "payername",
    "buyername",
    "contactname",
    "individualname",
    "businessname",
    "cardname",
    "cardholder",
    "cardnumber",
    "creditcardname",
    "creditcardnumber",
    "iban",
    "ssn",
    "taxnumber",
    "phoneno",
    "mobileno",
    "emailid",
    "surname",
    "customername",
    "custname",
    "birthday",
    "birthdate",
    "dob",
    "dateofbirth",
    "street",
    "postcode",
    "postalcode",
    "zipcode",
    "userip",
    "clientip",
    "browserip",
    "visitorip",
    "remoteip",
    "remoteaddr",
];
/// Parts of the names under which a person is described.
const PERSON_PATHS: &[&str] =
    &["customer", "address", "buyer", "payer", "billing", "shipping", "contact", "recipient"];
/// Names of such a description, without the digits behind them.
const PERSON_KEYS: &[&str] = &[
    "name",
    "names",
    "first",
    "last",
    "address",
    "street",
    "line",
    "postcode",
    "postalcode",
    "zipcode",
    "company",
    "latitude",
    "longitude",
    "ip",
    "fn",
    "ln",
    "ct",
    "zp",
    "db",
    "ge",
    "st",
];
/// Names under which the visitor is described, and nothing else.
const USER_PATHS: &[&str] = &["user", "userdata", "userinfo"];
/// Names in there that do not tell who somebody is.
const USER_TECHNICAL: &[&str] = &[
    "fbc",
    "fbp",
    "clientuseragent",
    "useragent",
    "id",
    "userid",
    "externalid",
    "leadid",
    "subscriptionid",
    "fbloginid",
    "clickid",
    "gclid",
    "gbraid",
    "wbraid",
    "ttclid",
    "ttp",
    "type",
    "locale",
    "language",
];

type Words = HashSet<&'static [u8]>;

fn words(lists: &[&[&'static str]]) -> Words {
    lists.iter().copied().flatten().map(|word| word.as_bytes()).collect()
}

static TECHNICAL: LazyLock<Words> = LazyLock::new(|| words(&[USER_TECHNICAL]));
static PERSON: LazyLock<Words> = LazyLock::new(|| words(&[PERSON_KEYS]));
/// An ending, and what it stands for.
type End = (&'static [u8], Stands);

/// Endings by their last letter: most names have none of these.
static ENDS: LazyLock<[Vec<End>; 256]> = LazyLock::new(|| {
    let mut by_letter = [const { Vec::new() }; 256];
    let secrets = SECRET_ENDS.iter().map(|end| (end.as_bytes(), Stands::Secret));
    let contacts = CONTACT_ENDS.iter().map(|end| (end.as_bytes(), Stands::Contact));
    for (end, stands) in secrets.chain(contacts) {
        if let Some(ends) = end.last().and_then(|letter| by_letter.get_mut(usize::from(*letter))) {
            ends.push((end, stands));
        }
    }
    by_letter
});
/// Fields that tell who somebody is.
static PERSONAL: LazyLock<Vec<&str>> = LazyLock::new(|| personal().map(|field| field.name).collect());
/// What whole names stand for.
static NAMES: LazyLock<HashMap<Vec<u8>, Stands>> = LazyLock::new(|| {
    let contacts = personal().flat_map(|field| field.accepted).chain(CONTACT_NAMES);
    let contacts = contacts.map(|name| (name, Stands::Contact));
    let secrets = SECRET_WORDS.iter().map(|name| (name, Stands::Secret));
    // The last one counts.
    let tokens = TOKEN_PARAMS.iter().chain(SECRET_NAMES).map(|name| (name, Stands::Token));
    let all = contacts.chain(secrets).chain(tokens);
    all.map(|(name, stands)| (Squeezed::of(name).bytes().to_vec(), stands)).collect()
});

fn personal() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind == FieldKind::Personal)
}

/// A name as it is compared: the letters and digits of its end, in lower case, without the number behind it.
struct Squeezed {
    bytes: [u8; Self::SIZE],
    begins: usize,
}

impl Squeezed {
    /// Longer than any name that is looked for.
    const SIZE: usize = 32;

    fn of(name: &str) -> Self {
        let mut squeezed = Self { bytes: [0; Self::SIZE], begins: Self::SIZE };
        for byte in name.bytes().rev().filter(u8::is_ascii_alphanumeric) {
            if squeezed.begins == Self::SIZE && byte.is_ascii_digit() {
                continue;
            }
            let Some(begins) = squeezed.begins.checked_sub(1) else { break };
            squeezed.begins = begins;
            if let Some(place) = squeezed.bytes.get_mut(begins) {
                *place = byte.to_ascii_lowercase();
            }
        }
        squeezed
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.begins..).unwrap_or_default()
    }

    fn is_in(&self, list: &[&str]) -> bool {
        list.iter().any(|word| word.as_bytes() == self.bytes())
    }

    fn holds_one_of(&self, list: &[&str]) -> bool {
        let bytes = self.bytes();
        list.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    }

    /// What it stands for by its ending.
    fn end(&self) -> Option<Stands> {
        let bytes = self.bytes();
        let ends = ENDS.get(usize::from(*bytes.last()?))?;
        // Whether a device is mobile tells nothing about anybody.
        let (_, stands) = ends.iter().find(|(end, _)| bytes.ends_with(end))?;
        (bytes != b"ismobile").then_some(*stands)
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stands {
    /// For something else.
    Open,
    /// For a contact value.
    Contact,
    /// For a secret, going by its ending.
    Secret,
    /// For a secret, whatever a contract says.
    Token,
}

fn stands(name: &str) -> Stands {
    let of = |part: &str| {
        let part = Squeezed::of(part);
        let whole = NAMES.get(part.bytes()).copied();
        whole.unwrap_or_else(|| part.end().unwrap_or(Stands::Open))
    };
    if name.contains('%') {
        // Encoded over again: whoever reads it so has the secret.
        return segments(&decode(name.as_bytes()).0).map(of).max().unwrap_or(Stands::Open);
    }
    segments(name).map(of).max().unwrap_or(Stands::Open)
}

/// A name, or the parts of one that is a path: `email[]`, `user[email]`, `data.user.email`. A semicolon parts names for
/// some senders.
fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.split(['[', ']', '.', ';'])
}

/// By whose contract a call is read, and whether its contact values are kept as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep<'a> {
    /// The partner whose call it is, if it is known.
    pub partner: Option<&'a Partner>,
    /// Whether the workspace keeps contact values. Secrets are never kept.
    pub contact: bool,
}

impl Keep<'_> {
    pub(super) fn masks(self, name: &str) -> bool {
        if self.contact { is_secret(name, self.partner) } else { is_masked(name, self.partner) }
    }
}

/// Whether a parameter's value must not be kept.
#[must_use]
pub fn is_masked(name: &str, partner: Option<&Partner>) -> bool {
    match stands(name) {
        Stands::Token => true,
        Stands::Secret | Stands::Contact => !is_of_contract(name, partner),
        Stands::Open => (is_of_person(name) || is_theirs(name, partner)) && !is_of_contract(name, partner),
    }
}

/// Whether a value of this name, or of a path that ends so, is masked in what is kept.
#[must_use]
pub fn is_kept_out(name: &str, partner: Option<&Partner>) -> bool {
    is_masked(name, partner) && !is_of_contract(name, partner)
}

/// Whether a name is that of a secret.
pub(super) fn is_secret(name: &str, partner: Option<&Partner>) -> bool {
    match stands(name) {
        Stands::Token => true,
        Stands::Secret => !is_of_contract(name, partner),
        Stands::Contact | Stands::Open => false,
    }
}

/// Whether the contract reads a contact value from a name, or from a part of it.
pub(super) fn is_theirs(name: &str, partner: Option<&Partner>) -> bool {
    let Some(partner) = partner else { return false };
    let is = |name: &str| {
        let mut names = PERSONAL.iter().flat_map(|field| partner.contract.params(field));
        names.any(|theirs| theirs.eq_ignore_ascii_case(name))
    };
    is(name) || name.contains(['[', '.', ';', ' ']) && segments(name).any(|part| is(part.trim()))
}

/// Whether a path leads to what describes a person. All that lies below such a path does so too.
fn is_of_person(path: &str) -> bool {
    if !path.contains(['[', '.']) {
        return false;
    }
    let (mut of_person, mut of_user) = (false, false);
    for part in segments(path) {
        let part = Squeezed::of(part);
        if part.bytes().is_empty() {
            continue;
        }
        if of_person && PERSON.contains(part.bytes()) {
            return true;
        }
        if of_user {
            return !TECHNICAL.contains(part.bytes());
        }
        of_person = of_person || part.holds_one_of(PERSON_PATHS);
        of_user = part.is_in(USER_PATHS);
    }
    false
}

/// The parameters from which the contract reads what is neither secret nor personal.
fn of_contract(partner: Option<&Partner>) -> impl Iterator<Item = &str> {
    let fields = FIELDS.iter().filter(|field| field.kind != FieldKind::Personal);
    let named = partner
        .into_iter()
        .flat_map(move |partner| fields.clone().flat_map(move |field| partner.contract.params(field.name)));
    let of_status = partner.into_iter().flat_map(|partner| partner.contract.status_with());
    let of_tests = partner.into_iter().flat_map(|partner| partner.contract.test_when().keys());
    named.chain(of_status).chain(of_tests).map(String::as_str)
}

/// Whether the contract reads something from a parameter that is neither secret nor personal, whatever its name.
pub(super) fn is_of_contract(name: &str, partner: Option<&Partner>) -> bool {
    of_contract(partner).any(|theirs| theirs.eq_ignore_ascii_case(name))
}

/// Whether it reads such a thing from below a path.
pub(super) fn reads_below(path: &str, partner: Option<&Partner>) -> bool {
    of_contract(partner).any(|theirs| {
        theirs.get(..path.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(path))
            && theirs.get(path.len()..).is_some_and(|rest| rest.starts_with(['.', '[']))
    })
}

/// Whether a parameter decides what is booked: it is kept as it came, whatever it looks like.
pub(super) fn is_key(name: &str, partner: Option<&Partner>) -> bool {
    FIELDS.iter().filter(|field| matches!(field.kind, FieldKind::Key | FieldKind::Money)).any(|field| {
        let theirs = partner.map_or(&[][..], |partner| partner.contract.params(field.name));
        field.accepted.iter().any(|ours| ours.eq_ignore_ascii_case(name))
            || theirs.iter().any(|theirs| theirs.eq_ignore_ascii_case(name))
    })
}
