//! What is sent to a web stream: one visitor and one event.

use std::borrow::Cow;

use crosstally_core::consent::Choice;
use crosstally_core::event::OutboundEvent;
use crosstally_core::identity::sha256_hex;
use crosstally_core::macros::looks_like_macro;
use crosstally_core::time::{HOUR_MS, Timestamp};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::config;
use crate::amount::Amount;
use crate::batch::{self, Limits};
use crate::dialect::{Request, Settings};
use crate::json::Object;
use crate::refused::Refused;
use crate::visitor::{ip_address, other_id, present, sha256_only, user_agent};
use crate::{age, custom, json, names, privacy};

/// A request is about one visitor.
pub(super) const LIMITS: Limits = Limits { events: 1, bytes: BODY_BYTES_MAX };
/// How old an event may be.
pub(super) const AGE_MAX_MS: i64 = 72 * HOUR_MS;
/// Google takes fewer than 130 kB, of a thousand bytes each to be safe.
const BODY_BYTES_MAX: usize = 130_000 - 1;
const NAME_CHARS_MAX: usize = 40;
const PARAMS_MAX: usize = 25;
const VALUE_CHARS_MAX: usize = 100;
const PAGE_CHARS_MAX: usize = 1000;
const REFERRER_CHARS_MAX: usize = 420;
const ITEMS_MAX: usize = 200;
const CLIENT_ID_BYTES_MAX: usize = 128;
const USER_ID_BYTES_MAX: usize = 256;
/// Contact values of one kind.
const CONTACTS_MAX: usize = 3;

const NAMES: &[(&str, &str)] = &[
    ("PageView", "page_view"),
    ("ViewContent", "view_item"),
    ("AddToCart", "add_to_cart"),
    ("InitiateCheckout", "begin_checkout"),
    ("AddPaymentInfo", "add_payment_info"),
    ("Lead", "generate_lead"),
    ("CompleteRegistration", "sign_up"),
    ("Purchase", "purchase"),
    ("Subscribe", "subscribe"),
    ("Search", "search"),
    ("Refund", "refund"),
];

/// Events that only Google's own code may send.
const RESERVED_NAMES: &[&str] = &[
    "ad_activeview",
    "ad_click",
    "ad_exposure",
    "ad_impression",
    "ad_query",
    "ad_reward",
    "adunit_exposure",
    "app_background",
    "app_clear_data",
    "app_exception",
    "app_install",
    "app_remove",
    "app_store_refund",
    "app_store_subscription_cancel",
    "app_store_subscription_convert",
    "app_store_subscription_renew",
    "app_update",
    "app_upgrade",
    "dynamic_link_app_open",
    "dynamic_link_app_update",
    "dynamic_link_first_open",
    "error",
    "first_open",
    "first_visit",
    "in_app_purchase",
    "notification_dismiss",
    "notification_foreground",
    "notification_open",
    "notification_receive",
    "notification_send",
    "os_update",
    "screen_view",
    "session_start",
    "user_engagement",
];

const RESERVED_PREFIXES: &[&str] = &["_", "firebase_", "ga_", "google_", "gtag."];

/// Names of a content's keys as Meta writes them, and as Google does.
const ITEM: &[(&str, &str)] = &[
    ("id", "item_id"),
    ("title", "item_name"),
    ("brand", "item_brand"),
    ("category", "item_category"),
    ("quantity", "quantity"),
    ("item_price", "price"),
];

/// One request for one event.
pub(super) fn request(settings: &Settings, payloads: &[String], _bytes: usize) -> Request {
    let api_secret = settings.secret("api_secret");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("measurement_id", settings.text("measurement_id").unwrap_or_default())
        .append_pair("api_secret", api_secret.map_or("", |secret| secret.expose()))
        .finish();
    let url = format!("{}?{query}", config::url(settings));
    batch::json_post(url, [], payloads.concat().into_bytes(), api_secret.cloned().into_iter().collect())
}

