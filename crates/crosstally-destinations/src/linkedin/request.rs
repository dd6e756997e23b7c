//! What is sent to LinkedIn: a batch of conversion events.

use crosstally_core::event::OutboundEvent;
use crosstally_core::time::{DAY_MS, Timestamp};

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, ip_address, present, sha256_only};
use crate::{age, names, privacy};

/// What LinkedIn takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 5000, bytes: EVENTS_BYTES_MAX };
/// How old an event may be.
pub(super) const AGE_MAX_MS: i64 = 90 * DAY_MS;
const PLATFORM: &str = "LinkedIn";

/// Puts the events into a batch.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let mut body = Vec::with_capacity(bytes + 32);
    let mut main = Object::open(&mut body);
    main.raw_list("elements", payloads);
    main.close();
    let mut request = batch::bearer_post(settings, config::url(settings), body);
    let headers = [
        ("linkedin-version", settings.text("api_version").unwrap_or_default()),
        ("x-restli-protocol-version", "2.0.0"),
        ("x-restli-method", "BATCH_CREATE"),
    ];
    request.headers.extend(headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    request
}

/// Writes one event.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    privacy::no_opt_out(event, PLATFORM)?;
    privacy::no_limits(event, PLATFORM)?;
    let rule = names::object_of(settings, config::RULES, &event.event_name)?;
    let time = age::event_time(event, now, AGE_MAX_MS, PLATFORM)?;
    let money = Amount::of(event, PLATFORM, None)?;
    if money.value.is_some() && money.currency.is_none() {
        return Err(Refused::incomplete("currency is required beside a value"));
    }
    let ids = user_ids(event)?;
    object.put("conversion", &format!("urn:lla:llaPartnerConversion:{rule}"));
    object.put("conversionHappenedAt", &time.as_millis());
    if let (Some(value), Some(currency)) = (money.value, money.currency) {
        object.object("conversionValue", |amount| {
            amount.put("currencyCode", currency);
            amount.put("amount", value);
        });
    }
    object.put_some("eventId", present(Some(&event.event_id)));
    object.object("user", |user| user.raw_list("userIds", &ids));
    Ok(())
}

/// Who it was. The address alone stands for too many people.
fn user_ids(event: &OutboundEvent) -> Result<Vec<String>, Refused> {
    let email = sha256_only(&event.contact.email).next().map(|hash| ("SHA256_EMAIL", hash));
    let click = ad_click_id(event, "li_fat_id").map(|id| ("LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", id));
    if email.is_none() && click.is_none() {
        return Err(Refused::incomplete("li_fat_id or an e-mail address is required"));
    }
    // LinkedIn does not say that it drops an address of the newer kind.
    let address = ip_address(&event.visitor)?.filter(|text| text.parse::<std::net::Ipv4Addr>().is_ok());
    let address = address.map(|text| ("PLAINTEXT_IP_ADDRESS", text));
    let ids = [email, click, address].into_iter().flatten();
    Ok(ids
        .map(|(kind, value)| {
            json::text(|object| {
                object.put("idType", kind);
                object.put("idValue", value);
            })
        })
        .collect())
}
