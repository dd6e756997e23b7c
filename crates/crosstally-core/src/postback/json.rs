//! JSON as parameters: every leaf under its path. `{"data":{"id":7,"items":[{"sku":"a"}]}}` is `data.id` and
//! `data.items.0.sku`. An item that has `name` or `key` beside `value` is also found under that name, as shops send
//! their custom fields: `note_attributes[click_id]`. Numbers keep their digits, keys that repeat stay repeated.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::limits;
use crate::params::Params;
use crate::reason::Reason;
use crate::verdict::Stop;

/// The key under which the parser hands over a number's digits.
const NUMBER: &str = "$serde_json::private::Number";

/// A JSON value that loses nothing: neither digits nor repeated keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Nothing,
    Text(String),
    /// A number or a truth value, as it is written.
    Literal(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

/// Adds every leaf of an object.
///
/// # Errors
/// What is not a JSON object, and limits.
pub fn flatten(raw: &[u8], into: &mut Params) -> Result<(), Stop> {
    let value: Json = serde_json::from_slice(raw).map_err(|error| unreadable(raw, &error))?;
    let Json::Map(entries) = value else {
        return Err(Stop::refused(Reason::BodyUnreadable, "a call is a JSON object, and this is not one"));
    };
    let mut seen = Seen::default();
    for (key, value) in entries {
        walk(&key, value, into, &mut seen)?;
    }
    Ok(())
}

/// The items of an array, as they came.
///
/// # Errors
/// What is not a JSON array.
pub fn items(raw: &[u8]) -> Result<Vec<String>, Stop> {
    let items: Vec<Box<RawValue>> = serde_json::from_slice(raw).map_err(|error| unreadable(raw, &error))?;
    Ok(items.into_iter().map(|item| item.get().to_owned()).collect())
}

fn unreadable(raw: &[u8], error: &serde_json::Error) -> Stop {
    if std::str::from_utf8(raw).is_err() {
        return Stop::refused(Reason::BadEncoding, "the body is not UTF-8");
    }
    // The parser's own words may quote the body.
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "ends too early",
        _ => "is not valid JSON",
    };
    let detail = format!("the body {kind}, at line {} column {}", error.line(), error.column());
    Stop::refused(Reason::BodyUnreadable, detail)
}

/// What of a document was walked so far.
#[derive(Default)]
struct Seen {
    leaves: usize,
    path_bytes: usize,
}

impl Seen {
    /// Counts a path; what is refused was not copied any further.
    fn path(&mut self, path: &str) -> Result<(), Stop> {
        self.path_bytes += path.len();
        if self.path_bytes > limits::JSON_PATHS_BYTES_MAX {
            let detail = format!("the keys' paths have more than {} bytes", limits::JSON_PATHS_BYTES_MAX);
            return Err(Stop::refused(Reason::TooManyParams, detail));
        }
        Ok(())
    }
}

fn walk(path: &str, value: Json, into: &mut Params, seen: &mut Seen) -> Result<(), Stop> {
    // Here and not at the leaf: a long key above a thousand empty lists would be copied a thousand times.
    if path.len() > limits::JSON_PATH_BYTES_MAX {
        return Err(Stop::refused(Reason::ParamTooLong, "a key's path is longer than any honest one"));
    }
    seen.path(path)?;
    match value {
        Json::Nothing => Ok(()),
        Json::Text(text) | Json::Literal(text) => leaf(path, text, into, seen),
        Json::Map(entries) => {
            for (key, value) in entries {
                walk(&format!("{path}.{key}"), value, into, seen)?;
            }
            Ok(())
        }
        Json::List(items) => {
            for (at, item) in items.into_iter().enumerate() {
                if let Some((name, value)) = named(&item) {
                    let path = format!("{path}[{name}]");
                    seen.path(&path)?;
                    leaf(&path, value, into, seen)?;
                }
                walk(&format!("{path}.{at}"), item, into, seen)?;
            }
            Ok(())
        }
    }
}

fn leaf(path: &str, text: String, into: &mut Params, seen: &mut Seen) -> Result<(), Stop> {
    seen.leaves += 1;
    if seen.leaves > limits::JSON_LEAVES_MAX {
        let detail = format!("the body has more than {} values", limits::JSON_LEAVES_MAX);
        return Err(Stop::refused(Reason::TooManyParams, detail));
    }
    if path.len() > limits::JSON_PATH_BYTES_MAX {
        return Err(Stop::refused(Reason::ParamTooLong, "a key's path is longer than any honest one"));
    }
    into.push(path, text);
    Ok(())
}

