//! What is sent to a pixel, and which events are left out because OpenAI would refuse them.

use crosstally_core::event::OutboundEvent;
use crosstally_core::money::Currency;
use crosstally_core::time::Timestamp;
use url::Url;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, external_ids, ip_address, sha256_only, user_agent};
use crate::{age, custom, names, privacy};

/// What OpenAI takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 1000, bytes: EVENTS_BYTES_MAX };
const OWN_NAME_BYTES_MAX: usize = 64;

/// From the standard names, as Meta writes them, to OpenAI's.
const NAMES: &[(&str, &str)] = &[
    ("PageView", "page_viewed"),
    ("ViewContent", "contents_viewed"),
    ("AddToCart", "items_added"),
    ("InitiateCheckout", "checkout_started"),
    ("Purchase", "order_created"),
    ("Lead", "lead_created"),
    ("CompleteRegistration", "registration_completed"),
    ("Schedule", "appointment_scheduled"),
    ("Subscribe", "subscription_created"),
    ("StartTrial", "trial_started"),
];

/// An event that OpenAI takes.
struct Checked<'a> {
    event: &'a OutboundEvent,
    /// OpenAI's name, or one of the advertiser's own.
    name: &'a str,
    data_type: &'static str,
    event_time: Timestamp,
    action_source: &'static str,
    page: Option<String>,
    oppref: Option<&'a str>,
    amount: Option<(i64, Currency)>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 64, |main| {
        main.put("validate_only", &settings.flag("validate_only"));
        main.raw_list("events", payloads);
    });
    batch::bearer_post(settings, config::url(settings), body)
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::of(settings, NAMES, &event.event_name);
    let data_type = data_type(name);
    if data_type == "custom" && !is_own_name(name) {
        let rule = "event_name must be one that OpenAI lists, or at most 64 letters, digits, _ and - that begin and end with a letter or digit";
        return Err(Refused::incomplete(rule));
    }
    if event.event_id.is_empty() {
        return Err(Refused::incomplete("event_id is required"));
    }
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "OpenAI")?;
    privacy::no_limits(event, "OpenAI")?;
    let action_source = action_source(&event.action_source);
    let page = event.event_source_url.as_deref().and_then(bare_page);
    if action_source == "web" && page.is_none() {
        return Err(Refused::incomplete("event_source_url is required for a website event"));
    }
    custom::check(&event.custom)?;
    let amount = minor(Amount::of(event, "OpenAI", None)?)?;
    let oppref = ad_click_id(event, "oppref");
    let (ip, user_agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    let contact = &event.contact;
    let known = sha256_only(&contact.email).next().is_some() || !external_ids(contact).is_empty();
    if !(known || oppref.is_some() || ip.is_some()) {
        return Err(Refused::incomplete(
            "user data is not enough to recognise anybody; add oppref, an e-mail address, external_id or client_ip_address",
        ));
    }
    Ok(Checked { event, name, data_type, event_time, action_source, page, oppref, amount, ip, user_agent })
}

/// The shape of `data` that goes with a name.
fn data_type(name: &str) -> &'static str {
    match name {
        "page_viewed" | "contents_viewed" | "items_added" | "checkout_started" | "order_created" => {
            "contents"
        }
        "lead_created" | "registration_completed" | "appointment_scheduled" => "customer_action",
        "subscription_created" | "trial_started" => "plan_enrollment",
        _ => "custom",
    }
}

fn is_own_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (1..=OWN_NAME_BYTES_MAX).contains(&bytes.len())
        && name != "custom"
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn action_source(ours: &str) -> &'static str {
    match ours {
        "website" => "web",
        "app" => "mobile_app",
        "physical_store" => "physical_store",
        "phone_call" => "phone_call",
        "email" => "email",
        "system_generated" => "offline",
        _ => "other",
    }
}

/// A page as OpenAI asks for it: its host and path alone.
fn bare_page(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

/// OpenAI takes whole numbers of the currency's smallest unit.
fn minor(money: Amount<'_>) -> Result<Option<(i64, Currency)>, Refused> {
    let (Some(value), Some(code)) = (money.value, money.currency) else { return Ok(None) };
    let currency: Currency = code.parse().expect("the code was read from a currency");
    match currency.parse_minor(value) {
        Ok(minor) => Ok(Some((minor, currency))),
        Err(_) => Err(Refused::incomplete(format!("value must have at most the decimals of {code}"))),
    }
}

/// Writes one event, if OpenAI takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    object.put("id", &event.event_id);
    let own = checked.data_type == "custom";
    object.put("type", if own { "custom" } else { checked.name });
    object.put_some("custom_event_name", Some(checked.name).filter(|_| own));
    object.put("timestamp_ms", &checked.event_time.as_millis());
    object.put_some("oppref", checked.oppref);
    object.put_some("source_url", checked.page.as_deref());
    object.put("action_source", checked.action_source);
    object.put_some("opt_out", event.opt_out);
    object.object("user", |user| {
        user.put_some("email_sha256", sha256_only(&event.contact.email).next());
        user.put_some("external_id_sha256", external_ids(&event.contact).first());
        user.put_some("ip_address", checked.ip);
        user.put_some("user_agent", checked.user_agent);
    });
    object.object("data", |data| write_data(&checked, data));
    Ok(())
}

fn write_data(checked: &Checked<'_>, object: &mut Object<'_>) {
    object.put("type", checked.data_type);
    if !matches!(checked.data_type, "contents" | "plan_enrollment") {
        return;
    }
    if let Some((minor, currency)) = checked.amount {
        object.put("amount", &minor);
        object.put("currency", currency.code());
    }
    if checked.data_type != "contents" {
        return;
    }
    let custom = &checked.event.custom;
    let kind = custom::text(custom, "content_type").unwrap_or("product");
    object.objects("contents", custom::items(custom), |item, object| {
        object.put("id", item.id());
        object.put_some("name", item.text("title"));
        object.put("content_type", kind);
        object.digits("quantity", item.digits("quantity"));
        let price = checked.amount.zip(item.digits("item_price"));
        let price = price.map(|((_, currency), price)| (currency.parse_minor(price), currency));
        if let Some((Ok(minor), currency)) = price {
            object.put("amount", &minor);
            object.put("currency", currency.code());
        }
    });
}
