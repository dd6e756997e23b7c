//! `user_data`: what must be hashed is, what must not be is not, and there is enough of it to recognise somebody.

use std::net::IpAddr;

use serde_json::Value;

use super::part::Part;
use crate::meta::rule::{Broken, Rule};

/// Contact keys: SHA-256 or MD5 in lower-case hexadecimal, one or a list.
const HASHED: &[&str] = &[
    "em", "ph", "ge", "db", "ln", "fn", "ct", "st", "zp", "country", "f5first", "f5last", "fi", "dobd",
    "dobm", "doby",
];

/// Ids that Meta itself handed out: plain, or they are useless.
const PLAIN_IDS: &[&str] = &[
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
];

/// Keys with rules of their own.
const OTHERS: &[&str] = &["external_id", "client_ip_address", "client_user_agent", "fbc", "fbp"];

/// Combinations that fit too many people: all of these keys together, and any part of them, are not enough.
const TOO_BROAD: &[&[&str]] = &[
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

/// Extra pieces of names and dates that help a match but never make one.
const PIECES: &[&str] = &["f5first", "f5last", "fi", "dobd", "dobm", "doby"];

/// Checks `user_data`. The warnings name keys that Meta does not know.
pub(crate) fn check(user: &Part<'_>) -> Result<Vec<String>, Broken> {
    for key in HASHED {
        each_text(user, key, |text| is_hashed(text).then_some(()).ok_or_else(|| not_hashed(user, key)))?;
    }
    each_text(user, "external_id", |text| {
        if text.trim().is_empty() {
            return Err(Broken::new(Rule::Malformed, "user_data.external_id must not be empty"));
        }
        Ok(())
    })?;
    for key in PLAIN_IDS {
        if user.text_or_integer(key)?.is_some_and(is_sha256) {
            return Err(must_be_plain(user, key));
        }
    }
    address(user)?;
    agent(user)?;
    cookie(user, "fbc", is_fbc_payload)?;
    cookie(user, "fbp", is_fbp_payload)?;
    digits(user, "lead_id", 15..=17)?;
    digits(user, "fb_login_id", 1..=20)?;
    enough(user)?;
    Ok(user.unknown_keys(&[HASHED, PLAIN_IDS, OTHERS]))
}

/// Applies `check` to a string or to each string of a list.
fn each_text(user: &Part<'_>, key: &str, check: impl Fn(&str) -> Result<(), Broken>) -> Result<(), Broken> {
    match user.get(key) {
        None => Ok(()),
        Some(Value::String(text)) => check(text),
        Some(Value::Array(items)) => items.iter().try_for_each(|item| match item {
            Value::String(text) => check(text),
            _ => Err(not_texts(user, key)),
        }),
        Some(_) => Err(not_texts(user, key)),
    }
}

fn not_texts(user: &Part<'_>, key: &str) -> Broken {
    Broken::new(Rule::Malformed, format!("{} must be a string or a list of strings", user.path(key)))
}

fn not_hashed(user: &Part<'_>, key: &str) -> Broken {
    let detail = format!("{} is not hashed: SHA-256 as 64 lower-case hexadecimal digits", user.path(key));
    Broken::new(Rule::NotHashed, detail)
}

fn must_be_plain(user: &Part<'_>, key: &str) -> Broken {
    Broken::new(Rule::MustBePlain, format!("{} must be sent plain, not hashed", user.path(key)))
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// SHA-256 or MD5. Meta's own newer libraries append a mark of 2 or 8 characters to a SHA-256.
fn is_hashed(text: &str) -> bool {
    match text.split_once('.') {
        None => matches!(text.len(), 32 | 64) && is_lower_hex(text),
        Some((hash, mark)) => hash.len() == 64 && is_lower_hex(hash) && is_mark(mark),
    }
}

fn is_mark(text: &str) -> bool {
    matches!(text.len(), 2 | 8) && text.bytes().all(is_url_safe)
}

const fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn address(user: &Part<'_>) -> Result<(), Broken> {
    let Some(text) = user.text("client_ip_address")? else { return Ok(()) };
    if is_hashed(text) || is_sha256(text) {
        return Err(must_be_plain(user, "client_ip_address"));
    }
    if text.parse::<IpAddr>().is_err() {
        let detail = "user_data.client_ip_address must be one IPv4 or IPv6 address, without brackets or port";
        return Err(Broken::new(Rule::Malformed, detail));
    }
    Ok(())
}

fn agent(user: &Part<'_>) -> Result<(), Broken> {
    if user.text("client_user_agent")?.is_some_and(is_sha256) {
        return Err(must_be_plain(user, "client_user_agent"));
    }
    Ok(())
}

/// `fb.{one digit}.{13 digits: milliseconds}.{payload}`
fn cookie(user: &Part<'_>, key: &str, is_payload: fn(&str) -> bool) -> Result<(), Broken> {
    let Some(text) = user.text(key)? else { return Ok(()) };
    if is_sha256(text) {
        return Err(must_be_plain(user, key));
    }
    let mut pieces = text.splitn(4, '.');
    let mut piece = || pieces.next().unwrap_or_default();
    let (prefix, index, created, payload) = (piece(), piece(), piece(), piece());
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fine = prefix == "fb"
        && index.len() == 1
        && is_digits(index)
        && created.len() == 13
        && is_digits(created)
        && is_payload(payload);
    if fine {
        return Ok(());
    }
    let detail = format!("{} must be fb.{{index}}.{{milliseconds}}.{{value}}", user.path(key));
    Err(Broken::new(Rule::Malformed, detail))
}

/// A click id, with its dots if it has any.
fn is_fbc_payload(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A random number, and perhaps the mark of one of Meta's libraries.
fn is_fbp_payload(text: &str) -> bool {
    let (number, mark) = text.split_once('.').unwrap_or((text, "AQ"));
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && is_mark(mark)
}

fn digits(user: &Part<'_>, key: &str, length: std::ops::RangeInclusive<usize>) -> Result<(), Broken> {
    let Some(text) = user.text_or_integer(key)? else { return Ok(()) };
    if length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let detail = format!("{} must be {} to {} digits", user.path(key), length.start(), length.end());
    Err(Broken::new(Rule::Malformed, detail))
}

fn enough(user: &Part<'_>) -> Result<(), Broken> {
    let known = HASHED.iter().chain(PLAIN_IDS).chain(OTHERS);
    let given = known.copied().filter(|key| !PIECES.contains(key) && user.has(key)).collect::<Vec<_>>();
    let too_broad = TOO_BROAD.iter().any(|broad| given.iter().all(|key| broad.contains(key)));
    if !too_broad {
        return Ok(());
    }
    let has = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
    let detail = format!("user_data is not enough to recognise a person: it has {has} (and pieces, if any)");
    Err(Broken::new(Rule::TooLittleUser, detail))
}