/// The name and value of an item such as `{"name": "click_id", "value": "x"}`.
fn named(item: &Json) -> Option<(String, String)> {
    let Json::Map(entries) = item else { return None };
    let text = |wanted: &str| {
        entries.iter().find_map(|(key, value)| match value {
            Json::Text(text) | Json::Literal(text) if key == wanted => Some(text.clone()),
            _ => None,
        })
    };
    Some((text("name").or_else(|| text("key"))?, text("value")?))
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(JsonVisitor)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => out.serialize_unit(),
            Self::Text(text) => out.serialize_str(text),
            // Whoever writes the parser's own key may hand over what is no number.
            Self::Literal(text) => match RawValue::from_string(text.clone()) {
                Ok(raw) => raw.serialize(out),
                Err(_) => out.serialize_str(text),
            },
            Self::List(items) => out.collect_seq(items),
            Self::Map(entries) => out.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Literal(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Literal(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Literal(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries: Vec<(String, Json)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == NUMBER && entries.is_empty() {
                return Ok(Json::Literal(map.next_value::<String>()?));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Json::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn pairs(raw: &str) -> Vec<(String, String)> {
        let mut params = Params::default();
        flatten(raw.as_bytes(), &mut params).unwrap();
        params.iter().map(|param| (param.name.clone(), param.value.clone())).collect()
    }

    fn refusal(raw: &[u8]) -> Reason {
        flatten(raw, &mut Params::default()).unwrap_err().reason
    }

    #[test]
    fn every_leaf_has_its_path_and_its_digits() {
        let found = pairs(
            r#"{"id":1234567890123456789.10,"a":{"b":[{"sku":"x"},true,null]},
               "note_attributes":[{"name":"click_id","value":"c1"},{"key":"k","value":7}],"id":"again"}"#,
        );
        let expected = [
            ("id", "1234567890123456789.10"),
            ("a.b.0.sku", "x"),
            ("a.b.1", "true"),
            ("note_attributes[click_id]", "c1"),
            ("note_attributes.0.name", "click_id"),
            ("note_attributes.0.value", "c1"),
            ("note_attributes[k]", "7"),
            ("note_attributes.1.key", "k"),
            ("note_attributes.1.value", "7"),
            ("id", "again"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn d6_hostile_json_is_refused() {
        let deep = "[".repeat(100_000);
        let deep_map = "{\"a\":".repeat(100_000);
        let long_key = format!("{{\"{}\":[{}[]]}}", "k".repeat(100_000), "[],".repeat(50_000));
        let many = format!("{{{}\"z\":1}}", "\"a\":1,".repeat(1_000_000));
        let deep_keys = format!("{{\"{}\":[{}1]}}", "k".repeat(950), "1,".repeat(2_000));
        let deep_lists = format!("{{\"{}\":[{}[]]}}", "k".repeat(950), "[],".repeat(2_000));
        for (raw, reason) in [
            (deep_keys.as_bytes(), Reason::TooManyParams),
            (deep_lists.as_bytes(), Reason::TooManyParams),
            (deep.as_bytes(), Reason::BodyUnreadable),
            (deep_map.as_bytes(), Reason::BodyUnreadable),
            (many.as_bytes(), Reason::TooManyParams),
            (long_key.as_bytes(), Reason::ParamTooLong),
            (b"{\"a\":NaN}", Reason::BodyUnreadable),
            (b"{\"a\":\"\\ud800\"}", Reason::BodyUnreadable),
            (b"{\"a\":\"\xff\"}", Reason::BadEncoding),
            (b"{\"a\":1", Reason::BodyUnreadable),
            (b"[1]", Reason::BodyUnreadable),
            (b"7", Reason::BodyUnreadable),
            (b"{}{}", Reason::BodyUnreadable),
        ] {
            let shown = raw.get(..40.min(raw.len())).unwrap();
            assert_eq!(refusal(raw), reason, "{}", String::from_utf8_lossy(shown));
        }
        assert_eq!(
            pairs("{\"a\":1e999,\"b\":\"\\u0000\"}"),
            [("a".to_owned(), "1e+999".to_owned()), ("b".to_owned(), "\0".to_owned())]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(flatten(&raw, &mut Params::default()));
            drop(items(&raw));
        }
    }
}
