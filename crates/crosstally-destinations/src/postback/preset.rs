//! Presets: how traffic sources take conversions, as data files. How their click links are made stands in the source's own
//! file of the same name, a floor below.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crosstally_core::config::source::{self, Source};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// How one source takes conversions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name in the configuration.
    pub name: String,
    /// Where its rules are described.
    pub docs: String,
    /// Who says so: the source itself, a tracker, or calls in public use.
    pub proof: String,
    /// What is special about it.
    pub note: String,
    /// What to tell it of which status.
    pub statuses: String,
    /// What is called.
    pub url: String,
    /// What must be in the answer's body, if that says more than the status.
    #[serde(default)]
    pub success_body_contains: Option<String>,
    /// What in the answer's body means that nothing was taken, whatever the status.
    #[serde(default)]
    pub failure_body_contains: Option<String>,
    /// The constants that an account has to give, and where to find each.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    /// What `{secret}` is and where to find it, if the URL has one.
    #[serde(default)]
    pub secret: Option<String>,
    /// The exact call that the sample conversion makes.
    pub expected: String,
}

impl Preset {
    /// The parameters of a click in which its click id may stand, in order.
    #[must_use]
    pub fn click_params(&self) -> &'static [String] {
        self.source().map_or(&[], |source| &source.click_params)
    }

    /// How its click links are made; a test sees that every preset has its source.
    #[must_use]
    pub fn source(&self) -> Option<&'static Source> {
        source::named(&self.name)
    }

    /// What it says for a setting.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match name {
            "url" => Some(&self.url),
            "success_body_contains" => self.success_body_contains.as_deref(),
            "failure_body_contains" => self.failure_body_contains.as_deref(),
            _ => None,
        }
    }
}

macro_rules! presets {
    ($($name:literal)*) => {
        /// Every file, by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../presets/", $name, ".toml"))),)*];
    };
}

presets! {
    "adness"
    "adsterra"
    "adxad"
    "clickadilla"
    "clickadu"
    "evadav"
    "exoclick"
    "ezmob"
    "hilltopads"
    "kadam"
    "mediago"
    "mgid"
    "mondiad"
    "outbrain"
    "popads"
    "popcash"
    "ppcmate"
    "propellerads"
    "revcontent"
    "richads"
    "rollerads"
    "taboola"
    "trafficjunky"
    "trafficstars"
    "zeropark"
}

/// All presets, by name.
pub fn all() -> &'static [Preset] {
    static READ: OnceLock<Vec<Preset>> = OnceLock::new();
    READ.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| {
            toml::from_str(text).unwrap_or_else(|error| panic!("the preset {name} is broken: {error}"))
        };
        FILES.iter().map(read).collect()
    })
}

/// The preset of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}
