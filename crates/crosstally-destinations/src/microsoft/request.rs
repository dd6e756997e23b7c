//! What is sent to a tag, and which events are left out because Microsoft would refuse them.

use crosstally_core::consent::Choice;
use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, external_ids, ip_address, sha256_only, user_agent};
use crate::{age, custom, names, privacy};

/// What Microsoft takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 1000, bytes: EVENTS_BYTES_MAX };

/// From the standard names to what is not an event of one's own; all others go as they are, as goals are defined by the
/// advertiser's own names.
const NAMES: &[(&str, &str)] = &[("PageView", PAGE_LOAD)];
const PAGE_LOAD: &str = "pageLoad";

/// An event that Microsoft takes.
struct Checked<'a> {
    event: &'a OutboundEvent,
    name: &'a str,
    event_time: Timestamp,
    money: Amount<'a>,
    msclkid: Option<&'a str>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 96, |main| {
        main.raw_list("data", payloads);
        main.put("dataProvider", "crosstally");
        main.put("continueOnValidationError", &true);
    });
    batch::bearer_post(settings, config::url(settings), body)
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::required(settings, NAMES, event)?;
    if name == PAGE_LOAD && event.event_source_url.is_none() {
        return Err(Refused::incomplete("event_source_url is required for a pageLoad"));
    }
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "Microsoft")?;
    privacy::no_limits(event, "Microsoft")?;
    custom::check(&event.custom)?;
    let money = Amount::of(event, "Microsoft", None)?;
    // A click id that is none of Microsoft's would have the event refused.
    let msclkid = ad_click_id(event, "msclkid").filter(|id| is_click_id(id));
    let (ip, user_agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    let contact = &event.contact;
    let known = [&contact.email, &contact.phone].iter().any(|list| sha256_only(list).next().is_some());
    if !(known || msclkid.is_some() || ip.is_some() || !external_ids(contact).is_empty()) {
        return Err(Refused::incomplete(
            "user data is not enough to recognise anybody; add msclkid, an e-mail address, a phone number, external_id or client_ip_address",
        ));
    }
    Ok(Checked { event, name, event_time, money, msclkid, ip, user_agent })
}

/// 32 to 36 hexadecimal digits, or 32 with the hyphens of a UUID.
fn is_click_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    digits >= 32
        && (32..=36).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Writes one event, if Microsoft takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    let page_load = checked.name == PAGE_LOAD;
    object.put("eventType", if page_load { PAGE_LOAD } else { "custom" });
    object.put_some("eventName", Some(checked.name).filter(|_| !page_load));
    object.put_some("eventId", Some(&event.event_id).filter(|id| !id.is_empty()));
    object.put("eventTime", &checked.event_time.as_seconds());
    object.put_some("eventSourceUrl", event.event_source_url.as_deref());
    object.put_some("referrerUrl", event.referrer_url.as_deref());
    object.put_some("adStorageConsent", consent(event));
    object.object("userData", |user| {
        user.put_some("em", sha256_only(&event.contact.email).next());
        user.put_some("ph", sha256_only(&event.contact.phone).next());
        user.put_some("msclkid", checked.msclkid);
        user.put_some("externalId", external_ids(&event.contact).first());
        user.put_some("clientIpAddress", checked.ip);
        user.put_some("clientUserAgent", checked.user_agent);
    });
    object.object("customData", |custom| write_custom(&checked, custom));
    Ok(())
}

/// Microsoft knows one choice: whether anything about the visitor may be stored for advertising.
fn consent(event: &OutboundEvent) -> Option<&'static str> {
    match (event.opt_out, event.consent.user_data()) {
        (Some(true), _) | (_, Some(Choice::Denied)) => Some("D"),
        (_, Some(Choice::Granted)) => Some("G"),
        (_, None) => None,
    }
}

fn write_custom(checked: &Checked<'_>, object: &mut Object<'_>) {
    let custom = &checked.event.custom;
    object.digits("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    object.put_some("transactionId", custom::text(custom, "order_id"));
    object.put_some("searchTerm", custom::text(custom, "search_string"));
    object.put_some("itemIds", custom::any(custom, "content_ids"));
    object.objects("items", custom::items(custom), |item, object| {
        object.put("id", item.id());
        object.put_some("name", item.text("title"));
        object.digits("price", item.digits("item_price"));
        object.digits("quantity", item.digits("quantity"));
    });
}
