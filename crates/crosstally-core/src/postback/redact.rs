//! Step: what is kept of a raw call. Secrets and personal data are masked in place; every other byte stays.

use crate::config::Partner;
use crate::fields::{FIELDS, FieldKind, TOKEN_PARAMS};
use crate::params::decode;

/// What stands in place of a masked value.
pub const MASK: &[u8] = b"***";

/// Masks the values of token and contact parameters in a raw query string or form body.
#[must_use]
pub fn pairs(raw: &[u8], partner: Option<&Partner>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, piece) in raw.split(|&b| b == b'&').enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        let name_ends = piece.iter().position(|&b| b == b'=').unwrap_or(piece.len());
        let (name, value) = piece.split_at(name_ends);
        out.extend_from_slice(name);
        if value.len() > 1 && is_masked(&decode(name).0, partner) {
            out.push(b'=');
            out.extend_from_slice(MASK);
        } else {
            out.extend_from_slice(value);
        }
    }
    out
}

/// Whether a parameter's value must not be kept.
#[must_use]
pub fn is_masked(name: &str, partner: Option<&Partner>) -> bool {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    TOKEN_PARAMS.iter().any(|token| is(token))
        || FIELDS.iter().filter(|field| field.kind == FieldKind::Personal).any(|field| {
            let theirs = partner.and_then(|partner| partner.params.get(field.name));
            field.accepted.iter().any(|accepted| is(accepted)) || theirs.is_some_and(|theirs| is(theirs))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_contacts_are_masked_and_the_rest_stays_byte_for_byte() {
        let raw = b"click_id=1&TOKEN=s3cret&x=%zz&em%61il=a%40b.example&email=&phone=%2B1650&&sum=1";
        let kept = pairs(raw, None);
        assert_eq!(
            String::from_utf8_lossy(&kept),
            "click_id=1&TOKEN=***&x=%zz&em%61il=***&email=&phone=***&&sum=1"
        );
    }
}
