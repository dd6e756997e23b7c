//! Event names: from the standard names, written as Meta writes them, to a platform's own.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::event::OutboundEvent;

use crate::dialect::{FieldType, SettingField, SettingProblem, Settings};
use crate::refused::Refused;

/// The setting that gives single names another counterpart.
pub(crate) const FIELD: SettingField = SettingField {
    name: "event_names",
    field_type: FieldType::Map,
    required: false,
    help: "What the platform calls a goal's event_name, by that name, where the usual counterpart does not fit.",
};

/// The platform's name of an event: by the settings, else by the platform's table, else as it is.
pub(crate) fn of<'a>(settings: &'a Settings, table: &[(&str, &'static str)], name: &'a str) -> &'a str {
    let own = settings.map(FIELD.name).find(|(known, _)| *known == name).map(|(_, theirs)| theirs);
    own.or_else(|| table.iter().find(|(known, _)| *known == name).map(|(_, theirs)| *theirs)).unwrap_or(name)
}

/// The same, which must not be blank.
pub(crate) fn required<'a>(
    settings: &'a Settings,
    table: &[(&str, &'static str)],
    event: &'a OutboundEvent,
) -> Result<&'a str, Refused> {
    let name = of(settings, table, &event.event_name);
    if name.trim().is_empty() { Err(Refused::incomplete("event_name is required")) } else { Ok(name) }
}

/// The platform's name of an event, where the platform takes no other than those that it lists.
pub(crate) fn listed<'a>(
    settings: &'a Settings,
    table: &[(&str, &'static str)],
    known: &[&str],
    event: &'a OutboundEvent,
    platform: &str,
) -> Result<&'a str, Refused> {
    let name = of(settings, table, &event.event_name);
    if known.contains(&name) || table.iter().any(|(_, theirs)| *theirs == name) {
        return Ok(name);
    }
    Err(Refused::incomplete(format!(
        "event_name must be one that {platform} lists; give `{}` a counterpart with event_names",
        event.event_name
    )))
}

/// What the platform calls its own object for an event, where a setting has one for every name: a conversion action, a
/// rule.
pub(crate) fn object_of<'a>(
    settings: &'a Settings,
    setting: &str,
    event_name: &str,
) -> Result<&'a str, Refused> {
    settings.map(setting).find(|(name, _)| *name == event_name).map(|(_, id)| id).ok_or_else(|| {
        Refused::incomplete(format!("event_name has no entry in {setting}; add one with the platform's id"))
    })
}

/// What is wrong with such a setting. `is_id` knows the platform's ids, `from` says where to copy them.
pub(crate) fn objects_problem(
    settings: &BTreeMap<String, Setting>,
    setting: &str,
    is_id: impl Fn(&str) -> bool,
    from: &str,
) -> Option<SettingProblem> {
    let Some(Setting::Map(objects)) = settings.get(setting) else { return None };
    if objects.is_empty() {
        let problem = "is empty; write an entry for each event_name of the goals";
        return Some(SettingProblem::new(setting, problem));
    }
    let (name, _) = objects.iter().find(|(_, id)| !is_id(id))?;
    Some(SettingProblem::new(setting, format!("has no id for {name:?}; copy it from {from}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_settings_or_the_tables_or_its_own() {
        let own = BTreeMap::from([("Lead".to_owned(), "CUSTOM_EVENT_1".to_owned())]);
        let values = BTreeMap::from([(FIELD.name.to_owned(), Setting::Map(own))]);
        let settings = Settings { values, ..Settings::default() };
        let table = [("Lead", "SIGN_UP"), ("Purchase", "PURCHASE")];
        for (name, sent) in
            [("Lead", "CUSTOM_EVENT_1"), ("Purchase", "PURCHASE"), ("SEARCH", "SEARCH"), ("lead", "lead")]
        {
            assert_eq!(of(&settings, &table, name), sent);
        }
    }
}
