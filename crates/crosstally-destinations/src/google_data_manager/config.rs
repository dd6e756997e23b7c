//! The settings of a Google Ads account.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;

use url::form_urlencoded;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::{names, oauth, setting};

pub(super) const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com/token";
pub(super) const ACTIONS: &str = "conversion_actions";
const ENDPOINT: &str = "https://datamanager.googleapis.com";
const ADS_ENDPOINT: &str = "https://googleads.googleapis.com";
const ADS_API_VERSION: &str = "v26";
/// Google takes ten destinations in one request, so no batch can ever need more.
const ACTIONS_MAX: usize = 10;
const ID_DIGITS_MAX: usize = 20;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: "account_id",
        field_type: FieldType::Text,
        required: true,
        help: "The Google Ads account that owns the conversion actions, such as 123-456-7890.",
    },
    SettingField {
        name: "login_account_id",
        field_type: FieldType::Text,
        required: false,
        help: "The manager account through which the signed-in user has access, if it is not the account itself.",
    },
    SettingField {
        name: ACTIONS,
        field_type: FieldType::Map,
        required: true,
        help: "The id of the conversion action for each event_name of a goal; at most ten.",
    },
    oauth::CLIENT_ID,
    oauth::CLIENT_SECRET,
    oauth::REFRESH_TOKEN,
    SettingField {
        name: "consent",
        field_type: FieldType::Text,
        required: false,
        help: "What to say of the consent of visitors whose event does not deny it: granted or denied; nothing by default.",
    },
    SettingField {
        name: "adjustments",
        field_type: FieldType::Flag,
        required: false,
        help: "Whether a conversion that was taken back is restated to what is left of its value.",
    },
    SettingField {
        name: "retractions",
        field_type: FieldType::Flag,
        required: false,
        help: "Whether that goes through the Google Ads API, which takes a conversion of which nothing is left out of the count.",
    },
    setting::optional_text(
        "ads_api_version",
        "The version of the Google Ads API for retractions, such as v26, which is the default; each lives for about a year.",
    ),
    SettingField {
        name: "ads_endpoint",
        field_type: FieldType::Url,
        required: false,
        help: "Where to send retractions instead of https://googleads.googleapis.com: a sandbox or a proxy.",
    },
    SettingField {
        name: "validate_only",
        field_type: FieldType::Flag,
        required: false,
        help: "Events are checked by Google and never counted, so remove it in production.",
    },
    setting::endpoint_field(
        "Where to send instead of https://datamanager.googleapis.com: a sandbox or a proxy.",
    ),
    oauth::token_endpoint_field(
        "Where access tokens are asked for instead of https://oauth2.googleapis.com/token: a sandbox or a proxy.",
    ),
];

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems = setting::check_texts(settings, |name, text| match name {
        "account_id" | "login_account_id" => account(text)
            .is_none()
            .then(|| "is not the id of an account; write its ten digits, such as 123-456-7890".to_owned()),
        "client_id" => setting::plain_text(text),
        "consent" => (!matches!(text, "granted" | "denied"))
            .then(|| "is neither granted nor denied; write one of them or remove it".to_owned()),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        "ads_endpoint" => setting::endpoint(text, ADS_ENDPOINT),
        "ads_api_version" => (!is_version(text))
            .then(|| format!("is not a version of the Google Ads API; write it like {ADS_API_VERSION}")),
        "token_endpoint" => setting::endpoint(text, TOKEN_ENDPOINT),
        _ => None,
    });
    if retracts_by(settings) && settings.get("adjustments") == Some(&Setting::Flag(false)) {
        let problem = "tells of what was taken back, and adjustments = false does not; remove one of the two";
        problems.push(SettingProblem::new("retractions", problem));
    }
    let from = "the conversion action's address in Google Ads, where it follows ctId=";
    problems.extend(names::objects_problem(settings, ACTIONS, is_id, from));
    if let Some(Setting::Map(actions)) = settings.get(ACTIONS)
        && actions.len() > ACTIONS_MAX
    {
        let problem = format!(
            "has {} entries; write at most {ACTIONS_MAX}, and use a second destination for more",
            actions.len()
        );
        problems.push(SettingProblem::new(ACTIONS, problem));
    }
    problems
}

/// `v` and a number.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v')
        .is_some_and(|number| (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}

fn is_id(text: &str) -> bool {
    (1..=ID_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// The ten digits of an account's id, which people write with dashes.
fn account(text: &str) -> Option<String> {
    let digits = text.replace('-', "");
    (digits.len() == 10 && is_id(&digits)).then_some(digits)
}

/// An account as requests name it.
pub(super) fn account_of(settings: &Settings, name: &str) -> Option<String> {
    settings.text(name).and_then(account)
}

/// Whether events are only checked.
pub(super) fn validates_only(settings: &Settings) -> bool {
    settings.flag("validate_only")
}

/// The address of events.
pub(super) fn url(settings: &Settings) -> String {
    format!("{}/v1/events:ingest", endpoint(settings))
}

/// The address under which Google tells what became of a request.
pub(super) fn status_url(settings: &Settings, request_id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(request_id.as_bytes()).collect();
    format!("{}/v1/requestStatus:retrieve?requestId={id}", endpoint(settings))
}

fn endpoint(settings: &Settings) -> &str {
    settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/')
}

/// Whether adjustments go to the Google Ads API.
pub(super) fn retracts(settings: &Settings) -> bool {
    retracts_by(&settings.values)
}

fn retracts_by(settings: &BTreeMap<String, Setting>) -> bool {
    matches!(settings.get("retractions"), Some(Setting::Flag(true)))
}

/// The address of the Google Ads API for an account.
pub(super) fn ads_url(settings: &Settings, account: &str) -> String {
    let endpoint = settings.text("ads_endpoint").unwrap_or(ADS_ENDPOINT).trim_end_matches('/');
    let version = settings.text("ads_api_version").unwrap_or(ADS_API_VERSION);
    format!("{endpoint}/{version}/customers/{account}{ADS_CALL}")
}

/// How its address ends.
pub(super) const ADS_CALL: &str = ":uploadConversionAdjustments";
