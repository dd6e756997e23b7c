//! The settings of a pixel.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;

use super::oauth1;
use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::{names, setting};

pub(super) const EVENT_IDS: &str = "event_ids";
pub(super) const PIXEL_TOKEN: &str = "pixel_token";
const ENDPOINT: &str = "https://ads-api.x.com";
const ID_CHARS_MAX: usize = 64;

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    setting::required_text("pixel_id", "The pixel's id from Events Manager, such as o8z6j."),
    SettingField {
        name: EVENT_IDS,
        field_type: FieldType::Map,
        required: true,
        help: "The id of the pixel's event for each event_name of a goal, such as tw-o8z6j-o8z21.",
    },
    secret(PIXEL_TOKEN, "The pixel's token; either this or the four of an app."),
    secret(oauth1::CONSUMER_KEY, "The app's API key."),
    secret(oauth1::CONSUMER_SECRET, "The app's API key secret."),
    secret(oauth1::ACCESS_TOKEN, "The access token of a user who may send to the ad account."),
    secret(oauth1::ACCESS_TOKEN_SECRET, "The access token's secret."),
    setting::endpoint_field("Where to send instead of https://ads-api.x.com: a sandbox or a proxy."),
];

const fn secret(name: &'static str, help: &'static str) -> SettingField {
    SettingField { name, field_type: FieldType::Secret, required: false, help }
}

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems = setting::check_texts(settings, |name, text| match name {
        "pixel_id" => setting::id(text, "Events Manager"),
        "endpoint" => setting::endpoint(text, ENDPOINT),
        _ => None,
    });
    problems.extend(names::objects_problem(settings, EVENT_IDS, is_id, "Events Manager"));
    let missing: Vec<&str> =
        oauth1::SETTINGS.into_iter().filter(|name| !settings.contains_key(*name)).collect();
    let has_pixel_token = settings.contains_key(PIXEL_TOKEN);
    let problem = match missing.as_slice() {
        [] if has_pixel_token => {
            "stands beside the four settings of an app; keep one of both ways".to_owned()
        }
        all if all.len() == oauth1::SETTINGS.len() && has_pixel_token => return problems,
        [] => return problems,
        all if all.len() == oauth1::SETTINGS.len() => {
            format!("is missing; set it, or all of {}", oauth1::SETTINGS.join(", "))
        }
        some => {
            format!("is missing, as is {}; set {PIXEL_TOKEN} alone or all four of an app", some.join(", "))
        }
    };
    problems.push(SettingProblem::new(PIXEL_TOKEN, problem));
    problems
}

fn is_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The address.
pub(super) fn url(settings: &Settings) -> String {
    let endpoint = settings.text("endpoint").unwrap_or(ENDPOINT).trim_end_matches('/');
    format!("{endpoint}/12/measurement/conversions/{}", settings.text("pixel_id").unwrap_or_default())
}
