//! The settings of a webhook.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;

use super::sign::Key;
use crate::age;
use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};

/// The secrets that sign, the one in force first.
pub(super) const SECRETS: [&str; 2] = ["secret", "old_secret"];

/// All settings.
pub(super) const FIELDS: &[SettingField] = &[
    SettingField {
        name: "url",
        field_type: FieldType::Url,
        required: true,
        help: "Where the events are posted.",
    },
    SettingField {
        name: SECRETS[0],
        field_type: FieldType::Secret,
        required: true,
        help: "What signs: whsec_ and base64 of 24 to 64 bytes, which the receiver has too, or whsk_ and base64 of an Ed25519 private key, whose public half the receiver has.",
    },
    SettingField {
        name: SECRETS[1],
        field_type: FieldType::Secret,
        required: false,
        help: "The secret before this one: as long as it stands here, calls are signed with both, so that the receiver can change over.",
    },
    age::MAX_AGE_DAYS,
];

/// Checks the settings beyond presence and type.
pub(super) fn check(settings: &BTreeMap<String, Setting>) -> Vec<SettingProblem> {
    let mut problems: Vec<SettingProblem> = age::max_problem(settings).into_iter().collect();
    if let Some(Setting::Text(url)) = settings.get("url")
        && url.contains('#')
    {
        let problem = "has a fragment, which is never sent; remove what stands behind the #";
        problems.push(SettingProblem::new("url", problem));
    }
    problems
}

/// The secrets that cannot sign.
pub(super) fn unusable_secrets(settings: &Settings) -> Vec<&'static str> {
    let cannot_sign = |name: &&str| settings.secret(name).is_some_and(|secret| Key::read(secret).is_none());
    SECRETS.into_iter().filter(cannot_sign).collect()
}
