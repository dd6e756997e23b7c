//! The settings of a pixel.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;

use crate::dialect::{SettingField, SettingProblem, Settings};
use crate::{names, setting};

const ENDPOINT: &str = "https://business-api.tiktok.com";
const SOURCES: [&str; 3] = ["web", "offline", "crm"];
const WEB_AGE_MAX_MS: i64 = 7 * DAY_MS;
const OFFLINE_AGE_MAX_MS: i64 = 28 * DAY_MS;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text(
        "pixel_code",
        "The pixel's code, or the id of the event set, from Events Manager.",
    ),
    setting::secret_field("access_token", "The token of the Events API; it is sent in a header of its own."),
    setting::optional_text(
        "event_source",
        "What the code belongs to: web, which is the default, offline or crm.",
    ),
    setting::optional_text("test_event_code", "Shows the events under Test Events; remove it in production."),
    names::FIELD,
    setting::endpoint_field(
        "Where to send instead of https://business-api.tiktok.com: a sandbox or a proxy.",
    ),
];

/// Where events go.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/open_api/v1.3/event/track/")
}

/// What the code belongs to.
pub(super) fn event_source(settings: &Settings) -> &str {
    settings.text("event_source").unwrap_or("web")
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(settings: &BTreeMap<String, Setting>) -> i64 {
    match settings.get("event_source") {
        Some(Setting::Text(source)) if source != "web" => OFFLINE_AGE_MAX_MS,
        _ => WEB_AGE_MAX_MS,
    }
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "pixel_code" => setting::id(text, "Events Manager"),
        "event_source" => {
            (!SOURCES.contains(&text)).then(|| "is not web, offline or crm; write one of them".to_owned())
        }
        "test_event_code" => setting::id(text, "Test Events"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    })
}
