//! What is sent to a pixel, and which events are left out because Snapchat would refuse them.

use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;
use serde_json::Value;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, ip_address, other_id, sha256_only, shared_lists, user_agent};
use crate::{age, custom, names, privacy};

/// What Snapchat takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 2000, bytes: EVENTS_BYTES_MAX };
/// Bytes of the events in one request; others who send there stop at 2 MB.
const EVENTS_BYTES_MAX: usize = 2_000_000;

/// From the standard names, as Meta writes them, to Snapchat's. It has no lead.
const NAMES: &[(&str, &str)] = &[
    ("PageView", "PAGE_VIEW"),
    ("ViewContent", "VIEW_CONTENT"),
    ("AddToCart", "ADD_CART"),
    ("AddToWishlist", "ADD_TO_WISHLIST"),
    ("InitiateCheckout", "START_CHECKOUT"),
    ("AddPaymentInfo", "ADD_BILLING"),
    ("Lead", "SIGN_UP"),
    ("CompleteRegistration", "SIGN_UP"),
    ("Purchase", "PURCHASE"),
    ("Subscribe", "SUBSCRIBE"),
    ("Search", "SEARCH"),
    ("StartTrial", "START_TRIAL"),
];

/// Further names of Snapchat's.
const KNOWN: &[&str] = &[
    "LIST_VIEW",
    "COMPLETE_TUTORIAL",
    "SPENT_CREDITS",
    "AD_CLICK",
    "AD_VIEW",
    "RATE",
    "LEVEL_COMPLETE",
    "ACHIEVEMENT_UNLOCKED",
    "SAVE",
    "SHARE",
    "INVITE",
    "LOGIN",
    "RESERVE",
    "CUSTOM_EVENT_1",
    "CUSTOM_EVENT_2",
    "CUSTOM_EVENT_3",
    "CUSTOM_EVENT_4",
    "CUSTOM_EVENT_5",
];

/// An event that Snapchat takes.
struct Checked<'a> {
    event: &'a OutboundEvent,
    name: &'a str,
    event_time: Timestamp,
    action_source: &'static str,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    money: Amount<'a>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 128, |main| {
        main.raw_list("data", payloads);
        main.put_some("test_event_code", settings.text("test_event_code"));
    });
    let secrets = settings.secret("access_token").cloned().into_iter().collect();
    batch::json_post(config::url(settings), None, body, secrets)
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::listed(settings, NAMES, KNOWN, event, "Snapchat")?;
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "Snapchat")?;
    let action_source = match event.action_source.as_str() {
        "website" => "WEB",
        "app" => "MOBILE_APP",
        _ => "OFFLINE",
    };
    if action_source == "WEB" && event.event_source_url.is_none() {
        return Err(Refused::incomplete("event_source_url is required for a website event"));
    }
    if action_source == "MOBILE_APP" && !event.extra.get("app_data").is_some_and(Value::is_object) {
        return Err(Refused::incomplete("app_data is required for an app event"));
    }
    privacy::limited(event)?;
    custom::check(&event.custom)?;
    let money = Amount::of(event, "Snapchat", (name == "PURCHASE").then_some("a PURCHASE"))?;
    let (ip, user_agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    let contact = &event.contact;
    let known = [&contact.email, &contact.phone].iter().any(|list| sha256_only(list).next().is_some());
    let browser = ip.is_some() && user_agent.is_some();
    if !(known || browser || other_id(event, "madid").is_some()) {
        return Err(Refused::incomplete(
            "user data is not enough to recognise anybody; add an e-mail address, a phone number, madid, or both client_ip_address and client_user_agent",
        ));
    }
    Ok(Checked { event, name, event_time, action_source, ip, user_agent, money })
}

/// Writes one event, if Snapchat takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    object.put("event_name", checked.name);
    object.put("event_time", &checked.event_time.as_seconds());
    object.put_some("event_id", Some(&event.event_id).filter(|id| !id.is_empty()));
    object.put_some("event_source_url", event.event_source_url.as_deref());
    object.put("action_source", checked.action_source);
    object.put_some("opt_out", event.opt_out);
    object.put_some("data_processing_options", event.data_processing.as_ref().map(|limits| &limits.options));
    object.object("user_data", |user| write_user(&checked, user));
    object.object("custom_data", |custom| write_custom(&checked, custom));
    let app = event.extra.get("app_data").filter(|_| checked.action_source == "MOBILE_APP");
    object.put_some("app_data", app);
    Ok(())
}

fn write_user(checked: &Checked<'_>, object: &mut Object<'_>) {
    let event = checked.event;
    for (key, hashes) in shared_lists(&event.contact) {
        object.put(key, &hashes);
    }
    object.put_some("client_ip_address", checked.ip);
    object.put_some("client_user_agent", checked.user_agent);
    object.put_some("sc_click_id", ad_click_id(event, "ScCid"));
    for key in ["sc_cookie1", "madid", "idfv", "lead_id", "subscription_id"] {
        object.put_some(key, other_id(event, key));
    }
}

fn write_custom(checked: &Checked<'_>, object: &mut Object<'_>) {
    let custom = &checked.event.custom;
    object.digits("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    for key in [
        "order_id",
        "content_category",
        "content_type",
        "search_string",
        "sign_up_method",
        "status",
        "delivery_category",
    ] {
        object.put_some(key, custom::text(custom, key));
    }
    object.put_some("content_ids", custom::any(custom, "content_ids"));
    object.digits("num_items", custom::digits(custom, "num_items"));
    // Snapchat writes quantities and prices of items as texts.
    object.objects("contents", custom::items(custom), |item, object| {
        object.put("id", item.id());
        object.put_some("quantity", item.digits("quantity"));
        object.put_some("item_price", item.digits("item_price"));
        object.put_some("brand", item.text("brand"));
        object.put_some("delivery_category", item.text("delivery_category"));
    });
}
