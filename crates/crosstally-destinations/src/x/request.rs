//! What is sent to a pixel: a batch of conversions.

use crosstally_core::event::OutboundEvent;
use crosstally_core::secret::Secret;
use crosstally_core::time::{DAY_MS, Timestamp};

use super::{config, oauth1};
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::custom::{self, Item};
use crate::dialect::{Built, Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, ip_address, present, sha256_only, user_agent};
use crate::{age, names, privacy};

/// The most events that X takes in one request.
pub(super) const BATCH_MAX: usize = 500;
/// How old an event may be.
pub(super) const AGE_MAX_MS: i64 = 90 * DAY_MS;
const PLATFORM: &str = "X";
/// Builds a request for the events that X takes.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let limits = Limits { events: BATCH_MAX, bytes: EVENTS_BYTES_MAX };
    let payload = |event: &OutboundEvent| payload(settings, event, now);
    batch::gather(events, limits, payload, |payloads, bytes| request(settings, payloads, bytes, now))
}

fn request(settings: &Settings, payloads: &[String], bytes: usize, now: Timestamp) -> Request {
    let mut body = Vec::with_capacity(bytes + 32);
    let mut main = Object::open(&mut body);
    main.raw_list("conversions", payloads);
    main.close();
    let url = config::url(settings);
    let header = match settings.secret(config::PIXEL_TOKEN) {
        Some(token) => Some(("x-pixel-token", token.expose().to_owned())),
        None => oauth1::authorization(settings, &url, &body, now).map(|text| ("authorization", text)),
    };
    let secrets: Vec<Secret> = settings.secrets.values().cloned().collect();
    batch::json_post(url, header, body, secrets)
}

fn payload(settings: &Settings, event: &OutboundEvent, now: Timestamp) -> Result<Vec<u8>, Refused> {
    privacy::no_opt_out(event, PLATFORM)?;
    privacy::no_limits(event, PLATFORM)?;
    // An id of X is clear enough as an event's name.
    let event_id = if event.event_name.starts_with("tw-") {
        event.event_name.as_str()
    } else {
        names::object_of(settings, config::EVENT_IDS, &event.event_name)?
    };
    let time = age::event_time(event, now, AGE_MAX_MS, PLATFORM)?;
    let money = Amount::of(event, PLATFORM, None)?;
    custom::check(&event.custom)?;
    let identifiers = identifiers(event)?;
    let mut out = Vec::with_capacity(512);
    let mut object = Object::open(&mut out);
    object.put("conversion_time", &time.to_string());
    object.put("event_id", event_id);
    object.raw_list("identifiers", &identifiers);
    object.put_some("conversion_id", present(Some(&event.event_id)));
    // Exact digits, as text.
    object.put_some("value", money.value);
    object.put_some("price_currency", money.currency);
    let items = custom::digits(&event.custom, "num_items").filter(|digits| *digits != "0");
    object.digits("number_items", items);
    object.put_some("description", custom::text(&event.custom, "content_name"));
    object.put_some("search_string", custom::text(&event.custom, "search_string"));
    object.objects("contents", custom::items(&event.custom), write_content);
    object.put_some("event_source_url", event.event_source_url.as_ref());
    object.close();
    Ok(out)
}

/// Who it was: one object for each. Address and user agent stand for too many people to go alone.
fn identifiers(event: &OutboundEvent) -> Result<Vec<String>, Refused> {
    let click = ad_click_id(event, "twclid").map(|id| ("twclid", id));
    let email = sha256_only(&event.contact.email).next().map(|hash| ("hashed_email", hash));
    let phone = sha256_only(&event.contact.e164_phone).next().map(|hash| ("hashed_phone_number", hash));
    let mut found: Vec<String> = [click, email, phone]
        .into_iter()
        .flatten()
        .map(|(key, value)| json::text(|object| object.put(key, value)))
        .collect();
    if found.is_empty() {
        return Err(Refused::incomplete("twclid, an e-mail address or a phone number is required"));
    }
    let (address, agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    if address.is_some() || agent.is_some() {
        found.push(json::text(|object| {
            object.put_some("ip_address", address);
            object.put_some("user_agent", agent);
        }));
    }
    Ok(found)
}

fn write_content(item: Item<'_>, object: &mut Object<'_>) {
    object.put("content_id", item.id());
    object.put_some("content_name", item.text("title"));
    object.put_some("content_type", item.text("category"));
    object.digits("content_price", item.digits("item_price"));
    object.digits("num_items", item.digits("quantity"));
}
