//! What Meta would refuse, found before it is sent: there, one bad event sinks the whole batch and is not named.
//!
//! An event that passes comes back as [`Checked`], which holds what was decided on the way, so that the request does
//! not decide it again. The details name fields and rules, never a person's values.

use crosstally_core::event::server_event::ACTION_SOURCES;
use crosstally_core::event::{DataProcessing, OutboundEvent};
use crosstally_core::time::{DAY_MS, Timestamp};
use serde_json::{Map, Value};
use url::Url;

use self::user::User;
use crate::age;
use crate::amount::Amount;
use crate::field::{Kind, check_fields};
use crate::privacy;
use crate::refused::Refused;

mod custom;
mod user;

const AGE_MAX_MS: i64 = 7 * DAY_MS;
const STORE_AGE_MAX_MS: i64 = 62 * DAY_MS;

/// States of the United States with a law of their own; 0 lets Meta find the state out.
const STATES: std::ops::RangeInclusive<i64> = 1000..=1013;

const SEGMENTS: &[&str] = &[
    "new_customer_to_business",
    "new_customer_to_business_line",
    "new_customer_to_product_area",
    "new_customer_to_medium",
    "existing_customer_to_business",
    "existing_customer_to_business_line",
    "existing_customer_to_product_area",
    "existing_customer_to_medium",
    "customer_in_loyalty_program",
];

/// Keys of an event that stand beside the common ones, and what they hold.
pub(super) const EXTRA: &[(&str, Kind)] = &[
    ("app_data", Kind::Object(APP)),
    ("store_data", Kind::Object(&[])),
    ("original_event_data", Kind::Object(ORIGINAL)),
    ("attribution_data", Kind::Object(ATTRIBUTION)),
    ("messaging_channel", Kind::Word(&["whatsapp", "messenger", "instagram"])),
    ("customer_segmentation", Kind::Word(SEGMENTS)),
    ("advanced_measurement_table", Kind::Text),
];

const APP: &[(&str, Kind)] =
    &[("advertiser_tracking_enabled", Kind::Flag), ("application_tracking_enabled", Kind::Flag)];

const ORIGINAL: &[(&str, Kind)] = &[
    ("event_name", Kind::Text),
    ("event_time", Kind::Integer),
    ("order_id", Kind::Text),
    ("event_id", Kind::Text),
];

const ATTRIBUTION: &[(&str, Kind)] = &[
    ("ad_id", Kind::Id),
    ("adset_id", Kind::Id),
    ("campaign_id", Kind::Id),
    ("touchpoint_ts", Kind::Integer),
    ("visit_time", Kind::Integer),
    ("attribution_share", Kind::Share),
    ("attribution_value", Kind::Number),
];

/// An event that Meta takes.
pub(super) struct Checked<'a> {
    pub(super) event: &'a OutboundEvent,
    pub(super) event_time_s: i64,
    pub(super) referrer_url: Option<&'a str>,
    pub(super) money: Amount<'a>,
    pub(super) user: User<'a>,
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(action_source: &str) -> i64 {
    if action_source == "physical_store" { STORE_AGE_MAX_MS } else { AGE_MAX_MS }
}

/// Checks one event.
pub(super) fn check(event: &OutboundEvent, now: Timestamp) -> Result<Checked<'_>, Refused> {
    if event.event_name.trim().is_empty() {
        return Err(Refused::incomplete("event_name is required"));
    }
    if !ACTION_SOURCES.contains(&event.action_source.as_str()) {
        let words = ACTION_SOURCES.join(", ");
        return Err(Refused::incomplete(format!("action_source must be one of {words}")));
    }
    let event_time_s = age::event_time(event, now, max_age_ms(&event.action_source), "Meta")?.as_seconds();
    if event.event_source_url.as_deref().is_some_and(|text| !is_web_address(text)) {
        return Err(Refused::incomplete("event_source_url must be an http or https URL"));
    }
    if let Some(limits) = &event.data_processing {
        data_processing(limits)?;
    }
    check_fields(&event.extra, EXTRA).map_err(Refused::incomplete)?;
    let user = User::of(event)?;
    by_source(event, &user)?;
    located(event, &user)?;
    if event.event_name == "AppendAttribution" {
        append_attribution(&event.extra)?;
    }
    let purchase = event.event_name == "Purchase";
    let money = Amount::of(event, "Meta", purchase.then_some("a Purchase"))?;
    custom::check(&event.custom)?;
    // The page before may be an app, android-app://.., which is no reason to lose the event.
    let referrer_url = event.referrer_url.as_deref().filter(|text| is_web_address(text));
    Ok(Checked { event, event_time_s, referrer_url, money, user })
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The three keys stand together or not at all.
fn data_processing(limits: &DataProcessing) -> Result<(), Refused> {
    let refuse = |detail: &str| Err(Refused::incomplete(detail));
    let limited = privacy::is_limited(limits)?;
    match (limits.country, limits.state) {
        (Some(country), _) if !matches!(country, 0 | 1) => {
            refuse("data_processing_options_country must be 0 or 1")
        }
        (_, Some(state)) if state != 0 && !STATES.contains(&state) => {
            refuse("data_processing_options_state must be 0 or 1000 to 1013")
        }
        (Some(_), Some(_)) => Ok(()),
        (None, None) if !limited => Ok(()),
        _ => refuse(
            "data_processing_options_country and data_processing_options_state are both needed with LDU; 0 and 0 let Meta find out",
        ),
    }
}

