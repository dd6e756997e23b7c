//! What is sent to an ad account, and which events are left out because Pinterest would refuse them.

use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;
use serde_json::Value;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, ip_address, sha256_only, shared_lists, user_agent};
use crate::{age, custom, names, privacy};

/// What Pinterest takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 1000, bytes: EVENTS_BYTES_MAX };

/// From the standard names, as Meta writes them, to Pinterest's.
const NAMES: &[(&str, &str)] = &[
    ("PageView", "page_visit"),
    ("ViewContent", "view_content"),
    ("AddToCart", "add_to_cart"),
    ("AddToWishlist", "add_to_wishlist"),
    ("InitiateCheckout", "initiate_checkout"),
    ("AddPaymentInfo", "add_payment_info"),
    ("Lead", "lead"),
    ("CompleteRegistration", "signup"),
    ("Purchase", "checkout"),
    ("Subscribe", "subscribe"),
    ("Search", "search"),
];

/// Further names of Pinterest's.
const KNOWN: &[&str] = &["app_install", "custom", "view_category", "watch_video"];

/// An event that Pinterest takes.
struct Checked<'a> {
    event: &'a OutboundEvent,
    name: &'a str,
    event_time: Timestamp,
    action_source: &'static str,
    limited: Option<bool>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    money: Amount<'a>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 64, |main| {
        main.raw_list("data", payloads);
    });
    batch::bearer_post(settings, config::url(settings), body)
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::listed(settings, NAMES, KNOWN, event, "Pinterest")?;
    if event.event_id.is_empty() {
        return Err(Refused::incomplete("event_id is required"));
    }
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "Pinterest")?;
    let action_source = match event.action_source.as_str() {
        "website" => "web",
        "app" => app(event)?,
        _ => "offline",
    };
    let limited = privacy::limited(event)?;
    custom::check(&event.custom)?;
    let money = Amount::of(event, "Pinterest", None)?;
    let (ip, user_agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    let known = sha256_only(&event.contact.email).next().is_some();
    if !(known || (ip.is_some() && user_agent.is_some())) {
        return Err(Refused::incomplete(
            "user data is not enough for Pinterest; add an e-mail address, or both client_ip_address and client_user_agent",
        ));
    }
    Ok(Checked { event, name, event_time, action_source, limited, ip, user_agent, money })
}

/// Which app's platform it was, by the mark that begins Meta's `extinfo`.
fn app(event: &OutboundEvent) -> Result<&'static str, Refused> {
    let mark = event.extra.get("app_data").and_then(|app| app.pointer("/extinfo/0")).and_then(Value::as_str);
    match mark {
        Some("a2") => Ok("app_android"),
        Some("i2") => Ok("app_ios"),
        _ => {
            Err(Refused::incomplete("app_data.extinfo[0] must be a2 (Android) or i2 (iOS) for an app event"))
        }
    }
}

/// Writes one event, if Pinterest takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    object.put("event_name", checked.name);
    object.put("action_source", checked.action_source);
    object.put("event_time", &checked.event_time.as_seconds());
    object.put("event_id", &event.event_id);
    object.put_some("event_source_url", event.event_source_url.as_deref());
    object.put_some("opt_out", event.opt_out);
    object.object("user_data", |user| {
        for (key, hashes) in shared_lists(&event.contact) {
            user.put(key, &hashes);
        }
        user.put_some("client_ip_address", checked.ip);
        user.put_some("client_user_agent", checked.user_agent);
        user.put_some("click_id", ad_click_id(event, "epik"));
    });
    object.object("custom_data", |custom| write_custom(&checked, custom));
    Ok(())
}

/// Pinterest writes amounts as texts.
fn write_custom(checked: &Checked<'_>, object: &mut Object<'_>) {
    let custom = &checked.event.custom;
    object.put_some("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    for key in ["order_id", "search_string", "content_name", "content_category"] {
        object.put_some(key, custom::text(custom, key));
    }
    object.put_some("content_ids", custom::any(custom, "content_ids"));
    object.digits("num_items", custom::digits(custom, "num_items"));
    object.put_some("predicted_ltv", custom::digits(custom, "predicted_ltv"));
    object.objects("contents", custom::items(custom), |item, object| {
        object.put("id", item.id());
        object.put_some("item_name", item.text("title"));
        object.put_some("item_category", item.text("category"));
        object.put_some("item_brand", item.text("brand"));
        object.put_some("item_price", item.digits("item_price"));
        object.digits("quantity", item.digits("quantity"));
    });
    object.put_some("opt_out_type", checked.limited.filter(|limited| *limited).map(|_| "LDP"));
}
