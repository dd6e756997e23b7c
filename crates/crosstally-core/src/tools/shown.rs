//! What is shown and kept of a tool's request and answer: secrets and contact values masked by the rules of inbound calls,
//! and the name before a URL's host.

use serde_json::Value;

use crate::postback::Inbound;
use crate::postback::redact::{Keep, body};

fn kept(value: &Value, contact: bool) -> Value {
    let inbound = Inbound {
        method: "POST".to_owned(),
        content_type: "application/json".to_owned(),
        body: value.to_string().into_bytes(),
        ..Inbound::default()
    };
    let kept = body(&inbound, Keep { partner: None, contact });
    if kept.is_lost { Value::Null } else { serde_json::from_slice(&kept.body).unwrap_or_default() }
}

/// The document with its secrets and contact values masked.
#[must_use]
pub fn masked(value: &Value) -> Value {
    let mut value = value.clone();
    without_names(&mut value);
    kept(&value, false)
}

/// Whether it holds contact values.
#[must_use]
pub fn has_contact(value: &Value) -> bool {
    kept(value, true) != kept(value, false)
}

/// A text, such as a URL, with what it holds masked.
#[must_use]
pub fn text(text: &str) -> String {
    match masked(&Value::from(text)) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

fn without_names(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(plain) = without_name(text) {
                *text = plain;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(without_names),
        Value::Object(map) => map.values_mut().for_each(without_names),
        _ => {}
    }
}

/// A URL without the name and password before its host.
fn without_name(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let (_, host) = authority.rsplit_once('@')?;
    let behind = rest.get(authority.len()..).unwrap_or_default();
    Some(format!("{scheme}://***@{host}{behind}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn e5_secrets_and_contacts_are_masked_wherever_they_stand() {
        let value = json!({
            "url": "https://marker-name:marker-pass@a.example/p?token=marker-token&cid=1&email=marker%40mail.example#x",
            "secret": "marker-secret",
            "params": [["token", "marker-param"], ["sub1", "kept"]],
            "payload": "{\"user\":{\"email\":\"marker@mail.example\",\"phone\":\"+16505550199\"},\"event\":\"Purchase\"}",
            "hops": [{"url": "https://b.example/?api_key=marker-key&fbclid=IwAR"}],
            "number": 12,
        });
        let shown = masked(&value);
        let text = shown.to_string();
        for needle in ["marker", "6505550199"] {
            assert!(!text.contains(needle), "{needle}: {text}");
        }
        for kept in ["cid=1", "kept", "fbclid=IwAR", "a.example/p", "Purchase", "\"number\":12"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert_eq!(masked(&shown), shown);
        assert!(has_contact(&value));
        assert!(!has_contact(&json!({"url": "https://a.example/?token=x&cid=1"})));
    }
}
