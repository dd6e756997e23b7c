//! What is sent to a dataset: one JSON body with the events and, behind them, the token.

use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use super::config::Config;
use super::rules::{self, Checked};
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Built, Request, Settings};
use crate::json::Object;
use crate::privacy;

/// The most events that Meta takes in one request.
pub(super) const BATCH_MAX: usize = 1000;

/// Builds a request for the events that Meta takes.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let limits = Limits { events: BATCH_MAX, bytes: EVENTS_BYTES_MAX };
    let payload = |event: &OutboundEvent| {
        let checked = rules::check(event, now)?;
        let mut out = Vec::with_capacity(1536);
        write_event(&checked, &mut out);
        Ok(out)
    };
    batch::gather(events, limits, payload, |payloads, bytes| request(settings, payloads, bytes))
}

fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let config = Config::of(settings);
    let mut body = Vec::with_capacity(bytes + 512);
    let mut main = Object::open(&mut body);
    main.raw_list("data", payloads);
    main.put_some("test_event_code", config.test_event_code);
    main.put("partner_agent", config.partner_agent);
    for (key, text) in config.uploads {
        main.put_some(key, text);
    }
    // In the body the token stays out of the access logs of whatever proxy stands between.
    let before_token = main.position();
    main.put_some("access_token", config.access_token.map(|token| token.expose()));
    main.close();

    let mut body_shown = Vec::with_capacity(before_token + 1);
    body_shown.extend_from_slice(body.get(..before_token).unwrap_or_default());
    body_shown.push(b'}');
    let url = format!("{}/{}/{}/events", config.endpoint, config.api_version, config.dataset_id);
    let secrets = config.access_token.cloned().into_iter().collect();
    Request { body_shown, ..batch::json_post(url, [], body, secrets) }
}

fn write_event(checked: &Checked<'_>, out: &mut Vec<u8>) {
    let event = checked.event;
    let mut object = Object::open(out);
    object.put("event_name", &event.event_name);
    object.put("event_time", &checked.event_time_s);
    object.put_some("event_id", Some(&event.event_id).filter(|id| !id.is_empty()));
    object.put_some("event_source_url", event.event_source_url.as_deref());
    object.put_some("referrer_url", checked.referrer_url);
    object.put("action_source", &event.action_source);
    privacy::write_marks(event, &mut object);
    object.object("user_data", |user| write_user(checked, user));
    if checked.money.value.is_some() || checked.money.currency.is_some() || !event.custom.is_empty() {
        object.object("custom_data", |custom| write_custom(checked, custom));
    }
    if !event.extra.is_empty() {
        for (key, _) in rules::EXTRA {
            match event.extra.get(*key) {
                None | Some(Value::Null) => {}
                Some(Value::Object(map)) => object.object(key, |inside| write_present(map, inside)),
                Some(value) => object.put(key, value),
            }
        }
    }
    object.close();
}

fn write_user(checked: &Checked<'_>, object: &mut Object<'_>) {
    let user = &checked.user;
    for (field, hashes) in user.contact.meta() {
        object.plain_list(field.key(), hashes);
    }
    object.put_some("client_ip_address", user.client_ip_address);
    object.put_some("client_user_agent", user.client_user_agent);
    object.put_some("fbc", user.fbc);
    object.put_some("fbp", user.fbp);
    for (key, value) in user.plain() {
        object.put(key, value);
    }
}

fn write_custom(checked: &Checked<'_>, object: &mut Object<'_>) {
    object.digits("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    write_present(&checked.event.custom, object);
}

/// Writes an object's members that are not `null`.
fn write_present(map: &Map<String, Value>, object: &mut Object<'_>) {
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        object.put(key, value);
    }
}
