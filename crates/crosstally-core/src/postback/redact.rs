//! Step: what is kept of a raw call. Secrets and personal data are masked in place; every other byte stays.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::config::Partner;
use crate::fields::{FIELDS, Field, FieldKind, TOKEN_PARAMS};
use crate::params::decode;
use crate::postback::body::{Media, media};
use crate::postback::{Headers, Inbound};

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

/// Names whose values are secrets.
static SECRET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| TOKEN_PARAMS.iter().chain(MASKED_NAMES).copied().collect());
/// Fields that tell who somebody is.
static PERSONAL: LazyLock<Vec<&str>> = LazyLock::new(|| personal().map(|field| field.name).collect());
/// Names under which such fields are accepted.
static PERSONAL_NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    personal().flat_map(|field| field.accepted).map(|name| name.to_ascii_lowercase()).collect()
});

fn personal() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind == FieldKind::Personal)
}

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

/// What is kept of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The bytes.
    pub body: Vec<u8>,
    /// The type under which they can be read again.
    pub content_type: String,
    /// Whether they could not be looked into, so that nothing of them is kept in the open.
    pub is_lost: bool,
}

/// What is kept of a body. A form is kept byte for byte but for its masked values, JSON without the values of masked keys,
/// the parts of a multipart form as a form. Of what cannot be looked into, nothing is kept in the open but its size.
#[must_use]
pub fn body(inbound: &Inbound, partner: Option<&Partner>) -> Kept {
    let raw = inbound.body.as_slice();
    let kept = |body: Vec<u8>| Kept { body, content_type: inbound.content_type.clone(), is_lost: false };
    let lost = || Kept {
        body: format!("({} bytes that could not be read)", raw.len()).into_bytes(),
        content_type: inbound.content_type.clone(),
        is_lost: true,
    };
    match media(&inbound.content_type, raw) {
        Ok(Media::None) => kept(Vec::new()),
        Ok(Media::Form) if !looks_opaque(raw) => kept(pairs(raw, partner)),
        Ok(Media::Json) => match serde_json::from_slice::<Value>(raw) {
            Ok(mut document) => {
                mask_keys(&mut document, "", partner);
                kept(serde_json::to_vec(&document).unwrap_or_default())
            }
            Err(_) => lost(),
        },
        Ok(Media::JsonLines) => lines(raw, partner).map_or_else(lost, kept),
        Ok(Media::Multipart) if !inbound.parts.is_empty() => Kept {
            body: pairs(form_of(&inbound.parts).as_bytes(), partner),
            content_type: "application/x-www-form-urlencoded".into(),
            is_lost: false,
        },
        Ok(Media::Form | Media::Multipart) | Err(_) => lost(),
    }
}

/// A text under a form's name that is none: a document, or a list of parts.
fn looks_opaque(raw: &[u8]) -> bool {
    let begins = raw.iter().find(|byte| !byte.is_ascii_whitespace());
    begins.is_some_and(|byte| matches!(byte, b'{' | b'[' | b'<' | b'-' | b'"'))
}

fn lines(raw: &[u8], partner: Option<&Partner>) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for line in raw.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let mut document: Value = serde_json::from_slice(line).ok()?;
        mask_keys(&mut document, "", partner);
        kept.extend(serde_json::to_vec(&document).ok()?);
        kept.push(b'\n');
    }
    Some(kept)
}

fn form_of(parts: &[(String, Vec<u8>)]) -> String {
    let escape = |bytes: &[u8]| {
        percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> =
        parts.iter().map(|(name, value)| format!("{}={}", escape(name.as_bytes()), escape(value))).collect();
    pairs.join("&")
}

/// The headers that the contract reads a field from; no others are kept.
#[must_use]
pub fn headers(headers: &Headers, partner: Option<&Partner>) -> Headers {
    let mut kept = Headers::default();
    let Some(partner) = partner else { return kept };
    for name in partner.contract.taken() {
        if let Some((_, name)) =
            name.split_once(':').filter(|(prefix, _)| prefix.eq_ignore_ascii_case("header"))
            && let Some(value) = headers.get(name)
        {
            kept.push(name, value);
        }
    }
    kept
}

/// Parts of paths under which a person is described.
const PERSON_PATHS: &[&str] =
    &["customer", "address", "buyer", "payer", "billing", "shipping", "contact", "recipient"];
/// Keys of such a description.
const PERSON_KEYS: &[&str] = &[
    "name",
    "address",
    "address1",
    "address2",
    "street",
    "postcode",
    "postal_code",
    "zipcode",
    "company",
    "latitude",
    "longitude",
    "last4",
    "ip",
];

fn mask_keys(value: &mut Value, path: &str, partner: Option<&Partner>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                let whole = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let is_leaf = !matches!(inner, Value::Object(_));
                let of_contract = is_of_contract(&whole, partner);
                let masked = is_masked(name, partner) || is_masked(&whole, partner);
                if !of_contract && (masked || is_leaf && is_of_person(path, name)) {
                    *inner = Value::String("***".into());
                } else {
                    mask_keys(inner, &whole, partner);
                }
            }
        }
        Value::Array(list) => {
            for (at, inner) in list.iter_mut().enumerate() {
                mask_keys(inner, &format!("{path}.{at}"), partner);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a value of this name, or of a path that ends so, is masked in what is kept.
#[must_use]
pub fn is_kept_out(name: &str, partner: Option<&Partner>) -> bool {
    if is_of_contract(name, partner) {
        return false;
    }
    match name.rsplit_once('.') {
        None => is_masked(name, partner),
        Some((path, last)) => {
            is_masked(name, partner) || is_masked(last, partner) || is_of_person(path, last)
        }
    }
}

fn is_of_person(path: &str, name: &str) -> bool {
    let path = path.to_ascii_lowercase();
    PERSON_PATHS.iter().any(|part| path.contains(part))
        && PERSON_KEYS.iter().any(|key| key.eq_ignore_ascii_case(name))
}

/// Whether the contract reads something from a parameter that is neither secret nor personal, whatever its name.
fn is_of_contract(name: &str, partner: Option<&Partner>) -> bool {
    let Some(partner) = partner else { return false };
    FIELDS.iter().filter(|field| field.kind != FieldKind::Personal).any(|field| {
        partner.contract.params(field.name).iter().any(|theirs| theirs.eq_ignore_ascii_case(name))
    })
}

/// Whether a parameter's value must not be kept.
#[must_use]
pub fn is_masked(name: &str, partner: Option<&Partner>) -> bool {
    let base = name.split('[').next().unwrap_or(name).trim().to_ascii_lowercase();
    if SECRET.contains(base.as_str()) {
        return true;
    }
    let is_theirs = || {
        let theirs = |partner: &Partner| {
            let names = PERSONAL.iter().flat_map(|field| partner.contract.params(field));
            let mut names = names.map(String::as_str);
            names.any(|theirs| theirs.eq_ignore_ascii_case(&base) || theirs.eq_ignore_ascii_case(name))
        };
        partner.is_some_and(theirs)
    };
    (PERSONAL_NAMES.contains(base.as_str()) || is_theirs()) && !is_of_contract(name, partner)
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

    fn kept(raw: &str, kind: &str) -> Kept {
        let inbound = Inbound { body: raw.into(), content_type: kind.into(), ..Inbound::default() };
        body(&inbound, None)
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
            let kept = String::from_utf8(kept(raw, kind).body).expect("text");
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
            let kept = String::from_utf8(kept(raw, kind).body).expect("text");
            assert!(!kept.contains("s3cret") && kept.contains("bytes"), "{kept}");
        }
    }
}
