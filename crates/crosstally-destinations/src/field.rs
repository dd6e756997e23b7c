//! Single JSON values: what a key may hold. `null` counts as absent.

use serde_json::{Map, Number, Value};

/// Digits and signs of a number. Money and shares have far fewer.
const NUMBER_BYTES_MAX: usize = 40;

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text or a whole number; not empty.
    Id,
    /// A number.
    Number,
    /// A number of 0 or more.
    Amount,
    /// A number from 0 to 1.
    Share,
    /// A whole number.
    Integer,
    /// A whole number of 0 or more.
    Count,
    /// A whole number of 1 or more.
    Quantity,
    /// `true`, `false`, 1 or 0.
    Flag,
    /// A list of texts.
    Texts,
    /// An object; these of its keys are checked.
    Object(&'static [(&'static str, Kind)]),
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text, Value::String(_))
            | (Self::Flag, Value::Bool(_))
            | (Self::Object(_), Value::Object(_)) => true,
            (Self::Word(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::Id, Value::String(text)) => !text.trim().is_empty(),
            (Self::Number, Value::Number(number)) => is_plain(number),
            (Self::Amount, Value::Number(number)) => is_plain(number) && !is_negative(number),
            (Self::Share, Value::Number(number)) => is_share(number.as_str()),
            (Self::Integer | Self::Id, Value::Number(number)) => number.as_i64().is_some(),
            (Self::Count, Value::Number(number)) => number.as_i64().is_some_and(|count| count >= 0),
            (Self::Quantity, Value::Number(number)) => number.as_i64().is_some_and(|count| count >= 1),
            (Self::Flag, Value::Number(number)) => matches!(number.as_str(), "0" | "1"),
            (Self::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
            _ => false,
        }
    }

    fn must(self) -> String {
        let text = match self {
            Self::Text => "a text",
            Self::Word(words) => return format!("one of {}", words.join(", ")),
            Self::Id => "a text or a whole number",
            Self::Number => "a number",
            Self::Amount => "a number of 0 or more",
            Self::Share => "a number from 0 to 1",
            Self::Integer => "a whole number",
            Self::Count => "a whole number of 0 or more",
            Self::Quantity => "a whole number of 1 or more",
            Self::Flag => "true, false, 1 or 0",
            Self::Texts => "a list of texts",
            Self::Object(_) => "an object",
        };
        text.to_owned()
    }
}

/// Checks the known keys of an object. What is wrong names the key without what it stands in.
pub(crate) fn check_fields(map: &Map<String, Value>, fields: &[(&str, Kind)]) -> Result<(), String> {
    // The objects are small, so that comparing lengths beats hashing every known key.
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let Some((_, kind)) = fields.iter().find(|(known, _)| known == key) else { continue };
        if !kind.holds(value) {
            return Err(format!("{key} must be {}", kind.must()));
        }
        if let (Kind::Object(inside), Value::Object(map)) = (kind, value) {
            check_fields(map, inside).map_err(|wrong| format!("{key}.{wrong}"))?;
        }
    }
    Ok(())
}

fn is_plain(number: &Number) -> bool {
    let text = number.as_str();
    text.len() <= NUMBER_BYTES_MAX && !text.contains(['e', 'E'])
}

fn is_negative(number: &Number) -> bool {
    number.as_str().starts_with('-')
}

fn is_share(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match whole {
        "0" => fraction.bytes().all(|b| b.is_ascii_digit()),
        "1" => fraction.bytes().all(|b| b == b'0'),
        _ => false,
    }
}
