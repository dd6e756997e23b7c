//! The settings of a tag.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;

use crate::dialect::{SettingField, SettingProblem, Settings};
use crate::{names, setting};

const ENDPOINT: &str = "https://capi.uet.microsoft.com";
const AGE_MAX_MS: i64 = 7 * DAY_MS;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text("tag_id", "The UET tag's id, from Microsoft Advertising."),
    setting::secret_field("access_token", "The tag's token of the UET Conversions API."),
    names::FIELD,
    setting::endpoint_field("Where to send instead of https://capi.uet.microsoft.com: a sandbox or a proxy."),
];

/// Where events go.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/v1/{}/events", settings.text("tag_id").unwrap_or_default())
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(_settings: &BTreeMap<String, Setting>) -> i64 {
    AGE_MAX_MS
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "tag_id" => setting::id(text, "Microsoft Advertising"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    })
}
