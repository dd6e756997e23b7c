//! What is sent to a pixel, and which events are left out because Reddit would refuse them.

use crosstally_core::event::{DataProcessing, OutboundEvent};
use crosstally_core::identity::sha256_hex;
use crosstally_core::time::Timestamp;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{ad_click_id, external_ids, ip_address, other_id, sha256_only, user_agent};
use crate::{age, custom, names, privacy};

/// What Reddit takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 1000, bytes: EVENTS_BYTES_MAX };

/// From the standard names, as Meta writes them, to Reddit's; any other is an event of one's own.
const NAMES: &[(&str, &str)] = &[
    ("PageView", "PAGE_VISIT"),
    ("ViewContent", "VIEW_CONTENT"),
    ("Search", "SEARCH"),
    ("AddToCart", "ADD_TO_CART"),
    ("AddToWishlist", "ADD_TO_WISHLIST"),
    ("Purchase", "PURCHASE"),
    ("Lead", "LEAD"),
    ("CompleteRegistration", "SIGN_UP"),
];

/// States with a law of their own, by the numbers that senders give, which are Meta's from 1000 on.
const STATES: [&str; 14] = [
    "US-CA", "US-CO", "US-CT", "US-FL", "US-OR", "US-TX", "US-MT", "US-DE", "US-NE", "US-NH", "US-NJ",
    "US-MN", "US-MD", "US-RI",
];

/// An event that Reddit takes.
struct Checked<'a> {
    event: &'a OutboundEvent,
    name: &'a str,
    event_time: Timestamp,
    limits: Option<&'a DataProcessing>,
    money: Amount<'a>,
    click_id: Option<&'a str>,
    user: User<'a>,
}

/// What identifies the visitor. Reddit takes one value of each kind.
struct User<'a> {
    email: Option<&'a str>,
    phone_number: Option<&'a str>,
    external_id: Option<&'a str>,
    ip_address: Option<String>,
    user_agent: Option<&'a str>,
    uuid: Option<&'a str>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 64, |main| {
        main.object("data", |data| {
            data.put_some("test_id", settings.text("test_id"));
            data.raw_list("events", payloads);
        });
    });
    batch::bearer_post(settings, config::url(settings), body)
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::required(settings, NAMES, event)?;
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "Reddit")?;
    privacy::no_opt_out(event, "Reddit")?;
    let limited = privacy::limited(event)? == Some(true);
    custom::check(&event.custom)?;
    let money = Amount::of(event, "Reddit", None)?;
    let click_id = ad_click_id(event, "rdt_cid");
    let user = user(event)?;
    let known = [click_id, user.email, user.phone_number, user.external_id, user.uuid];
    if known.iter().all(Option::is_none) && user.ip_address.is_none() {
        return Err(Refused::incomplete(
            "user data is not enough to recognise anybody; add rdt_cid, an e-mail address, a phone number, external_id, rdt_uuid or client_ip_address",
        ));
    }
    let limits = event.data_processing.as_ref().filter(|_| limited);
    Ok(Checked { event, name, event_time, limits, money, click_id, user })
}

fn user(event: &OutboundEvent) -> Result<User<'_>, Refused> {
    let contact = &event.contact;
    Ok(User {
        email: sha256_only(&contact.reddit_email).next(),
        phone_number: sha256_only(&contact.e164_phone).next(),
        external_id: external_ids(contact).first().copied(),
        ip_address: ip_address(&event.visitor)?.map(sha256_hex),
        user_agent: user_agent(&event.visitor)?,
        uuid: other_id(event, "rdt_uuid"),
    })
}

/// Writes one event, if Reddit takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    object.put("event_at", &checked.event_time.as_millis());
    object.put("action_source", action_source(&event.action_source));
    object.put_some("event_source_url", event.event_source_url.as_deref());
    object.put_some("click_id", checked.click_id);
    object.object("type", |kind| {
        let listed = NAMES.iter().any(|(_, theirs)| *theirs == checked.name);
        kind.put("tracking_type", if listed { checked.name } else { "CUSTOM" });
        kind.put_some("custom_event_name", Some(checked.name).filter(|_| !listed));
    });
    object.object("user", |user| write_user(&checked, user));
    object.object("metadata", |metadata| write_metadata(&checked, metadata));
    Ok(())
}

fn action_source(ours: &str) -> &'static str {
    match ours {
        "website" => "WEBSITE",
        "app" => "APP",
        "physical_store" => "PHYSICAL_STORE",
        _ => "OTHER",
    }
}

fn write_user(checked: &Checked<'_>, object: &mut Object<'_>) {
    let user = &checked.user;
    for (key, text) in [
        ("email", user.email),
        ("phone_number", user.phone_number),
        ("external_id", user.external_id),
        ("ip_address", user.ip_address.as_deref()),
        ("user_agent", user.user_agent),
        ("uuid", user.uuid),
    ] {
        object.put_some(key, text);
    }
    if let Some(limits) = checked.limits {
        object.object("data_processing_options", |options| {
            options.put("modes", &["LDU"]);
            options.put_some("country", (limits.country == Some(1)).then_some("US"));
            options.put_some("region", limits.state.and_then(region));
        });
    }
}

fn region(state: i64) -> Option<&'static str> {
    let at = usize::try_from(state.checked_sub(1000)?).ok()?;
    STATES.get(at).copied()
}

fn write_metadata(checked: &Checked<'_>, object: &mut Object<'_>) {
    let event = checked.event;
    object.put_some("conversion_id", Some(&event.event_id).filter(|id| !id.is_empty()));
    object.digits("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    object.digits("item_count", custom::digits(&event.custom, "num_items"));
    object.objects("products", custom::items(&event.custom), |item, object| {
        object.put("id", item.id());
        object.put_some("name", item.text("title"));
        object.put_some("category", item.text("category"));
    });
}
