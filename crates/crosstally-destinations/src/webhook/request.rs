//! The call: one event as JSON, signed.

use crosstally_core::event::OutboundEvent;
use crosstally_core::hops;
use crosstally_core::identity::sha256_hex;
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;

use super::config::SECRETS;
use super::sign::{Key, bare};
use crate::age;
use crate::batch::{self, EVENT_BYTES_MAX, Limits};
use crate::dialect::{Built, Request, Settings};
use crate::json::Object;
use crate::privacy;
use crate::refused::Refused;

/// Builds the call for the first of the events that can be sent.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let limits = Limits { events: 1, bytes: EVENT_BYTES_MAX };
    let (mut id, mut hops) = (String::new(), 0);
    let payload = |event: &OutboundEvent| {
        age::not_too_old(settings, event, now)?;
        id = message_id(event);
        hops = event.origin.hops;
        payload(event)
    };
    let mut built = batch::gather(events, limits, payload, |payloads, _| {
        let url = settings.text("url").unwrap_or_default().to_owned();
        batch::json_post(url, [], payloads.concat().into_bytes(), Vec::new())
    });
    if let Some(request) = &mut built.request {
        sign(settings, request, &id, now);
        request.headers.push(hops::header(hops));
    }
    built
}

/// The same on every attempt: what the receiver remembers to see a repeat. No two goals of one conversion share it.
fn message_id(event: &OutboundEvent) -> String {
    let origin = &event.origin;
    let parts = [&event.event_id, &event.event_name, &origin.goal, &origin.conversion];
    // Length-prefixed pieces: no two different events read the same.
    let mut name: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    if let Some(adjustment) = &event.adjustment {
        name.push_str(&format!("#{}", adjustment.movement));
    }
    let hash = sha256_hex(&name);
    format!("msg_{}", hash.get(..32).unwrap_or(&hash))
}

/// Signs with every secret, so that the receiver can go over from one to the next; the time is that of this attempt.
fn sign(settings: &Settings, request: &mut Request, id: &str, now: Timestamp) {
    let secrets: Vec<&Secret> = SECRETS.into_iter().filter_map(|name| settings.secret(name)).collect();
    let keys = secrets.iter().filter_map(|secret| Key::read(secret));
    let signatures: Vec<String> = keys.map(|key| key.sign(id, now.as_seconds(), &request.body)).collect();
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.as_seconds().to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    request.headers.extend(headers.map(|(name, value)| (name.to_owned(), value)));
    // Receivers know a secret without its prefix, too.
    request.secrets = secrets.iter().flat_map(|secret| [(*secret).clone(), bare(secret)]).collect();
}

fn payload(event: &OutboundEvent) -> Result<Vec<u8>, Refused> {
    if event.event_name.trim().is_empty() {
        return Err(Refused::incomplete("event_name is required"));
    }
    let mut out = Vec::with_capacity(1024);
    let mut message = Object::open(&mut out);
    message.put("type", &event.event_name);
    message.put("timestamp", &event.event_time.to_string());
    message.object("data", |data| write_data(event, data));
    message.close();
    Ok(out)
}

/// Amounts are texts: whoever reads them decides what kind of number they become.
fn write_data(event: &OutboundEvent, data: &mut Object<'_>) {
    let origin = &event.origin;
    for (key, text) in [
        ("event_id", &event.event_id),
        ("goal", &origin.goal),
        ("conversion", &origin.conversion),
        ("status", &origin.status),
        ("transaction_id", &origin.transaction_id),
        ("event", &origin.event),
        ("external_id", &origin.external_id),
        ("partner", &origin.partner),
        ("campaign", &origin.campaign),
        ("source", &origin.source),
        ("click_id", &origin.click_id),
        ("payout", &origin.payout),
        ("revenue", &origin.revenue),
        ("action_source", &event.action_source),
    ] {
        data.put_some(key, Some(text).filter(|text| !text.is_empty()));
    }
    data.put_some("click_time", origin.click_time.map(|time| time.to_string()));
    data.put_some("value", event.value.as_ref());
    let currency = event.currency.as_ref().unwrap_or(&origin.currency);
    data.put_some("currency", Some(currency).filter(|text| !text.is_empty()));
    data.put_some("event_source_url", event.event_source_url.as_ref());
    if let Some(adjustment) = &event.adjustment {
        data.object("adjustment", |told| {
            told.put("event_time", &adjustment.event_time.to_string());
            told.put("movement", &adjustment.movement);
            told.put_some("left", adjustment.left.as_ref());
            told.put_some("taken_back", adjustment.taken_back.as_ref());
        });
    }
    privacy::write_marks(event, data);
    data.put_some("consent", Some(&event.consent).filter(|consent| !consent.is_silent()));
    for (key, map) in [("custom", &event.custom), ("click", &origin.params)] {
        data.put_some(key, Some(map).filter(|map| !map.is_empty()));
    }
}
