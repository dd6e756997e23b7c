//! What holds for one destination: its own settings, then those of its preset.

use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::macro_names::is_known;
use crosstally_core::template::{Brackets, Fault, Style, Template};

use super::escape::Escape;
use super::preset::{self, Preset};

/// The parameter in which a source's click id stands if nothing else is said.
pub(super) const CLICK_PARAM: &str = "source_click_id";
const FORM: &str = "application/x-www-form-urlencoded";

/// The settings in force.
#[derive(Debug, Clone)]
pub(super) struct Effective<'s> {
    settings: &'s BTreeMap<String, Setting>,
    pub(super) preset: Option<&'static Preset>,
    /// The parameters of a click in which its source's click id may stand, in order.
    pub(super) click_params: Vec<&'s str>,
    style: Option<Style>,
}

impl<'s> Effective<'s> {
    pub(super) fn of(settings: &'s BTreeMap<String, Setting>) -> Self {
        let preset = text(settings, "preset").and_then(preset::named);
        let own = match settings.get("click_params") {
            Some(Setting::List(names)) => names.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let click_params = match (own.is_empty(), preset) {
            (false, _) => own,
            (true, Some(preset)) => preset.click_params().iter().map(String::as_str).collect(),
            (true, None) => vec![CLICK_PARAM],
        };
        let style = text(settings, "brackets").and_then(Style::of_sample);
        Self { settings, preset, click_params, style }
    }

    /// A text of the settings, else of the preset.
    pub(super) fn text(&self, name: &str) -> Option<&'s str> {
        text(self.settings, name).or_else(|| self.preset.and_then(|preset| preset.text(name)))
    }

    pub(super) fn url(&self) -> &'s str {
        self.text("url").unwrap_or_default()
    }

    pub(super) fn method(&self) -> &'static str {
        if self.text("method") == Some("POST") { "POST" } else { "GET" }
    }

    pub(super) fn content_type(&self) -> &'s str {
        self.text("content_type").unwrap_or(FORM)
    }

    /// How the body's values are written.
    pub(super) fn body_escape(&self) -> Escape {
        Escape::of_content_type(self.content_type()).unwrap_or(Escape::Percent)
    }

    /// The body's template, if one is sent.
    pub(super) fn body(&self) -> Option<&'s str> {
        self.text("body").filter(|_| self.method() == "POST")
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.map("headers")
    }

    /// A constant of the destination.
    pub(super) fn constant(&self, name: &str) -> Option<&'s str> {
        self.map("constants").find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Pairs of a setting.
    pub(super) fn map(&self, name: &str) -> impl Iterator<Item = (&'s str, &'s str)> {
        let map = match self.settings.get(name) {
            Some(Setting::Map(map)) => Some(map),
            _ => None,
        };
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Items of a setting.
    pub(super) fn list(&self, name: &str) -> &'s [String] {
        match self.settings.get(name) {
            Some(Setting::List(items)) => items,
            _ => &[],
        }
    }

    /// Reads a template where its values are written like this.
    pub(super) fn template(&self, text: &str, escape: Escape) -> (Template, Vec<Fault>) {
        let brackets = match self.style {
            Some(style) => Brackets::only(style, is_known),
            None => Brackets::any(is_known, escape.is_markup()),
        };
        Template::read(text, brackets)
    }

    /// Every template with the setting that it stands in, and how its values are written.
    pub(super) fn templates(&self) -> Vec<(&'static str, &'s str, Escape)> {
        let mut all = vec![("url", self.url(), Escape::Percent)];
        all.extend(self.body().map(|body| ("body", body, self.body_escape())));
        all.extend(self.headers().map(|(_, value)| ("headers", value, Escape::Header)));
        all
    }
}

fn text<'s>(settings: &'s BTreeMap<String, Setting>, name: &str) -> Option<&'s str> {
    match settings.get(name) {
        Some(Setting::Text(text)) => Some(text),
        _ => None,
    }
}
