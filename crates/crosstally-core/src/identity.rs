//! Contact values of a person: the normal form that each ad platform asks for, and its hash.
//!
//! The doors call [`hash_contact`] on what a sender gave and keep only the result, so that nothing behind them ever
//! holds an e-mail address in the clear. The platforms disagree (one keeps the dots of a mail address, another drops
//! them; one wants a `+` before a phone number, another forbids it), so a value is hashed once per form, never once
//! for all. Nothing here knows which destinations exist, where a value came from or what day it is.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

pub mod click_cookies;
mod contact;
pub mod country;
mod date;
mod dropped;
mod email;
mod gender;
pub mod google;
pub mod meta;
pub mod phone;
mod place;
pub mod reddit;
mod text;
pub mod tiktok;

pub use contact::{Contact, ContactIn, FORMS_PER_FIELD_MAX, VALUES_PER_FIELD_MAX, hash_contact};
pub use dropped::{DropReason, Dropped};

/// Bytes of one contact value before it is read. Nothing honest is longer.
pub const VALUE_BYTES_MAX: usize = 1024;

/// SHA-256 of the text's UTF-8 bytes, as lower-case hexadecimal: the one encoding that every platform takes.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}
