//! What is sent to Meta, what is not, and what its answers come to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crosstally_core::config::{SecretRef, Setting};
use crosstally_core::event::OutboundEvent;
use crosstally_core::event::server_event::{self, ServerDefaults};
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;
use serde_json::{Value, json};

use super::Meta;
use crate::dialect::{Built, Dialect, Settings};

mod answers;
mod batches;
mod left_out;
mod properties;
mod sdk;
mod settings;

/// 2025-11-27T01:01:40Z
const NOW: Timestamp = Timestamp::from_millis(1_764_205_300_000);
const TOKEN: &str = "EAAB-tok/en+1";

fn settings(more: &[(&str, &str)]) -> Settings {
    let mut values = BTreeMap::from([("dataset_id".to_owned(), Setting::Text("1234567890".to_owned()))]);
    values.insert("access_token".to_owned(), Setting::Secret(SecretRef::Env("META_TOKEN".to_owned())));
    for (name, text) in more {
        values.insert((*name).to_owned(), Setting::Text((*text).to_owned()));
    }
    Settings { values, secrets: BTreeMap::from([("access_token".to_owned(), Secret::new(TOKEN))]) }
}

/// A server event that Meta takes; its `event_time` is now.
fn purchase() -> Value {
    json!({
        "event": "Purchase", "event_id": "e-1", "value": "10.00", "currency": "USD",
        "event_source_url": "https://shop.example/thanks",
        "user": {"email": "a@b.example", "client_user_agent": "UA/1.0", "client_ip_address": "2001:db8::1"},
    })
}

/// Reads a server event and sets each pointer to the value given, `null` to take it away.
fn event(changes: &[(&str, Value)]) -> OutboundEvent {
    read(&changed(purchase(), changes))
}

fn changed(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(key.to_owned(), value.clone());
    }
    event
}

fn read(event: &Value) -> OutboundEvent {
    let defaults = ServerDefaults { default_region: None, now: NOW };
    server_event::read(event.to_string().as_bytes(), defaults).unwrap().event
}

fn build(events: &[OutboundEvent]) -> Built {
    Meta.build(&settings(&[]), events, NOW)
}

fn body(built: &Built) -> Value {
    serde_json::from_slice(&built.request.as_ref().unwrap().body).unwrap()
}
