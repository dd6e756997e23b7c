//! Whether Meta would take an event. Pure: an event and the time in, a broken rule or warnings out.
//!
//! Strict on purpose: what the documentation calls required or typed is refused here even where the real edge is known to be
//! forgiving, so that nothing passes here that could fail there. Keys with `null` count as absent, as the SDKs send
//! them. Keys that Meta does not know are not refused, but named in `messages`.

mod custom;
mod part;
mod privacy;
mod user;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use self::part::Part;
use super::rule::{Broken, Rule};

const DAY_SECONDS: i64 = 24 * 60 * 60;
const AGE_MAX_DAYS: i64 = 7;
const STORE_AGE_MAX_DAYS: i64 = 62;
/// Meta publishes no bound; a minute forgives clocks that disagree.
const AHEAD_MAX_SECONDS: i64 = 60;
/// A later "second" than this, the year 5138, can only be meant as milliseconds.
const PLAUSIBLE_SECONDS_MAX: i64 = 100_000_000_000;

const ACTION_SOURCES: &[&str] = &[
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

const EVENT_KEYS: &[&str] = &[
    "event_name",
    "event_time",
    "event_id",
    "event_source_url",
    "referrer_url",
    "action_source",
    "user_data",
    "custom_data",
    "app_data",
    "store_data",
    "opt_out",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "original_event_data",
    "attribution_data",
    "messaging_channel",
    "customer_segmentation",
    "advanced_measurement_table",
];

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

/// Checks one event. The warnings name keys that Meta does not know.
pub(crate) fn event(event: &Map<String, Value>, now_ms: i64) -> Result<Vec<String>, Broken> {
    let root = Part::new("", event);
    let name = root.required_text("event_name")?;
    let source = root.required_text("action_source")?;
    root.word("action_source", ACTION_SOURCES)?;
    event_time(&root, source, now_ms)?;
    root.text("event_id")?;
    root.boolean("opt_out")?;
    root.web_address("event_source_url")?;
    root.web_address("referrer_url")?;
    root.word("customer_segmentation", SEGMENTS)?;
    root.text("advanced_measurement_table")?;

    let Some(user) = root.object("user_data")? else {
        return Err(Broken::new(Rule::Missing, "user_data is required"));
    };
    let mut warnings = root.unknown_keys(&[EVENT_KEYS]);
    warnings.extend(user::check(&user)?);
    privacy::check(&root, user.has("client_ip_address"))?;
    by_source(&root, &user, source)?;

    let custom = root.object("custom_data")?;
    custom::money(name, custom.as_ref())?;
    if let Some(custom) = &custom {
        custom::check(custom)?;
        custom.word("customer_segmentation", SEGMENTS)?;
    }
    original_event(&root)?;
    attribution(&root, name)?;
    root.object("store_data")?;
    Ok(warnings)
}

fn event_time(root: &Part<'_>, source: &str, now_ms: i64) -> Result<(), Broken> {
    let Some(time) = root.integer("event_time")? else {
        return Err(Broken::new(Rule::Missing, "event_time is required"));
    };
    if time > PLAUSIBLE_SECONDS_MAX {
        return Err(Broken::new(
            Rule::InFuture,
            format!("event_time {time} is not in seconds; milliseconds?"),
        ));
    }
    let now = now_ms.div_euclid(1000);
    let days = if source == "physical_store" { STORE_AGE_MAX_DAYS } else { AGE_MAX_DAYS };
    if time < now.saturating_sub(days * DAY_SECONDS) {
        let detail = format!("event_time {time} is more than {days} days before {now}, which is now");
        return Err(Broken::new(Rule::TooOld, detail));
    }
    if time > now.saturating_add(AHEAD_MAX_SECONDS) {
        let detail =
            format!("event_time {time} is more than {AHEAD_MAX_SECONDS} s after {now}, which is now");
        return Err(Broken::new(Rule::InFuture, detail));
    }
    Ok(())
}

/// What some action sources ask for beyond the common keys.
fn by_source(root: &Part<'_>, user: &Part<'_>, source: &str) -> Result<(), Broken> {
    match source {
        "website" => {
            if !root.has("event_source_url") {
                return Err(Broken::new(Rule::Website, "a website event needs event_source_url"));
            }
            if !user.has("client_user_agent") {
                return Err(Broken::new(Rule::Website, "a website event needs user_data.client_user_agent"));
            }
            Ok(())
        }
        "app" => match root.object("app_data")? {
            Some(app) => app_data(&app),
            None => Err(Broken::new(Rule::AppData, "an app event needs app_data")),
        },
        "business_messaging" => messaging(root, user),
        _ => Ok(()),
    }
}

fn app_data(app: &Part<'_>) -> Result<(), Broken> {
    for key in ["advertiser_tracking_enabled", "application_tracking_enabled"] {
        let fine = match app.get(key) {
            Some(Value::Bool(_)) => true,
            Some(Value::Number(flag)) => matches!(flag.as_str(), "0" | "1"),
            _ => false,
        };
        if !fine {
            return Err(Broken::new(Rule::AppData, format!("app_data.{key} must be 0, 1, true or false")));
        }
    }
    let Some(Value::Array(info)) = app.get("extinfo") else {
        return Err(Broken::new(Rule::AppData, "app_data.extinfo must be a list of 16 strings"));
    };
    if info.len() != 16 || !info.iter().all(Value::is_string) {
        return Err(Broken::new(Rule::AppData, "app_data.extinfo must be a list of 16 strings"));
    }
    if !matches!(info[0].as_str(), Some("a2" | "i2")) {
        return Err(Broken::new(Rule::AppData, "app_data.extinfo[0] must be a2 or i2"));
    }
    if info[4].as_str().is_none_or(str::is_empty) {
        return Err(Broken::new(Rule::AppData, "app_data.extinfo[4], the version of the system, is empty"));
    }
    Ok(())
}

fn messaging(root: &Part<'_>, user: &Part<'_>) -> Result<(), Broken> {
    let channel = root.required_text("messaging_channel")?;
    root.word("messaging_channel", &["whatsapp", "messenger", "instagram"])?;
    let (complete, rule, needs) = match channel {
        "whatsapp" => (
            user.has("ctwa_clid") && (user.has("page_id") || user.has("whatsapp_business_account_id")),
            Rule::PageMessage,
            "ctwa_clid and one of page_id and whatsapp_business_account_id",
        ),
        "messenger" => (
            user.has("page_id") && user.has("page_scoped_user_id"),
            Rule::PageMessage,
            "page_id and page_scoped_user_id",
        ),
        _ => (
            user.has("ig_account_id") && user.has("ig_sid"),
            Rule::InstagramMessage,
            "ig_account_id and ig_sid",
        ),
    };
    if complete {
        return Ok(());
    }
    Err(Broken::new(rule, format!("a {channel} event needs {needs} in user_data")))
}

fn original_event(root: &Part<'_>) -> Result<(), Broken> {
    let Some(original) = root.object("original_event_data")? else { return Ok(()) };
    for key in ["event_name", "order_id", "event_id"] {
        original.text(key)?;
    }
    original.integer("event_time")?;
    Ok(())
}

fn attribution(root: &Part<'_>, event_name: &str) -> Result<(), Broken> {
    let given = root.object("attribution_data")?;
    if let Some(data) = &given {
        for key in ["ad_id", "adset_id", "campaign_id"] {
            data.text_or_integer(key)?;
        }
        for key in ["touchpoint_ts", "visit_time"] {
            data.integer(key)?;
        }
        data.number("attribution_value")?;
        data.share("attribution_share")?;
    }
    if event_name == "AppendAttribution" {
        for key in ["ad_id", "touchpoint_ts", "attribution_share", "attribution_value"] {
            if !given.as_ref().is_some_and(|data| data.has(key)) {
                let detail = format!("an AppendAttribution event needs attribution_data.{key}");
                return Err(Broken::new(Rule::Missing, detail));
            }
        }
    }
    Ok(())
}
