//! What is sent to a pixel, and which events are left out because TikTok would refuse them or could not use them.

use crosstally_core::event::OutboundEvent;
use crosstally_core::time::Timestamp;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, EVENTS_BYTES_MAX, Limits};
use crate::dialect::{Request, Settings};
use crate::json::{self, Object};
use crate::refused::Refused;
use crate::visitor::{self, ad_click_id, external_ids, other_id, sha256_only};
use crate::{age, custom, names, privacy};

/// What TikTok takes in one request.
pub(super) const LIMITS: Limits = Limits { events: 1000, bytes: EVENTS_BYTES_MAX };

/// From the standard names, as Meta writes them, to TikTok's where they differ.
const NAMES: &[(&str, &str)] = &[("PageView", "Pageview")];

/// What stands in the event beside `user`, `page` and `properties`.
struct Checked<'a> {
    event: &'a OutboundEvent,
    name: &'a str,
    event_time: Timestamp,
    limited: Option<bool>,
    page: Option<&'a str>,
    money: Amount<'a>,
    user: User<'a>,
}

/// What identifies the visitor. Contact values are hashed already; those of place are not sent, as TikTok wants them
/// plain and nobody has them so.
struct User<'a> {
    email: Vec<&'a str>,
    phone: Vec<&'a str>,
    external_id: Vec<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    zip_code: Option<&'a str>,
    ttclid: Option<&'a str>,
    ttp: Option<&'a str>,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
}

/// Puts events into a request.
pub(super) fn request(settings: &Settings, payloads: &[String], bytes: usize) -> Request {
    let body = json::object(bytes + 256, |main| {
        main.put("event_source", config::event_source(settings));
        main.put("event_source_id", settings.text("pixel_code").unwrap_or_default());
        main.put("partner_name", "crosstally");
        main.put_some("test_event_code", settings.text("test_event_code"));
        main.raw_list("data", payloads);
    });
    let token = settings.secret("access_token");
    let header = token.map(|token| ("access-token", token.expose().to_owned()));
    batch::json_post(config::url(settings), header, body, token.cloned().into_iter().collect())
}

fn check<'a>(
    settings: &'a Settings,
    event: &'a OutboundEvent,
    now: Timestamp,
) -> Result<Checked<'a>, Refused> {
    let name = names::required(settings, NAMES, event)?;
    let event_time = age::event_time(event, now, config::max_age_ms(&settings.values), "TikTok")?;
    privacy::no_opt_out(event, "TikTok")?;
    let limited = privacy::limited(event)?;
    let page = event.event_source_url.as_deref();
    if page.is_none() && config::event_source(settings) == "web" {
        return Err(Refused::incomplete("event_source_url is required for an event of the web"));
    }
    custom::check(&event.custom)?;
    let money = Amount::of(event, "TikTok", None)?;
    Ok(Checked { event, name, event_time, limited, page, money, user: user(event)? })
}

fn user(event: &OutboundEvent) -> Result<User<'_>, Refused> {
    let contact = &event.contact;
    let user = User {
        email: sha256_only(&contact.email).collect(),
        phone: sha256_only(&contact.tiktok_phone).chain(sha256_only(&contact.e164_phone)).collect(),
        external_id: external_ids(contact),
        first_name: sha256_only(&contact.first_name).next(),
        last_name: sha256_only(&contact.last_name).next(),
        zip_code: sha256_only(&contact.zip).next(),
        ttclid: ad_click_id(event, "ttclid"),
        ttp: other_id(event, "ttp"),
        ip: visitor::ip_address(&event.visitor)?,
        user_agent: visitor::user_agent(&event.visitor)?,
    };
    let known = [&user.email, &user.phone, &user.external_id].iter().any(|list| !list.is_empty());
    let id = user.ttclid.is_some() || user.ttp.is_some();
    let browser = user.ip.is_some() && user.user_agent.is_some();
    if known || id || browser {
        return Ok(user);
    }
    Err(Refused::incomplete(
        "user data is not enough to recognise anybody; add ttclid, ttp, an e-mail address, a phone number, external_id, or both client_ip_address and client_user_agent",
    ))
}

/// Writes one event, if TikTok takes it.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    object: &mut Object<'_>,
) -> Result<(), Refused> {
    let checked = check(settings, event, now)?;
    object.put("event", checked.name);
    object.put("event_time", &checked.event_time.as_seconds());
    object.put_some("event_id", Some(&event.event_id).filter(|id| !id.is_empty()));
    object.object("user", |user| write_user(&checked.user, user));
    if checked.page.is_some() || event.referrer_url.is_some() {
        object.object("page", |page| {
            page.put_some("url", checked.page);
            page.put_some("referrer", event.referrer_url.as_deref());
        });
    }
    object.object("properties", |properties| write_properties(&checked, properties));
    let lead_id = other_id(event, "lead_id");
    if lead_id.is_some() {
        object.object("lead", |lead| {
            lead.put_some("lead_id", lead_id);
            lead.put_some("lead_event_source", custom::text(&event.custom, "lead_event_source"));
        });
    }
    object.put_some("limited_data_use", checked.limited);
    Ok(())
}

fn write_user(user: &User<'_>, object: &mut Object<'_>) {
    for (key, list) in [("email", &user.email), ("phone", &user.phone), ("external_id", &user.external_id)] {
        object.put_some(key, Some(list).filter(|list| !list.is_empty()));
    }
    for (key, text) in [
        ("first_name", user.first_name),
        ("last_name", user.last_name),
        ("zip_code", user.zip_code),
        ("ttclid", user.ttclid),
        ("ttp", user.ttp),
        ("ip", user.ip),
        ("user_agent", user.user_agent),
    ] {
        object.put_some(key, text);
    }
}

fn write_properties(checked: &Checked<'_>, object: &mut Object<'_>) {
    let custom = &checked.event.custom;
    object.digits("value", checked.money.value);
    object.put_some("currency", checked.money.currency);
    for key in ["content_type", "content_name", "content_category", "order_id", "search_string", "status"] {
        object.put_some(key, custom::text(custom, key));
    }
    object.put_some("content_ids", custom::any(custom, "content_ids"));
    object.digits("num_items", custom::digits(custom, "num_items"));
    object.digits("predicted_ltv", custom::digits(custom, "predicted_ltv"));
    object.objects("contents", custom::items(custom), |item, object| {
        object.put("content_id", item.id());
        object.put_some("content_name", item.text("title"));
        object.put_some("content_category", item.text("category"));
        object.put_some("brand", item.text("brand"));
        object.digits("price", item.digits("item_price"));
        object.digits("quantity", item.digits("quantity"));
    });
}
