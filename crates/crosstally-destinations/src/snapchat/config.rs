//! The settings of a pixel or an app.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::time::DAY_MS;
use percent_encoding::utf8_percent_encode;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::mask::RESERVED;
use crate::{names, setting};

const ENDPOINT: &str = "https://tr.snapchat.com";
/// Beyond these Snapchat takes events and does not optimise by them.
const AGE_DAYS: i64 = 7;
const AGE_DAYS_MAX: i64 = 37;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text("pixel_id", "The pixel's id, or the Snap App ID, from Events Manager."),
    setting::secret_field(
        "access_token",
        "A token of the Conversions API; Snapchat wants it in the URL, where it is masked whenever that is shown.",
    ),
    setting::optional_text("test_event_code", "Shows the events under Test Events; remove it in production."),
    names::FIELD,
    SettingField {
        name: "max_age_days",
        field_type: FieldType::Integer,
        required: false,
        help: "How old an event may be when it is sent, in days; 7 by default, at most 37.",
    },
    setting::endpoint_field("Where to send instead of https://tr.snapchat.com: a sandbox or a proxy."),
];

/// Where events go, the token included.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    let token = settings.secret("access_token").map(|token| token.expose()).unwrap_or_default();
    let token = utf8_percent_encode(token, RESERVED);
    format!("{endpoint}/v3/{}/events?access_token={token}", settings.text("pixel_id").unwrap_or_default())
}

/// How old an event may be when it is sent.
pub(super) fn max_age_ms(settings: &BTreeMap<String, Setting>) -> i64 {
    let days = match settings.get("max_age_days") {
        Some(Setting::Integer(days)) => *days,
        _ => AGE_DAYS,
    };
    days.clamp(1, AGE_DAYS_MAX) * DAY_MS
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems = setting::check_texts(settings, |name, text| match name {
        "pixel_id" => setting::id(text, "Events Manager"),
        "test_event_code" => setting::id(text, "Test Events"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    });
    problems.extend(setting::days(settings, "max_age_days", AGE_DAYS_MAX));
    problems
}
