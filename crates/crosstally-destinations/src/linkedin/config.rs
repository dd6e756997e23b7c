//! The settings of LinkedIn's conversion rules.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::{names, setting};

pub(super) const RULES: &str = "conversion_rules";
const ENDPOINT: &str = "https://api.linkedin.com";
const ID_DIGITS_MAX: usize = 20;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: RULES,
        field_type: FieldType::Map,
        required: true,
        help: "The id of the conversion rule for each event_name of a goal; its method must be Conversions API.",
    },
    setting::secret_field(
        "access_token",
        "A token with the right rw_conversions, of a member with a role in the ad account; it ends after about 60 days.",
    ),
    setting::required_text(
        "api_version",
        "The version of the API as year and month, such as 202610; each lives for about a year.",
    ),
    setting::endpoint_field("Where to send instead of https://api.linkedin.com: a sandbox or a proxy."),
];

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems = setting::check_texts(settings, |name, text| match name {
        "api_version" => (!is_version(text))
            .then(|| "is not a version; write year and month as six digits, such as 202610".to_owned()),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    });
    let from = "the rule's address in Campaign Manager; it has digits only";
    problems.extend(names::objects_problem(settings, RULES, is_id, from));
    problems
}

fn is_id(text: &str) -> bool {
    (1..=ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    let Some((year, month)) = text.split_at_checked(4) else { return false };
    let digits = text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit());
    digits && year >= "2022" && ("01"..="12").contains(&month)
}

/// The address.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/rest/conversionEvents")
}
