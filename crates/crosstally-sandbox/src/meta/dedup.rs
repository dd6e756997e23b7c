//! Under which names Meta recognises an event again.

use serde_json::Value;

use super::request::Sent;
use crate::ledger::{Key, Keys, Source};

const HOUR_MS: i64 = 60 * 60 * 1000;
const WINDOW_MS: i64 = 48 * HOUR_MS;
const STORE_WINDOW_MS: i64 = 7 * 24 * HOUR_MS;

/// The keys of a valid event. `external_id` goes before `fbp`.
pub(crate) fn keys(dataset: &str, sent: &Sent, source: Source) -> Keys {
    let name = sent.text("event_name").unwrap_or_default();
    let store = sent.text("action_source") == Some("physical_store");
    let mut keys = Keys::default();
    let mut check_and_register = |key: Key| {
        keys.check.push(key.clone());
        keys.register.push(key);
    };
    let id = sent.text("event_id").filter(|id| !id.is_empty());
    if let Some(id) = id {
        let kind = if store { "store-id" } else { "id" };
        check_and_register(Key {
            by: "event_id",
            text: join(&[kind, dataset, name, id]),
            window_ms: WINDOW_MS,
        });
    }
    if store {
        store_key(dataset, name, sent).into_iter().for_each(check_and_register);
        return keys;
    }
    match source {
        Source::Browser => keys.register.extend(people(dataset, name, sent)),
        Source::Server if id.is_none() => keys.check.extend(people(dataset, name, sent).into_iter().take(1)),
        Source::Server => {}
    }
    keys
}

/// A browser event can stand in for a later server event of the same person that has no id.
fn people(dataset: &str, name: &str, sent: &Sent) -> Vec<Key> {
    let user = sent.map.get("user_data").and_then(Value::as_object);
    let text = |key: &str| match user?.get(key)? {
        Value::String(text) => Some(text.as_str()),
        Value::Array(items) => items.first()?.as_str(),
        _ => None,
    };
    let key = |by: &'static str| {
        let text = join(&[by, dataset, name, text(by)?]);
        Some(Key { by, text, window_ms: WINDOW_MS })
    };
    ["external_id", "fbp"].into_iter().filter_map(key).collect()
}

/// Store events have no browser twin; they are compared among themselves, by their order too.
fn store_key(dataset: &str, name: &str, sent: &Sent) -> Option<Key> {
    let custom = sent.map.get("custom_data")?.as_object()?;
    let text = |key: &str| custom.get(key).and_then(Value::as_str).unwrap_or_default();
    let order = Some(text("order_id")).filter(|order| !order.is_empty())?;
    let time = sent.map.get("event_time")?.to_string();
    let text = join(&["store", dataset, &time, name, text("item_number"), order]);
    Some(Key { by: "order_id", text, window_ms: STORE_WINDOW_MS })
}

/// Joins parts so that no two lists of parts give the same text.
fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text
}
