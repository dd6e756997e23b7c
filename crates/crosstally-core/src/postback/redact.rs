//! Step: what is kept of a raw call. Secrets and personal data are masked in place; every other byte stays.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::config::Partner;
use crate::fields::{FIELDS, Field, FieldKind, SECRET_NAMES, TOKEN_PARAMS};
use crate::limits;
use crate::params::{Param, Params, decode};
use crate::postback::body::{Media, media};
use crate::postback::json::Json;
use crate::postback::{Headers, Inbound};

/// What stands in place of a masked value.
pub const MASK: &[u8] = b"***";

/// Names that hold contact values in other people's calls. Nothing is read from them.
const CONTACT_NAMES: &[&str] = &["e-mail", "mail", "em", "ph", "tel"];

/// Names whose values are secrets.
static SECRET: LazyLock<HashSet<&str>> =
    LazyLock::new(|| TOKEN_PARAMS.iter().chain(SECRET_NAMES).copied().collect());
/// Fields that tell who somebody is.
static PERSONAL: LazyLock<Vec<&str>> = LazyLock::new(|| personal().map(|field| field.name).collect());
/// Names under which such fields are accepted.
static PERSONAL_NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let accepted = personal().flat_map(|field| field.accepted);
    accepted.chain(CONTACT_NAMES).map(|name| name.to_ascii_lowercase()).collect()
});

fn personal() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().filter(|field| field.kind == FieldKind::Personal)
}

/// By whose contract a call is read, and whether its contact values are kept as they came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep<'a> {
    /// The partner whose call it is, if it is known.
    pub partner: Option<&'a Partner>,
    /// Whether the workspace keeps contact values. Secrets are never kept.
    pub contact: bool,
}

/// Masks the values of token and contact parameters in a raw query string or form body.
#[must_use]
pub fn pairs(raw: &[u8], keep: Keep<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, piece) in raw.split(|&b| b == b'&').enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        pair(piece, keep, &mut out);
    }
    out
}