/// Where a limited event's visitor was, Meta finds out from the address, or has to be told: else nothing would be limited.
fn located(event: &OutboundEvent, user: &User<'_>) -> Result<(), Refused> {
    let Some(limits) = &event.data_processing else { return Ok(()) };
    let is_told = limits.country == Some(1) && limits.state.is_some_and(|state| state != 0);
    if limits.options.is_empty() || is_told || user.client_ip_address.is_some() {
        return Ok(());
    }
    Err(Refused::not_allowed(
        "limited use (LDU) without client_ip_address needs data_processing_options_country 1 and the visitor's state, as Meta cannot find out where the visitor was",
    ))
}

/// What some action sources ask for beyond the common keys.
fn by_source(event: &OutboundEvent, user: &User<'_>) -> Result<(), Refused> {
    match event.action_source.as_str() {
        "website" if event.event_source_url.is_none() => {
            Err(Refused::incomplete("event_source_url is required for a website event"))
        }
        "website" if user.client_user_agent.is_none() => {
            Err(Refused::incomplete("client_user_agent is required for a website event"))
        }
        "app" => match event.extra.get("app_data") {
            Some(Value::Object(app)) => app_data(app),
            _ => Err(Refused::incomplete("app_data is required for an app event")),
        },
        "business_messaging" => messaging(event, user),
        _ => Ok(()),
    }
}

fn app_data(app: &Map<String, Value>) -> Result<(), Refused> {
    for (key, _) in APP {
        if app.get(*key).is_none_or(Value::is_null) {
            return Err(Refused::incomplete(format!("app_data.{key} is required for an app event")));
        }
    }
    let info = app.get("extinfo").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = info.iter().filter_map(Value::as_str).collect();
    let [system, _, _, _, system_version, rest @ ..] = texts.as_slice() else {
        return Err(Refused::incomplete("app_data.extinfo must be a list of 16 texts"));
    };
    if info.len() != 16 || rest.len() != 11 {
        return Err(Refused::incomplete("app_data.extinfo must be a list of 16 texts"));
    }
    if !matches!(*system, "a2" | "i2") {
        return Err(Refused::incomplete("app_data.extinfo[0] must be a2 (Android) or i2 (iOS)"));
    }
    if system_version.is_empty() {
        return Err(Refused::incomplete("app_data.extinfo[4], the system's version, is required"));
    }
    Ok(())
}

fn messaging(event: &OutboundEvent, user: &User<'_>) -> Result<(), Refused> {
    let channel = event.extra.get("messaging_channel").and_then(Value::as_str);
    let (complete, needs) = match channel {
        Some("whatsapp") => (
            user.has_plain("ctwa_clid")
                && (user.has_plain("page_id") || user.has_plain("whatsapp_business_account_id")),
            "ctwa_clid, and page_id or whatsapp_business_account_id",
        ),
        Some("messenger") => (
            user.has_plain("page_id") && user.has_plain("page_scoped_user_id"),
            "page_id and page_scoped_user_id",
        ),
        Some(_) => (user.has_plain("ig_account_id") && user.has_plain("ig_sid"), "ig_account_id and ig_sid"),
        None => {
            return Err(Refused::incomplete("messaging_channel is required for a business_messaging event"));
        }
    };
    if complete {
        return Ok(());
    }
    let channel = channel.unwrap_or_default();
    Err(Refused::incomplete(format!("a business_messaging event by {channel} needs {needs}")))
}

fn append_attribution(extra: &Map<String, Value>) -> Result<(), Refused> {
    let given = extra.get("attribution_data").and_then(Value::as_object);
    for key in ["ad_id", "touchpoint_ts", "attribution_share", "attribution_value"] {
        if given.and_then(|data| data.get(key)).is_none_or(Value::is_null) {
            let detail = format!("attribution_data.{key} is required for an AppendAttribution event");
            return Err(Refused::incomplete(detail));
        }
    }
    Ok(())
}
