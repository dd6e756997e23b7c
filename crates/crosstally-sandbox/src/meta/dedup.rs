//! Under which names Meta recognises an event again.

use serde_json::{Map, Value};

use crate::ledger::{Key, Source, join};

const HOUR_MS: i64 = 60 * 60 * 1000;
const WINDOW_MS: i64 = 48 * HOUR_MS;
const STORE_WINDOW_MS: i64 = 7 * 24 * HOUR_MS;

/// The keys of a valid event. `external_id` goes before `fbp`.
pub(crate) fn keys(dataset: &str, event: &Map<String, Value>, source: Source) -> Vec<Key> {
    let name = text(event, "event_name");
    let store = text(event, "action_source") == "physical_store";
    let id = text(event, "event_id");
    let mut keys = Vec::with_capacity(1);
    if !id.is_empty() {
        let kind = if store { "store-id" } else { "id" };
        keys.push(Key::new("event_id", join(&[kind, dataset, name, id]), WINDOW_MS));
    }
    if store {
        keys.extend(store_key(dataset, name, event));
        return keys;
    }
    match source {
        Source::Browser => {
            let people = people(dataset, name, event);
            keys.extend(people.map(|key| Key { checks: false, ..key }));
        }
        Source::Server if id.is_empty() => {
            let person = people(dataset, name, event).next();
            keys.extend(person.map(|key| Key { registers: false, ..key }));
        }
        Source::Server => {}
    }
    keys
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A browser event can stand in for a later server event of the same person that has no id.
fn people(dataset: &str, name: &str, event: &Map<String, Value>) -> impl Iterator<Item = Key> {
    let user = event.get("user_data").and_then(Value::as_object);
    let key = move |by: &'static str| {
        let person = match user?.get(by)? {
            Value::Array(items) => items.first()?.as_str()?,
            other => other.as_str()?,
        };
        Some(Key::new(by, join(&[by, dataset, name, person]), WINDOW_MS))
    };
    ["external_id", "fbp"].into_iter().filter_map(key)
}

/// Store events have no browser twin; they are compared among themselves, by their order too.
fn store_key(dataset: &str, name: &str, event: &Map<String, Value>) -> Option<Key> {
    let custom = event.get("custom_data")?.as_object()?;
    let order = Some(text(custom, "order_id")).filter(|order| !order.is_empty())?;
    let time = event.get("event_time")?.to_string();
    let parts = ["store", dataset, &time, name, text(custom, "item_number"), order];
    Some(Key::new("order_id", join(&parts), STORE_WINDOW_MS))
}
