//! What holds for one destination: its own settings, then those of its preset.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crosstally_core::config::Setting;
use crosstally_core::template::{Fault, Style, Template};

use super::escape::Escape;
use super::preset::{self, Preset};
use crate::templates::{ReadTemplates, Unread};

/// The parameter in which a source's click id stands if nothing else is said.
pub(super) const CLICK_PARAM: &str = "source_click_id";
const FORM: &str = "application/x-www-form-urlencoded";

/// The settings in force.
#[derive(Debug, Clone)]
pub(super) struct Effective<'s> {
    settings: &'s BTreeMap<String, Setting>,
    pub(super) preset: Option<&'static Preset>,
    style: Option<Style>,
}

impl<'s> Effective<'s> {
    pub(super) fn of(settings: &'s BTreeMap<String, Setting>) -> Self {
        let preset = text(settings, "preset").and_then(preset::named);
        let style = text(settings, "brackets").and_then(Style::of_sample);
        Self { settings, preset, style }
    }

    /// The parameters of a click in which its source's click id may stand, in order.
    pub(super) fn click_params(&self) -> impl Iterator<Item = &'s str> {
        let (own, preset) = (self.list("click_params"), self.preset);
        let named = match preset {
            Some(preset) if own.is_empty() => preset.click_params(),
            _ => own,
        };
        let usual = own.is_empty() && preset.is_none();
        named.iter().map(String::as_str).chain(usual.then_some(CLICK_PARAM))
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
        self.unread(text, escape).read()
    }

    /// The same among those that were read before.
    pub(super) fn known<'k>(
        &self,
        known: &'k ReadTemplates,
        text: &str,
        escape: Escape,
    ) -> Cow<'k, Template> {
        let all =
            || self.templates().into_iter().map(|(_, text, escape)| self.unread(text, escape)).collect();
        known.get(self.unread(text, escape), all)
    }

    fn unread<'t>(&self, text: &'t str, escape: Escape) -> Unread<'t> {
        Unread { text, style: self.style, markup: escape.is_markup() }
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
