//! What identifies a visitor: whether what must be plain or hashed is.

use std::net::IpAddr;

use crosstally_core::event::{OutboundEvent, Visitor};
use crosstally_core::identity::Contact;
use crosstally_core::identity::meta::Field;
use serde_json::Value;

use crate::refused::Refused;

/// The visitor's own address.
pub(crate) fn ip_address(visitor: &Visitor) -> Result<Option<&str>, Refused> {
    let address = present(visitor.client_ip_address.as_deref());
    if address.is_some_and(|text| text.parse::<IpAddr>().is_err()) {
        return Err(Refused::incomplete("client_ip_address must be one IPv4 or IPv6 address"));
    }
    Ok(address)
}

/// The user agent as the browser sent it.
pub(crate) fn user_agent(visitor: &Visitor) -> Result<Option<&str>, Refused> {
    let agent = present(visitor.client_user_agent.as_deref());
    if agent.is_some_and(is_sha256) {
        return Err(Refused::incomplete("client_user_agent must be plain, not hashed"));
    }
    Ok(agent)
}

/// The ad click id of a parameter, whose name may have been written in any case; the value is byte-exact.
pub(crate) fn ad_click_id<'a>(event: &'a OutboundEvent, parameter: &str) -> Option<&'a str> {
    let ids = &event.visitor.ad_click_ids;
    let found = ids.iter().find(|(name, _)| name.eq_ignore_ascii_case(parameter))?.1;
    present(found.as_str())
}

/// Another plain id that the sender gave under this name: a platform's own cookie, a device's id. A number is its digits.
pub(crate) fn other_id<'a>(event: &'a OutboundEvent, name: &str) -> Option<&'a str> {
    match event.visitor.other.get(name)? {
        Value::String(text) => present(Some(text)),
        Value::Number(number) => Some(number.as_str()),
        _ => None,
    }
}

/// A text that is not blank.
pub(crate) fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// Whether a text looks like SHA-256 in hexadecimal of any case.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Looks at every byte without stopping at the first wrong one, which lets the compiler take many at a time.
pub(crate) fn is_lower_hex(hash: &[u8]) -> bool {
    hash.iter().fold(true, |fine, b| fine & (b.is_ascii_digit() | matches!(b, b'a'..=b'f')))
}

/// The hashes of a list that are SHA-256: what a sender hashed in another way is of no use to most platforms.
pub(crate) fn sha256_only(hashes: &[String]) -> impl Iterator<Item = &str> {
    hashes.iter().map(String::as_str).filter(|hash| hash.len() == 64 && is_lower_hex(hash.as_bytes()))
}

/// A person's hashes under the keys that Meta, Snapchat and Pinterest share, each a list.
pub(crate) fn shared_lists(contact: &Contact) -> impl Iterator<Item = (&'static str, Vec<&str>)> {
    contact
        .meta()
        .filter(|(field, _)| *field != Field::ExternalId)
        .map(|(field, hashes)| (field.key(), sha256_only(hashes).collect::<Vec<_>>()))
        .chain(std::iter::once(("external_id", external_ids(contact))))
        .filter(|(_, hashes)| !hashes.is_empty())
}

/// The advertiser's own ids: as they were given, then in their usual form.
pub(crate) fn external_ids(contact: &Contact) -> Vec<&str> {
    sha256_only(&contact.exact_external_id).chain(sha256_only(&contact.external_id)).collect()
}
