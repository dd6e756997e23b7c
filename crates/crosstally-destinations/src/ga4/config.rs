//! The settings of a web stream.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::{names, setting};

const ENDPOINT: &str = "https://www.google-analytics.com";
const MEASUREMENT_ID_BYTES_MAX: usize = 32;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: "measurement_id",
        field_type: FieldType::Text,
        required: true,
        help: "The web stream's id, such as G-ABC123DEF4.",
    },
    SettingField {
        name: "api_secret",
        field_type: FieldType::Secret,
        required: true,
        help: "A secret of the stream, from Admin, Data streams, Measurement Protocol API secrets; it stands in the URL, which is masked wherever it is shown.",
    },
    SettingField {
        name: "without_client_id",
        field_type: FieldType::Text,
        required: false,
        help: "What becomes of an event whose visitor's client id is not known: refuse, which is the default, or derive, which makes one up from the click and so counts a new user.",
    },
    SettingField {
        name: "validate_only",
        field_type: FieldType::Flag,
        required: false,
        help: "Sends to Google's validation server: events are checked and never counted, so remove it in production.",
    },
    names::FIELD,
    setting::endpoint_field(
        "Where to send instead of https://www.google-analytics.com: https://region1.google-analytics.com for the EU, a sandbox or a proxy.",
    ),
];

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "measurement_id" => measurement_id(text).map(str::to_owned),
        "without_client_id" => (!matches!(text, "refuse" | "derive"))
            .then(|| "is neither refuse nor derive; write one of them".to_owned()),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    })
}

fn measurement_id(text: &str) -> Option<&'static str> {
    let rest = text.strip_prefix("G-").unwrap_or_default();
    let fine = (1..=MEASUREMENT_ID_BYTES_MAX).contains(&rest.len())
        && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    (!fine).then_some("is not the id of a web stream; copy it from Admin, Data streams: it begins with G-")
}

/// Whether events are only checked.
pub(super) fn validates_only(settings: &Settings) -> bool {
    settings.flag("validate_only")
}

/// Whether a client id may be made up.
pub(super) fn derives_client_id(settings: &Settings) -> bool {
    settings.text("without_client_id") == Some("derive")
}

/// The address without its query.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    let path = if validates_only(settings) { "/debug/mp/collect" } else { "/mp/collect" };
    format!("{endpoint}{path}")
}
