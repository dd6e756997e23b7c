//! The settings of a pixel.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::{names, setting};

const ENDPOINT: &str = "https://bzr.openai.com";
const AGE_MAX_MS: i64 = 7 * DAY_MS;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text("pixel_id", "The pixel's id, from the conversions tab of Ads Manager."),
    setting::secret_field("access_token", "A Conversions API key, from the same place."),
    SettingField {
        name: "validate_only",
        field_type: FieldType::Flag,
        required: false,
        help: "Has events checked and not saved; remove it in production.",
    },
    names::FIELD,
    setting::endpoint_field("Where to send instead of https://bzr.openai.com: a sandbox or a proxy."),
];

/// Where events go.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/v1/events?pid={}", settings.text("pixel_id").unwrap_or_default())
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(_settings: &BTreeMap<String, Setting>) -> i64 {
    AGE_MAX_MS
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "pixel_id" => setting::id(text, "Ads Manager"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    })
}
