//! Step: what is kept of a raw call. Secrets and personal data are masked in place; every other byte stays.

use crate::config::Partner;
use crate::hops;
use crate::params::{Param, Params, decode};
use crate::postback::body::{Media, media};
use crate::postback::json::Json;
use crate::postback::{Headers, Inbound};

mod inside;
mod items;
mod mails;
mod names;

pub use mails::without_mails;
pub use names::{Keep, is_kept_out, is_masked};

/// The end of the type under which the parts of a multipart form are kept: in our own encoding.
pub const FROM_PARTS: &str = "; from=multipart";
/// What stands in place of a masked value.
pub const MASK: &[u8] = b"***";
/// The same as a text.
const MASK_TEXT: &str = "***";

/// Masks the values of token and contact parameters in a raw query string or form body.
#[must_use]
pub fn pairs(raw: &[u8], keep: Keep<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let named = items::of_form(raw, keep);
    for (at, piece) in raw.split(|&b| b == b'&').enumerate() {
        if at > 0 {
            out.push(b'&');
        }
        match items::held_name(piece, &named, keep) {
            Some(name) => out.extend([name, b"=", MASK].concat()),
            None => pair(piece, keep, &mut out),
        }
    }
    out
}

/// One piece: masked as a whole if it is no pair, else its value, else what stands inside the value.
fn pair(piece: &[u8], keep: Keep<'_>, out: &mut Vec<u8>) {
    if is_no_pair(piece) {
        out.extend_from_slice(MASK);
        return;
    }
    let begins = out.len();
    by_semicolons(piece, keep, out);
    if let Some(masked) = out.get(begins..).and_then(|kept| masked_inside(kept, keep)) {
        out.truncate(begins);
        out.extend(masked);
    }
}

/// A semicolon does not part pairs here, but it does for some senders, whose token would else be kept.
fn by_semicolons(piece: &[u8], keep: Keep<'_>, out: &mut Vec<u8>) {
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

/// Whether a piece is no `name=value`, but a text that may hold such: `token: x`, a document's part.
fn is_no_pair(piece: &[u8]) -> bool {
    let name = piece.split(|&byte| byte == b'=').next().unwrap_or(piece);
    let is_alone = name.len() == piece.len();
    if !name.iter().any(|byte| matches!(byte, b'%' | b'"') || is_alone && *byte == b':') {
        return false;
    }
    let (name, _) = decode(name);
    name.contains('"') || is_alone && name.contains(':')
}

/// A pair whose value is a document, a URL or a form of its own, with what that holds masked.
fn masked_inside(piece: &[u8], keep: Keep<'_>) -> Option<Vec<u8>> {
    let at = piece.iter().position(|&byte| byte == b'=')?;
    let (name, value) = piece.split_at(at + 1);
    let is_plain = |byte: &u8| !matches!(byte, b'%' | b'=' | b'{' | b'[' | b':');
    if value.iter().all(is_plain) {
        return None;
    }
    let (own, _) = decode(piece.get(..at)?);
    if keep.masks(&own) || names::is_key(&own, keep.partner) {
        return None;
    }
    let (value, _) = decode(value);
    let masked = inside::text(&value, keep).filter(|masked| *masked != value)?;
    Some([name, escaped(masked.as_bytes()).as_bytes()].concat())
}

/// What is in no need of an escape: letters, digits, and what the mask is made of.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'*');

fn escaped(bytes: &[u8]) -> String {
    percent_encoding::percent_encode(bytes, ESCAPED).to_string()
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
    // Its parameters are the sender's to choose.
    let kind = inside::text(&inbound.content_type, keep).unwrap_or_else(|| inbound.content_type.clone());
    let raw = inbound.body.as_slice();
    let kept = |body: Vec<u8>| Kept { body, content_type: kind.clone(), is_lost: false };
    let lost = || Kept {
        body: format!("({} bytes that could not be read)", raw.len()).into_bytes(),
        content_type: kind.clone(),
        is_lost: true,
    };
    match media(&inbound.content_type, raw) {
        Ok(Media::None) => kept(Vec::new()),
        Ok(Media::Form) if !looks_opaque(raw) => kept(pairs(raw, keep)),
        Ok(Media::Json) => match serde_json::from_slice::<Json>(raw) {
            Ok(mut document) => {
                inside::document(&mut document, keep);
                kept(serde_json::to_vec(&document).unwrap_or_default())
            }
            Err(_) => lost(),
        },
        Ok(Media::JsonLines) => lines(raw, keep).map_or_else(lost, kept),
        Ok(Media::Multipart) if !inbound.parts.is_empty() => Kept {
            body: pairs(form_of(&inbound.parts).as_bytes(), keep),
            content_type: format!("application/x-www-form-urlencoded{FROM_PARTS}"),
            is_lost: false,
        },
        Ok(Media::Form | Media::Multipart) | Err(_) => lost(),
    }
}

/// A text under a form's name that is none: a document, a list of parts, lines.
fn looks_opaque(raw: &[u8]) -> bool {
    let raw = raw.trim_ascii();
    raw.first().is_some_and(|byte| matches!(byte, b'{' | b'[' | b'<' | b'-' | b'"'))
        || raw.starts_with(b"\xEF\xBB\xBF")
        || raw.contains(&b'\n')
        || raw.split(|&byte| byte == b'&').any(is_no_pair)
}

fn lines(raw: &[u8], keep: Keep<'_>) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for line in raw.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let mut document: Json = serde_json::from_slice(line).ok()?;
        inside::document(&mut document, keep);
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

/// The headers that the contract reads a field from, and how far the call has come; no others are kept. Those with a contact
/// value are kept where that is wished, those with a secret never.
#[must_use]
pub fn headers(headers: &Headers, keep: Keep<'_>) -> Headers {
    let mut kept = Headers::default();
    let hops = headers.hops();
    if hops > 0 {
        kept.push(hops::HEADER, hops.to_string());
    }
    let Some(partner) = keep.partner else { return kept };
    for theirs in partner.contract.taken() {
        if let Some((_, name)) =
            theirs.split_once(':').filter(|(prefix, _)| prefix.eq_ignore_ascii_case("header"))
            && !names::is_secret(name, None)
            && (keep.contact || names::is_of_contract(theirs, Some(partner)))
            && let Some(value) = headers.get(name)
        {
            kept.push(name, value);
        }
    }
    kept
}

/// The parameters that are neither secret nor personal: what a condition may ask for and a digest covers. What is masked
/// in what is kept is left out, so that a kept call that is read again has the same.
pub fn open<'p>(params: &'p Params, partner: Option<&'p Partner>) -> impl Iterator<Item = &'p Param> {
    let named = items::of_params(params, partner);
    params.iter().filter(move |param| {
        !is_kept_out(&param.name, partner)
            && param.value.as_bytes() != MASK
            && !is_no_name(param)
            && (named.is_empty() || !items::is_held(&param.name, &named))
            && (inside::text(&param.value, Keep { partner, contact: false }).is_none()
                || names::is_key(&param.name, partner))
    })
}

/// A piece of a query that is no pair, and is masked as a whole.
fn is_no_name(param: &Param) -> bool {
    param.name.contains('"')
        || param.value.is_empty() && (param.name.contains(':') || param.name.as_bytes() == MASK)
}

#[cfg(test)]
mod tests;
