//! Takes secrets out of texts that people will see: URLs, answers, error details.
//!
//! A secret is recognised in every spelling that a request can give it: as it is, percent-encoded in whole or as far as a raw
//! value is, form-encoded, escaped for JSON and for XML, on one line and in a header. What else a far end might make of it, such as a hash, is not known here.

use crosstally_core::secret::Secret;
use crosstally_core::template::write_encoded;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::written;

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Everything but the unreserved characters of RFC 3986.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text with every secret replaced by `***`.
#[must_use]
pub fn mask<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut spellings: Vec<String> =
        secrets.into_iter().flat_map(|secret| spellings(secret.expose())).collect();
    // Longest first: a secret that contains another one is masked as a whole.
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    spellings.iter().fold(text.to_owned(), |text, spelling| {
        if text.contains(spelling.as_str()) { text.replace(spelling.as_str(), MASK) } else { text }
    })
}

fn spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    // Nothing writes these in another way.
    if secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
        return vec![secret.to_owned()];
    }
    every_spelling(secret)
}

fn every_spelling(secret: &str) -> Vec<String> {
    let percent = utf8_percent_encode(secret, RESERVED).to_string();
    let quoted = serde_json::to_string(secret).expect("a text is always valid JSON");
    let quoted =
        quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned();
    let spelled = |write: fn(&str, &mut String)| {
        let mut out = String::with_capacity(secret.len());
        write(secret, &mut out);
        out
    };
    let raw = spelled(|secret, out| write_encoded(secret, true, out));
    let mut all = vec![
        secret.to_owned(),
        lower_escapes(&raw),
        raw,
        spelled(written::xml),
        spelled(written::one_line),
        spelled(written::header),
        percent.replace("%20", "+"),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        lower_escapes(&percent),
        percent,
        quoted.replace('/', "\\/"),
        quoted,
    ];
    all.sort_unstable();
    all.dedup();
    all
}

/// `%2F` as `%2f`: both are read the same, and some servers write them so.
fn lower_escapes(percent: &str) -> String {
    let mut out = String::with_capacity(percent.len());
    let mut escaped = 0_u8;
    for c in percent.chars() {
        out.push(if escaped > 0 { c.to_ascii_lowercase() } else { c });
        escaped = if c == '%' { 2 } else { escaped.saturating_sub(1) };
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_a_secret_is_masked() {
        let secret = Secret::new("a/b c\"é=%Z");
        for text in [
            "token=a/b c\"é=%Z;",
            "token=a%2Fb%20c%22%C3%A9%3D%25Z;",
            "token=a%2fb%20c%22%c3%a9%3d%25Z;",
            "token=a%2Fb+c%22%C3%A9%3D%25Z;",
            "token=a/b c\\\"é=%Z;",
            "token=a\\/b c\\\"é=%Z;",
        ] {
            assert_eq!(mask(text, [&secret]), "token=***;", "{text}");
        }
    }

    #[test]
    fn the_longer_of_two_secrets_goes_first_and_an_empty_one_does_nothing() {
        let secrets = [Secret::new("abc"), Secret::new("abcdef"), Secret::new("")];
        assert_eq!(mask("x abcdef y abc z", &secrets), "x *** y *** z");
    }

    proptest! {
        #[test]
        fn a_secret_of_plain_signs_has_one_spelling(secret in "[a-zA-Z0-9._~*/-]{1,8}") {
            prop_assert_eq!(spellings(&secret), every_spelling(&secret));
        }

        #[test]
        fn a_masked_url_never_holds_the_secret(secret in "[a-zA-Z0-9/+=&%é \"]{4,24}") {
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let percent = utf8_percent_encode(&secret, RESERVED).to_string();
            let url = format!("https://a.example/{percent}?t={encoded}&r={secret}");
            let shown = mask(&url, [&Secret::new(secret.clone())]);
            for spelling in [&secret, &encoded, &percent] {
                prop_assert!(!shown.contains(spelling.as_str()), "{shown} holds {spelling}");
            }
        }
    }
}