/// Writes a whole body: one visitor and one event.
pub(super) fn write(
    settings: &Settings,
    event: &OutboundEvent,
    now: Timestamp,
    body: &mut Object<'_>,
) -> Result<(), Refused> {
    let refund = refund(event);
    let event = refund.as_ref().unwrap_or(event);
    let name = match &event.adjustment {
        Some(_) => REFUND,
        None => names::of(settings, NAMES, &event.event_name),
    };
    check_name(name)?;
    let time = age::event_time(event, now, AGE_MAX_MS, "Google Analytics")?;
    let needs_money = matches!(name, "purchase" | "refund").then_some(name);
    let money = Amount::of(event, "Google Analytics", needs_money)?;
    if money.value.is_some() && money.currency.is_none() {
        return Err(Refused::incomplete("currency is required beside a value"));
    }
    let limited = privacy::limited(event)?;
    let client_id = client_id(settings, event)?;
    let (address, agent) = (ip_address(&event.visitor)?, user_agent(&event.visitor)?);
    let user_id = known(event, "ga_user_id").filter(|id| id.len() <= USER_ID_BYTES_MAX);

    body.put("client_id", &client_id);
    body.put_some("user_id", user_id);
    body.put("timestamp_micros", &time.as_millis().saturating_mul(1000));
    if config::validates_only(settings) {
        body.put("validation_behavior", "ENFORCE_RECOMMENDATIONS");
    }
    write_consent(event, limited == Some(true), body);
    write_contact(event, body);
    body.put_some("ip_override", address);
    body.put_some("user_agent", agent);
    let params = write_params(event, name, money);
    body.raw_list("events", &[params]);
    if body.position() >= BODY_BYTES_MAX {
        let detail = format!("the event has {} bytes; Google takes fewer than 130 kB", body.position());
        return Err(Refused::incomplete(detail));
    }
    Ok(())
}

const REFUND: &str = "refund";

/// Whether an event tells of a purchase that was paid back, in whole or in part. That money came back again cannot be told.
pub(super) fn is_refund(settings: &Settings, event: &OutboundEvent) -> bool {
    let taken_back = event.adjustment.as_ref().and_then(|adjustment| adjustment.taken_back.as_ref());
    taken_back.is_some() && names::of(settings, NAMES, &event.event_name) == "purchase"
}

/// A refund's value is what is paid back, not what is left.
fn refund(event: &OutboundEvent) -> Option<OutboundEvent> {
    let adjustment = event.adjustment.as_ref()?;
    let (value, event_time) = (adjustment.taken_back.clone(), event.known_at());
    Some(OutboundEvent { value, event_time, ..event.clone() })
}

fn check_name(name: &str) -> Result<(), Refused> {
    if !is_name(name) {
        return Err(Refused::incomplete(format!(
            "event_name must have at most {NAME_CHARS_MAX} letters, digits and underscores and begin with a letter"
        )));
    }
    if RESERVED_NAMES.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Refused::incomplete(format!("event_name {name} is reserved by Google")));
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// An id that a server event gave, or that came to the click as a parameter.
fn known<'a>(event: &'a OutboundEvent, name: &str) -> Option<&'a str> {
    // A macro that was not filled in would make one visitor of all.
    let filled = |id: &&str| !looks_like_macro(id);
    let param = || present(event.origin.params.get(name)?.as_str()).filter(filled);
    other_id(event, name).filter(filled).or_else(param)
}

/// The visitor as the browser's tag knows it. Without it the event would belong to nobody.
fn client_id(settings: &Settings, event: &OutboundEvent) -> Result<String, Refused> {
    let cookie = || known(event, "_ga").and_then(client_of_cookie);
    if let Some(id) =
        known(event, "ga_client_id").map(|id| client_of_cookie(id).unwrap_or(id)).or_else(cookie)
    {
        let fine = id.len() <= CLIENT_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic());
        return if fine {
            Ok(id.to_owned())
        } else {
            Err(Refused::incomplete("ga_client_id must be printable ASCII of at most 128 bytes"))
        };
    }
    if !config::derives_client_id(settings) {
        return Err(Refused::incomplete(
            "ga_client_id is required; pass the tag's client id to the click as ga_client_id, or set without_client_id = \"derive\"",
        ));
    }
    // The same click is the same made-up visitor, whatever else happens to it.
    let click = Some(event.origin.click_id.as_str()).filter(|id| !id.is_empty()).unwrap_or(&event.event_id);
    let hash = sha256_hex(click);
    let number = |from: usize| {
        u32::from_str_radix(hash.get(from..from + 8).unwrap_or_default(), 16).unwrap_or_default()
    };
    Ok(format!("{}.{}", number(0), number(8)))
}

/// `GA1.1.123456789.1700000000`: the last two parts.
fn client_of_cookie(cookie: &str) -> Option<&str> {
    let (_, rest) = cookie.strip_prefix("GA1.")?.split_once('.')?;
    let (random, time) = rest.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(random) && digits(time)).then_some(rest)
}

