//! Checks of settings that many kinds have.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use url::Url;

use crate::dialect::{FieldType, SettingField, SettingProblem};

const ID_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 256;

/// Asks for every text among the settings, by name, what is wrong with it.
pub(crate) fn check_texts(
    settings: &BTreeMap<String, Setting>,
    problem_of: impl Fn(&str, &str) -> Option<String>,
) -> Vec<SettingProblem> {
    let texts = settings.iter().filter_map(|(name, setting)| match setting {
        Setting::Text(text) => Some((name, text)),
        _ => None,
    });
    texts.filter_map(|(name, text)| Some(SettingProblem::new(name, problem_of(name, text)?))).collect()
}

/// A secret without which nothing can be sent.
pub(crate) const fn secret_field(name: &'static str, help: &'static str) -> SettingField {
    SettingField { name, field_type: FieldType::Secret, required: true, help }
}

/// A text without which nothing can be sent.
pub(crate) const fn required_text(name: &'static str, help: &'static str) -> SettingField {
    SettingField { name, field_type: FieldType::Text, required: true, help }
}

/// A text that may be absent.
pub(crate) const fn optional_text(name: &'static str, help: &'static str) -> SettingField {
    SettingField { name, field_type: FieldType::Text, required: false, help }
}

/// The setting `endpoint`; every kind has it.
pub(crate) const fn endpoint_field(help: &'static str) -> SettingField {
    SettingField { name: "endpoint", field_type: FieldType::Url, required: false, help }
}

/// A host, perhaps with the beginning of a path, behind which the connector puts its own.
pub(crate) fn endpoint(text: &str, example: &str) -> Option<String> {
    let absolute = || Some(format!("is not an absolute http or https URL; write it like {example}"));
    let Ok(url) = Url::parse(text) else { return absolute() };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return absolute();
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some(
            "has a query or a fragment; the path is put behind it, so end it before them".to_owned(),
        );
    }
    let user = !url.username().is_empty() || url.password().is_some();
    user.then(|| "has a user name or password in it; remove what stands before the @".to_owned())
}

/// An id that becomes a segment of the path or stands in the body. `from` is where to copy it.
pub(crate) fn id(text: &str, from: &str) -> Option<String> {
    let fine = (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (!fine).then(|| format!("is not an id of letters, digits, - and _; copy it from {from}"))
}

/// A whole number of days between bounds.
pub(crate) fn days(settings: &BTreeMap<String, Setting>, name: &str, max: i64) -> Option<SettingProblem> {
    let Some(Setting::Integer(days)) = settings.get(name) else { return None };
    let fine = (1..=max).contains(days);
    (!fine).then(|| SettingProblem::new(name, format!("is not between 1 and {max}; write a number of days")))
}

/// A short text that is passed on as it is.
pub(crate) fn plain_text(text: &str) -> Option<String> {
    let fine = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    (!fine).then(|| {
        "is empty, longer than 256 bytes or has control characters; shorten it or remove the line".to_owned()
    })
}
