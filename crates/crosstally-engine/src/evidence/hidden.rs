//! What of a visitor is in no pack, wherever it stands: cookies by their names and by how they are built, and mail addresses.

use crosstally_core::postback::redact::{MASK, without_mails};
use serde_json::Value;

/// Members that hold a visitor's cookie.
const COOKIES: &[&str] = &[
    "fbp",
    "fbc",
    "ttp",
    "sccookie1",
    "rdtuuid",
    "uuid",
    "gaclientid",
    "clientid",
    "cookie",
    "cookies",
    "setcookie",
];
/// How the two cookies of Meta begin.
const META: &str = "fb.";

/// The record's body without them.
pub(crate) fn hidden(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text_hidden(text)),
        Value::Array(list) => list.into_iter().map(hidden).collect(),
        Value::Object(map) => {
            let member = |(name, value): (String, Value)| match is_cookie(&name) && !is_nothing(&value) {
                true => (name, mask().into()),
                false => (text_hidden(name), hidden(value)),
            };
            Value::Object(map.into_iter().map(member).collect())
        }
        other => other,
    }
}

fn mask() -> String {
    String::from_utf8_lossy(MASK).into_owned()
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

fn is_cookie(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    COOKIES.iter().any(|cookie| cookie.eq_ignore_ascii_case(&letters))
}

fn text_hidden(text: String) -> String {
    let text = without_mails(&text).unwrap_or(text);
    without_cookies(&text).unwrap_or(text)
}

/// The text with each `fb.1.1700000000000.AbC` in it masked, if it holds any.
fn without_cookies(text: &str) -> Option<String> {
    let mut kept = String::new();
    let (mut rest, mut looked) = (text, 0);
    while let Some(found) = rest.get(looked..).and_then(|left| left.find(META)) {
        let (before, here) = rest.split_at(looked + found);
        match cookie_ends(here) {
            Some(ends) => {
                kept.push_str(before);
                kept.push_str(&mask());
                (rest, looked) = (here.get(ends..).unwrap_or_default(), 0);
            }
            None => looked += found + META.len(),
        }
    }
    (rest.len() < text.len()).then(|| kept + rest)
}

/// Where such a value ends that a text begins with.
fn cookie_ends(text: &str) -> Option<usize> {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let ends = text.bytes().position(|byte| !is_of_it(byte)).unwrap_or(text.len());
    let mut parts = text.get(META.len()..ends)?.splitn(3, '.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_one = is_number(parts.next()?) && is_number(parts.next()?) && !parts.next()?.is_empty();
    is_one.then_some(ends)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cookies_and_mail_addresses_are_hidden_wherever_they_stand() {
        let body = json!({
            "payload": {"data": [{"user_data": {"fbp": "anything", "fbc": "", "client_id": "1.2"}, "event_id": "jane@doe.example"}]},
            "url": "https://a.example/u/jane%40doe.example?fbp=fb.1.1700000000000.5&x=fb.2&y=1",
            "user_agent": "App/1 (jane@doe.example)", "fb.1.1700000000000.AbC-d_e.AQQ": 1, "number": 1.10, "click_id": "c",
        });
        let expected = json!({
            "payload": {"data": [{"user_data": {"fbp": "***", "fbc": "", "client_id": "***"}, "event_id": "***"}]},
            "url": "https://a.example/u/***?fbp=***&x=fb.2&y=1",
            "user_agent": "App/1 (***)", "***": 1, "number": 1.10, "click_id": "c",
        });
        assert_eq!(hidden(body), expected);
    }
}