/// Says what is not allowed; what is allowed and not said, the visitor's own tag has said.
fn write_consent(event: &OutboundEvent, limited: bool, body: &mut Object<'_>) {
    let word = |choice: Choice| match choice {
        Choice::Granted => "GRANTED",
        Choice::Denied => "DENIED",
    };
    let [user_data, personalization] = if limited || event.opt_out == Some(true) {
        [Some(Choice::Denied); 2]
    } else {
        [event.consent.user_data(), event.consent.personalization()]
    };
    if user_data.is_some() || personalization.is_some() {
        body.object("consent", |consent| {
            consent.put_some("ad_user_data", user_data.map(word));
            consent.put_some("ad_personalization", personalization.map(word));
        });
    }
}

fn write_contact(event: &OutboundEvent, body: &mut Object<'_>) {
    let emails: Vec<&str> = sha256_only(&event.contact.google_email).take(CONTACTS_MAX).collect();
    let phones: Vec<&str> = sha256_only(&event.contact.google_phone).take(CONTACTS_MAX).collect();
    if emails.is_empty() && phones.is_empty() {
        return;
    }
    body.object("user_data", |user| {
        user.put_some("sha256_email_address", Some(emails).filter(|list| !list.is_empty()));
        user.put_some("sha256_phone_number", Some(phones).filter(|list| !list.is_empty()));
    });
}

fn write_params(event: &OutboundEvent, name: &str, money: Amount<'_>) -> String {
    json::text(|outer| {
        outer.put("name", name);
        outer.object("params", |params| {
            let mut count = 1;
            let mut counted = |there: bool| count += usize::from(there);
            // Without it the event is in no report about sessions.
            params.put("engagement_time_msec", &1);
            let session = known(event, "ga_session_id").filter(|id| id.bytes().all(|b| b.is_ascii_digit()));
            params.put_some("session_id", session);
            counted(session.is_some());
            params.put_some("currency", money.currency);
            counted(money.currency.is_some());
            params.digits("value", money.value);
            counted(money.value.is_some());
            // By this id Google recognises what the tag in the browser has sent already.
            let order = custom::text(&event.custom, "order_id").or_else(|| present(Some(&event.event_id)));
            params.put_some("transaction_id", order.map(order_id).as_deref());
            counted(order.is_some());
            for (key, text, max) in [
                ("page_location", event.event_source_url.as_deref(), PAGE_CHARS_MAX),
                ("page_referrer", event.referrer_url.as_deref(), REFERRER_CHARS_MAX),
            ] {
                let text = text.filter(|text| text.chars().count() <= max);
                params.put_some(key, text);
                counted(text.is_some());
            }
            let items = items(event);
            if !items.is_empty() {
                params.raw_list("items", &items);
            }
            counted(!items.is_empty());
            let own = event.custom.iter().filter(|(key, value)| is_own_param(key, value));
            for (key, value) in own.take(PARAMS_MAX - count) {
                params.put(key, value);
            }
        });
    })
}

/// An order's id as Google keeps it: it cuts what is too long, and orders that begin alike would be one.
fn order_id(order: &str) -> Cow<'_, str> {
    if order.chars().count() <= VALUE_CHARS_MAX { order.into() } else { sha256_hex(order).into() }
}

/// Whether a key of `custom` can be a parameter of its own: Google drops what is too long, and knows no lists.
fn is_own_param(key: &str, value: &Value) -> bool {
    const WRITTEN: &[&str] = &[
        "engagement_time_msec",
        "session_id",
        "currency",
        "value",
        "transaction_id",
        "order_id",
        "page_location",
        "page_referrer",
        "items",
    ];
    let fits = match value {
        Value::String(text) => !text.is_empty() && text.chars().count() <= VALUE_CHARS_MAX,
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    let reserved = RESERVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    fits && is_name(key) && !reserved && !WRITTEN.contains(&key)
}

/// The first characters of a text.
fn start(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(at, _)| text.split_at(at).0)
}

/// What was bought, in Google's words; what has neither id nor name is left out.
fn items(event: &OutboundEvent) -> Vec<String> {
    let contents =
        event.custom.get("contents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    contents.iter().filter_map(Value::as_object).filter_map(item).take(ITEMS_MAX).collect()
}

fn item(content: &Map<String, Value>) -> Option<String> {
    let named = ["id", "title"].iter().any(|key| content.get(*key).is_some_and(|value| !value.is_null()));
    named.then(|| {
        json::text(|object| {
            for (theirs, ours) in ITEM {
                match content.get(*theirs) {
                    // An id is a text, whatever the sender made of it.
                    Some(Value::Number(id)) if *theirs == "id" => object.put(ours, id.as_str()),
                    Some(Value::String(text)) => object.put(ours, start(text, VALUE_CHARS_MAX)),
                    Some(number @ Value::Number(_)) => object.put(ours, number),
                    _ => {}
                }
            }
        })
    })
}
