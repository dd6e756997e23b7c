//! The JSON as such: one object, no key twice at any depth, no text that a database could not hold, no number that
//! only a float could. A key with `null` counts as absent.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::EVENT_BYTES_MAX;
use super::fields::{Problems, child};

/// Objects and lists inside one another.
const DEPTH_MAX: usize = 16;
/// Digits of a number; an exponent adds to them.
const NUMBER_BYTES_MAX: usize = 40;

/// The event's object. Without one there is a problem.
pub(super) fn read(json: &[u8], problems: &mut Problems) -> Option<Map<String, Value>> {
    if json.len() > EVENT_BYTES_MAX {
        problems.add("", format!("is longer than {EVENT_BYTES_MAX} bytes"));
        return None;
    }
    let Ok(text) = std::str::from_utf8(json) else {
        problems.add("", "is not UTF-8");
        return None;
    };
    let raw: &RawValue = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(raw) => raw,
        Err(error) => {
            // The parser's own words end with the place and hold nothing of the text.
            problems.add("", format!("is not one JSON value: {error}"));
            return None;
        }
    };
    match tree(raw, "", 0, problems) {
        Value::Object(object) => Some(object),
        _ if problems.is_empty() => {
            problems.add("", "must be a JSON object");
            None
        }
        _ => None,
    }
}

fn tree(raw: &RawValue, pointer: &str, depth: usize, problems: &mut Problems) -> Value {
    let text = raw.get();
    let nested = text.starts_with(['{', '[']);
    if nested && depth == DEPTH_MAX {
        problems.add(pointer, format!("is nested deeper than {DEPTH_MAX} levels"));
        return Value::Null;
    }
    if text.starts_with('{') {
        return object(text, pointer, depth, problems);
    }
    if nested {
        let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        let items = items.iter().enumerate();
        return items
            .map(|(index, item)| tree(item, &format!("{pointer}/{index}"), depth + 1, problems))
            .collect();
    }
    match serde_json::from_str(text) {
        Ok(Value::String(text)) if text.contains('\0') => {
            problems.add(pointer, "contains NUL");
            Value::Null
        }
        Ok(Value::Number(number))
            if number.as_str().len() > NUMBER_BYTES_MAX || is_scientific(number.as_str()) =>
        {
            problems.add(pointer, "is not a plain number such as 12.34");
            Value::Null
        }
        Ok(value) => value,
        // What the scan let pass and the parser does not: half of a surrogate pair.
        Err(_) => {
            problems.add(pointer, "is not valid Unicode text");
            Value::Null
        }
    }
}

fn object(text: &str, pointer: &str, depth: usize, problems: &mut Problems) -> Value {
    let Ok(Members(members)) = serde_json::from_str(text) else {
        problems.add(pointer, "has a key that is not valid Unicode text");
        return Value::Null;
    };
    let mut object = Map::with_capacity(members.len());
    for (key, raw) in members {
        let place = child(pointer, &key);
        if key.contains('\0') {
            problems.add(&place, "has NUL in its name");
            continue;
        }
        let value = tree(raw, &place, depth + 1, problems);
        if object.contains_key(&key) {
            problems.add(&place, "comes twice; send each key once");
        } else {
            object.insert(key, value);
        }
    }
    object.retain(|_, value| !value.is_null());
    Value::Object(object)
}

fn is_scientific(number: &str) -> bool {
    number.contains(['e', 'E'])
}

/// An object's members in order, repeats included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reader)
    }
}
