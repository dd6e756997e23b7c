//! The normal forms that Google's ad products hash.
//!
//! They take looser input than Meta and change more of it: Gmail addresses lose their dots and tags, phone numbers
//! gain a `+`.

use super::VALUE_BYTES_MAX;
use super::meta::plain_name;
use super::text::{is_space, trim};

/// The hosts whose addresses reach the same mailbox with or without dots and tags.
const GMAIL_HOSTS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// A mail address: trimmed, lower case; for Gmail without the dots and the `+tag` of the local part.
#[must_use]
pub fn email(input: &str) -> Option<String> {
    let address = trim(bounded(input)?).to_lowercase();
    let (local, host) = address.split_once('@')?;
    if local.is_empty() || host.is_empty() || host.contains('@') || address.contains(is_space) {
        return None;
    }
    if !GMAIL_HOSTS.contains(&host) {
        return Some(address);
    }
    let mailbox: String = local.chars().take_while(|c| *c != '+').filter(|c| *c != '.').collect();
    (!mailbox.is_empty()).then(|| format!("{mailbox}@{host}"))
}

/// A phone number as Google's own formatter leaves it: `+` and the ASCII digits. It adds no country code and keeps
/// leading zeros; prefer [`super::phone::to_e164`] where it knows the number.
#[must_use]
pub fn phone(input: &str) -> Option<String> {
    let digits: String = bounded(input)?.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("+{digits}"))
}

/// A given or family name: trimmed, lower case.
#[must_use]
pub fn name(input: &str) -> Option<String> {
    Some(plain_name(bounded(input)?)).filter(|name| !name.is_empty())
}

fn bounded(input: &str) -> Option<&str> {
    (input.len() <= VALUE_BYTES_MAX).then_some(input)
}

#[cfg(test)]
mod tests;
