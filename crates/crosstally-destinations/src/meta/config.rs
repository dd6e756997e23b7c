//! The settings of a dataset.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::secret::Secret;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::setting;

const ENDPOINT: &str = "https://graph.facebook.com";
const API_VERSION: &str = "v26.0";
const PARTNER_AGENT: &str = "crosstally";

/// Meta takes fewer than 23 characters.
const PARTNER_AGENT_CHARS_MAX: usize = 22;
const DATASET_ID_DIGITS_MAX: usize = 32;

/// Upload bookkeeping that goes into the body as it is.
const UPLOAD_KEYS: [&str; 4] = ["namespace_id", "upload_id", "upload_tag", "upload_source"];

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: "dataset_id",
        field_type: FieldType::Text,
        required: true,
        help: "The dataset's id, which is also its pixel's: digits, as text.",
    },
    SettingField {
        name: "access_token",
        field_type: FieldType::Secret,
        required: true,
        help: "A token that may write to the dataset; it is sent in the body, never in the URL.",
    },
    SettingField {
        name: "test_event_code",
        field_type: FieldType::Text,
        required: false,
        help: "Shows the events under Test Events; they count all the same, so remove it in production.",
    },
    setting::endpoint_field("Where to send instead of https://graph.facebook.com: a sandbox or a proxy."),
    SettingField {
        name: "api_version",
        field_type: FieldType::Text,
        required: false,
        help: "The version of the Graph API, such as v26.0, which is the default.",
    },
    SettingField {
        name: "partner_agent",
        field_type: FieldType::Text,
        required: false,
        help: "The name of the sending software as Meta sees it; crosstally by default.",
    },
    SettingField {
        name: "namespace_id",
        field_type: FieldType::Text,
        required: false,
        help: "The scope of an offline upload's ids, passed on as it is.",
    },
    SettingField {
        name: "upload_id",
        field_type: FieldType::Text,
        required: false,
        help: "The id of an offline upload, passed on as it is.",
    },
    SettingField {
        name: "upload_tag",
        field_type: FieldType::Text,
        required: false,
        help: "The name under which an offline upload is counted, passed on as it is.",
    },
    SettingField {
        name: "upload_source",
        field_type: FieldType::Text,
        required: false,
        help: "Where an offline upload comes from, passed on as it is.",
    },
];

/// The settings in use, defaults filled in.
pub(super) struct Config<'a> {
    pub(super) dataset_id: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) api_version: &'a str,
    pub(super) partner_agent: &'a str,
    pub(super) test_event_code: Option<&'a str>,
    pub(super) uploads: [(&'static str, Option<&'a str>); 4],
    /// Absent only where a request is shown on a node that does not have the token.
    pub(super) access_token: Option<&'a Secret>,
}

impl<'a> Config<'a> {
    pub(super) fn of(settings: &'a Settings) -> Self {
        Self {
            dataset_id: settings.text("dataset_id").unwrap_or_default(),
            endpoint: settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/'),
            api_version: settings.text("api_version").unwrap_or(API_VERSION),
            partner_agent: settings.text("partner_agent").unwrap_or(PARTNER_AGENT),
            test_event_code: settings.text("test_event_code"),
            uploads: UPLOAD_KEYS.map(|key| (key, settings.text(key))),
            access_token: settings.secret("access_token"),
        }
    }
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    setting::check_texts(settings, |name, text| match name {
        "dataset_id" => dataset_id(text).map(str::to_owned),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        "api_version" => api_version(text).map(str::to_owned),
        "partner_agent" => partner_agent(text).map(str::to_owned),
        "test_event_code" => test_event_code(text).map(str::to_owned),
        name if UPLOAD_KEYS.contains(&name) => setting::plain_text(text),
        _ => None,
    })
}

fn dataset_id(text: &str) -> Option<&'static str> {
    let fine = (1..=DATASET_ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    (!fine).then_some("is not an id of digits; copy the dataset id from Events Manager")
}

fn api_version(text: &str) -> Option<&'static str> {
    let major = text.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0")).unwrap_or_default();
    let fine = (1..=3).contains(&major.len())
        && !major.starts_with('0')
        && major.bytes().all(|b| b.is_ascii_digit());
    (!fine).then_some("is not a version of the Graph API; write it like v26.0")
}

fn partner_agent(text: &str) -> Option<&'static str> {
    let fine = text.chars().count() <= PARTNER_AGENT_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic())
        && text.bytes().filter(u8::is_ascii_alphabetic).count() >= 2;
    (!fine).then_some(
        "is not a name that Meta takes; use at most 22 characters without spaces, two of them letters",
    )
}

fn test_event_code(text: &str) -> Option<&'static str> {
    let fine = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (!fine).then_some("is not a test code; copy it from Test Events, such as TEST12345, or remove the line")
}
