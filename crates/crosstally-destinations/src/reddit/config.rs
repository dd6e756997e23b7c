//! The settings of a pixel.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;

use crate::dialect::{SettingField, SettingProblem, Settings};
use crate::{names, setting};

const ENDPOINT: &str = "https://ads-api.reddit.com";
const AGE_MAX_MS: i64 = 7 * DAY_MS;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text("pixel_id", "The pixel's id, from Events Manager."),
    setting::secret_field("access_token", "A conversion access token, which does not expire by itself."),
    setting::optional_text("test_id", "Shows the events under Event Testing; remove it in production."),
    names::FIELD,
    setting::endpoint_field("Where to send instead of https://ads-api.reddit.com: a sandbox or a proxy."),
];

/// Where events go.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/api/v3/pixels/{}/conversion_events", settings.text("pixel_id").unwrap_or_default())
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(_settings: &BTreeMap<String, Setting>) -> i64 {
    AGE_MAX_MS
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "pixel_id" => setting::id(text, "Events Manager"),
        "test_id" => setting::id(text, "Event Testing"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    })
}