/// One pair. A semicolon does not part pairs here, but it does for some senders, whose token would else be kept.
fn pair(piece: &[u8], keep: Keep<'_>, out: &mut Vec<u8>) {
    let mut rest = piece;
    for part in piece.split_inclusive(|&b| b == b';') {
        if let Some(name_ends) = part.iter().position(|&b| b == b'=') {
            let (name, _) = part.split_at(name_ends);
            // Also what stands behind a semicolon, if the value begins with one.
            let is_filled = rest.iter().skip(name_ends + 1).any(|&b| b != b';');
            if is_filled && keep.masks(&decode(name).0) {
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
pub fn body(inbound: &Inbound, keep: Keep<'_>) -> Kept {
    let raw = inbound.body.as_slice();
    let kept = |body: Vec<u8>| Kept { body, content_type: inbound.content_type.clone(), is_lost: false };
    let lost = || Kept {
        body: format!("({} bytes that could not be read)", raw.len()).into_bytes(),
        content_type: inbound.content_type.clone(),
        is_lost: true,
    };
    match media(&inbound.content_type, raw) {
        Ok(Media::None) => kept(Vec::new()),
        Ok(Media::Form) if !looks_opaque(raw) => kept(pairs(raw, keep)),
        Ok(Media::Json) => match serde_json::from_slice::<Json>(raw) {
            Ok(mut document) => {
                mask_keys(&mut document, "", keep);
                kept(serde_json::to_vec(&document).unwrap_or_default())
            }
            Err(_) => lost(),
        },
        Ok(Media::JsonLines) => lines(raw, keep).map_or_else(lost, kept),
        Ok(Media::Multipart) if !inbound.parts.is_empty() => Kept {
            body: pairs(form_of(&inbound.parts).as_bytes(), keep),
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

fn lines(raw: &[u8], keep: Keep<'_>) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for line in raw.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let mut document: Json = serde_json::from_slice(line).ok()?;
        mask_keys(&mut document, "", keep);
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

fn mask_keys(value: &mut Json, path: &str, keep: Keep<'_>) {
    // Nothing is read from a path that long, and to follow it costs more than the call is worth.
    if path.len() > limits::JSON_PATH_BYTES_MAX {
        *value = Json::Text("***".into());
        return;
    }
    match value {
        Json::Map(entries) => {
            let is_named = entries.iter().any(|(key, value)| match value {
                Json::Text(name) if matches!(key.as_str(), "name" | "key") => {
                    let list = path.rsplit_once('.').map_or("", |(list, _)| list);
                    keep.masks(name) && !is_of_contract(&format!("{list}[{name}]"), keep.partner)
                }
                _ => false,
            });
            for (name, inner) in entries {
                let whole = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let is_leaf = !matches!(inner, Json::Map(_));
                let of_contract = is_of_contract(&whole, keep.partner);
                let masked = keep.masks(name) || keep.masks(&whole) || is_named && name == "value";
                if !of_contract && (masked || !keep.contact && is_leaf && is_of_person(path, name)) {
                    *inner = Json::Text("***".into());
                } else {
                    mask_keys(inner, &whole, keep);
                }
            }
        }
        Json::List(list) => {
            for (at, inner) in list.iter_mut().enumerate() {
                mask_keys(inner, &format!("{path}.{at}"), keep);
            }
        }
        Json::Nothing | Json::Text(_) | Json::Literal(_) => {}
    }
}

impl Keep<'_> {
    fn masks(self, name: &str) -> bool {
        if self.contact { is_secret(name) } else { is_masked(name, self.partner) }
    }
}

/// Whether a value of this name, or of a path that ends so, is masked in what is kept.
#[must_use]
pub fn is_kept_out(name: &str, partner: Option<&Partner>) -> bool {
    let is_person = || name.rsplit_once('.').is_some_and(|(path, last)| is_of_person(path, last));
    (is_masked(name, partner) || is_person()) && !is_of_contract(name, partner)
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
    let lower = name.to_ascii_lowercase();
    if segments(&lower).any(|part| SECRET.contains(part)) {
        return true;
    }
    let is_theirs = |name: &str| {
        let theirs = |partner: &Partner| {
            let mut names = PERSONAL.iter().flat_map(|field| partner.contract.params(field));
            names.any(|theirs| theirs.eq_ignore_ascii_case(name))
        };
        partner.is_some_and(theirs)
    };
    let is_path = || lower.contains(['[', '.']);
    let is_personal = segments(&lower).any(|part| PERSONAL_NAMES.contains(part) || is_theirs(part));
    (is_personal || is_path() && is_theirs(name)) && !is_of_contract(name, partner)
}

fn is_secret(name: &str) -> bool {
    segments(&name.to_ascii_lowercase()).any(|part| SECRET.contains(part))
}

/// A name, or the parts of one that is a path: `email[]`, `user[email]`, `data.user.email`.
fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.split(['[', ']', '.']).map(str::trim)
}

/// The parameters that are neither secret nor personal: what a condition may ask for and a digest covers.
pub fn open<'p>(params: &'p Params, partner: Option<&'p Partner>) -> impl Iterator<Item = &'p Param> {
    // Shops send their own fields as `{"name": "email", "value": "…"}`, which is two parameters beside `[email]`.
    let named: HashSet<&str> = params
        .iter()
        .filter_map(|param| {
            let item = param.name.strip_suffix(".name").or_else(|| param.name.strip_suffix(".key"))?;
            is_masked(&param.value, partner).then_some(item)
        })
        .collect();
    params.iter().filter(move |param| {
        !is_kept_out(&param.name, partner)
            && (named.is_empty()
                || !param.name.strip_suffix(".value").is_some_and(|item| named.contains(item)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_contacts_are_masked_and_the_rest_stays_byte_for_byte() {
        let raw = b"click_id=1&TOKEN=s3cret&x=%zz&em%61il=a%40b.example&email=&phone=%2B1650&&sum=1";
        let kept = pairs(raw, Keep::default());
        assert_eq!(
            String::from_utf8_lossy(&kept),
            "click_id=1&TOKEN=***&x=%zz&em%61il=***&email=&phone=***&&sum=1"
        );
    }

    #[test]
    fn contacts_are_kept_where_that_is_wished_and_secrets_never() {
        let keep = Keep { contact: true, ..Keep::default() };
        let raw = b"token=s3cret&e-mail=a%40b.example&phone=%2B1650&pass=s3cret";
        let kept = pairs(raw, keep);
        assert_eq!(String::from_utf8_lossy(&kept), "token=***&e-mail=a%40b.example&phone=%2B1650&pass=***");
        let raw = r#"{"token":"s3cret","customer":{"name":"Ann","email":"a@b.example"}}"#;
        let inbound = Inbound { body: raw.into(), ..Inbound::default() };
        let kept = String::from_utf8(body(&inbound, keep).body).expect("text");
        assert_eq!(kept, r#"{"token":"***","customer":{"name":"Ann","email":"a@b.example"}}"#);
    }

    fn kept(raw: &str, kind: &str) -> Kept {
        let inbound = Inbound { body: raw.into(), content_type: kind.into(), ..Inbound::default() };
        body(&inbound, Keep::default())
    }

    #[test]
    fn no_way_of_writing_a_call_keeps_its_token_or_its_contacts() {
        for (kind, raw) in [
            ("application/json", r#"{"token":"s3cret","user":{"email":["a@b.example"]},"tid":"t7"}"#),
            ("", r#" {"token":"s3cret","email":"a@b.example","tid":"t7"}"#),
            ("application/x-www-form-urlencoded", r#"{"token":"s3cret","e-mail":"a@b.example","tid":"t7"}"#),
            ("", "x=1;token=s3cret&email[]=a@b.example&tid=t7"),
            ("", "token=;s3cret&user[email]=a@b.example&data.email=a@b.example&tid=t7"),
            ("", r#"{"own":[{"name":"token","value":"s3cret"},{"key":"e-mail","value":"a@b"}],"tid":"t7"}"#),
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
