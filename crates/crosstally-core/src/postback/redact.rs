//! Step: what is kept of a raw call. Secrets and personal data are masked in place; every other byte stays.

use serde_json::Value;

use crate::config::Partner;
use crate::fields::{FIELDS, FieldKind, TOKEN_PARAMS};
use crate::params::decode;

/// What stands in place of a masked value.
pub const MASK: &[u8] = b"***";

/// Names that hold secrets or contact values in other people's calls. Nothing is read from them, so nothing is kept.
const MASKED_NAMES: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "secret",
    "sig",
    "signature",
    "apikey",
    "auth",
    "e-mail",
    "mail",
    "em",
    "ph",
    "tel",
];

/// Masks the values of token and contact parameters in a raw query string or form body.
#[must_use]
pub fn pairs(raw: &[u8], partner: Option<&Partner>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, piece) in raw.split(|&b| b == b'&').enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        pair(piece, partner, &mut out);
    }
    out
}

/// One pair. A semicolon does not part pairs here, but it does for some senders, whose token would else be kept.
fn pair(piece: &[u8], partner: Option<&Partner>, out: &mut Vec<u8>) {
    let mut rest = piece;
    for part in piece.split_inclusive(|&b| b == b';') {
        if let Some(name_ends) = part.iter().position(|&b| b == b'=') {
            let (name, value) = part.split_at(name_ends);
            if value.len() > 1 && value != b"=;" && is_masked(&decode(name).0, partner) {
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(MASK);
                // A value may hold semicolons of its own: all that is left goes with it.
                return;
            }
        }
        let (whole, others) = rest.split_at(part.len());
        out.extend_from_slice(whole);
        rest = others;
    }
}

/// What is kept of a body. A form is kept byte for byte but for its masked values, JSON without the values of masked keys.
/// Of what cannot be looked into, nothing is kept but its size.
#[must_use]
pub fn body(raw: &[u8], content_type: &str, partner: Option<&Partner>) -> Vec<u8> {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let begins = raw.iter().find(|byte| !byte.is_ascii_whitespace());
    let opaque = begins.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'<' | b'-' | b'"'));
    if raw.is_empty() || kind == "application/x-www-form-urlencoded" && !opaque || kind.is_empty() && !opaque
    {
        return pairs(raw, partner);
    }
    match serde_json::from_slice::<Value>(raw) {
        Ok(mut document) => {
            mask_keys(&mut document, partner);
            serde_json::to_vec(&document).unwrap_or_default()
        }
        Err(_) => format!("({} bytes that could not be read are not kept)", raw.len()).into_bytes(),
    }
}

fn mask_keys(value: &mut Value, partner: Option<&Partner>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                if is_masked(name, partner) {
                    *inner = Value::String("***".into());
                } else {
                    mask_keys(inner, partner);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| mask_keys(inner, partner)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a parameter's value must not be kept.
#[must_use]
pub fn is_masked(name: &str, partner: Option<&Partner>) -> bool {
    let name = name.split('[').next().unwrap_or(name).trim();
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    TOKEN_PARAMS.iter().chain(MASKED_NAMES).any(|token| is(token))
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

    #[test]
    fn no_way_of_writing_a_call_keeps_its_token_or_its_contacts() {
        for (kind, raw) in [
            ("application/json", r#"{"token":"s3cret","user":{"email":["a@b.example"]},"tid":"t7"}"#),
            ("", r#" {"token":"s3cret","email":"a@b.example","tid":"t7"}"#),
            ("application/x-www-form-urlencoded", r#"{"token":"s3cret","e-mail":"a@b.example","tid":"t7"}"#),
            ("", "x=1;token=s3cret&email[]=a@b.example&tid=t7"),
            (
                "application/x-www-form-urlencoded",
                "tid=t7;y;sig=s3cret&mail=a@b.example&email[0]=a@b.example",
            ),
        ] {
            let kept = String::from_utf8(body(raw.as_bytes(), kind, None)).expect("text");
            assert!(!kept.contains("s3cret") && !kept.contains("a@b"), "{kind} {raw}: {kept}");
            assert!(kept.contains("t7"), "{kept}");
        }
        for (kind, raw) in [
            (
                "multipart/form-data; boundary=x",
                "--x\r\nContent-Disposition: form-data; name=token\r\n\r\ns3cret\r\n--x--",
            ),
            ("application/json", r#"{"token":"s3cret""#),
            ("text/xml", "<token>s3cret</token>"),
        ] {
            let kept = String::from_utf8(body(raw.as_bytes(), kind, None)).expect("text");
            assert!(!kept.contains("s3cret") && kept.contains("bytes"), "{kept}");
        }
    }
}
