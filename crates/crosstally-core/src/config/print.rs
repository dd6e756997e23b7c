//! Writes a configuration as a document that reads back as the same configuration.

use super::layout::{self, Value};
use super::{Config, SecretRef};

/// A secret stands in the configuration as plain text; it must be sealed before the configuration is written anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {record} is plain text; it must be sealed before the configuration is written")]
pub struct LiteralSecret {
    /// The secret's record.
    pub record: String,
}

/// Writes the canonical document: sections and keys in a fixed order, every default spelled out, no comments.
///
/// # Errors
/// A secret that is plain text is never written.
pub fn print(config: &Config) -> Result<String, LiteralSecret> {
    for (record, reference) in super::secrets(config) {
        if matches!(reference, SecretRef::Literal(_)) {
            return Err(LiteralSecret { record });
        }
    }
    let mut out = String::new();
    for entry in layout::entries(config) {
        if !out.is_empty() {
            out.push('\n');
        }
        match entry.slug {
            None => out.push_str(&format!("[{}]\n", entry.section)),
            Some(slug) => out.push_str(&format!("[[{}]]\nslug = {}\n", entry.section, quoted(slug))),
        }
        for (key, value) in &entry.keys {
            out.push_str(&format!("{} = {}\n", key_text(key), value_text(value)));
        }
    }
    Ok(out)
}

fn value_text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Quiet(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Secret(reference) => secret_text(reference),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(keys) if keys.is_empty() => "{}".to_owned(),
        Value::Table(keys) => {
            let keys: Vec<String> = keys
                .iter()
                .map(|(key, value)| format!("{} = {}", key_text(key), value_text(value)))
                .collect();
            format!("{{ {} }}", keys.join(", "))
        }
    }
}

/// A secret's reference as a document writes it.
pub(super) fn secret_text(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("{{ env = {} }}", quoted(name)),
        SecretRef::File(path) => format!("{{ file = {} }}", quoted(path)),
        SecretRef::Sealed(sealed) => format!("{{ sealed = {} }}", quoted(sealed)),
        // `print` has refused these before it wrote anything.
        SecretRef::Literal(secret) => quoted(&secret.to_string()),
    }
}

/// A key, in quotes where its signs ask for them.
pub(super) fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_owned() } else { quoted(key) }
}

/// A text in quotes, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether a sign is one that a terminal would act on or not show.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
