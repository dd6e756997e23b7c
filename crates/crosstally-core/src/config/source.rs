//! Presets of sources that take conversions by an API of their own, or not at all: how their click links are made, as data
//! files. Those that are told by a postback have theirs on the floor above, with the call.

use std::sync::OnceLock;

use serde::Deserialize;

/// How the click links of one source are made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Where its macros are described.
    pub docs: String,
    /// What is special about it.
    pub note: String,
    /// The parameters for the click link, with the source's own macros.
    pub link: String,
    /// The parameters of a click in which its click id stands, in order.
    pub click_params: Vec<String>,
}

impl Source {
    /// The parameters that the click link gives the source's macros.
    pub fn link_params(&self) -> impl Iterator<Item = &str> {
        self.link.split('&').filter_map(|pair| Some(pair.split_once('=')?.0))
    }
}

macro_rules! sources {
    ($($name:literal)*) => {
        /// Every file, by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../sources/", $name, ".toml"))),)*];
    };
}

sources! {
    "meta"
    "google"
    "tiktok"
    "snapchat"
    "pinterest"
    "reddit"
    "linkedin"
    "x"
    "microsoft"
    "openai"
    "quora"
    "nextdoor"
    "yandex"
    "adcash"
    "admaven"
    "applovin"
    "pushground"
    "stackadapt"
    "viant"
}

/// The names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// All of them.
///
/// # Panics
/// A file is broken; a test reads them all.
pub fn all() -> &'static [Source] {
    static READ: OnceLock<Vec<Source>> = OnceLock::new();
    READ.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| {
            toml::from_str(text).unwrap_or_else(|error| panic!("the source {name} is broken: {error}"))
        };
        FILES.iter().map(read).collect()
    })
}

/// The one of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Source> {
    // Most configurations name none of these, or one.
    FILES.iter().any(|(known, _)| *known == name).then(all)?.iter().find(|source| source.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::AD_CLICK_PARAMS;
    use crate::macros::looks_like_macro;

    #[test]
    fn every_file_is_listed_and_reads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sources");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder of sources")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".toml", ""))
            .collect();
        let mut listed: Vec<String> = all().iter().map(|source| source.name.clone()).collect();
        there.sort();
        listed.sort();
        assert_eq!(listed, there);
        assert_eq!(
            all().iter().map(|source| source.name.as_str()).collect::<Vec<_>>(),
            names().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_link_is_made_of_macros_that_are_known_as_such_and_names_the_click_id() {
        for source in all() {
            assert!(source.docs.starts_with("https://"), "{}", source.name);
            assert!(!source.click_params.is_empty(), "{}", source.name);
            for pair in source.link.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let is_word = value.bytes().all(|b| b.is_ascii_alphanumeric());
                assert!(!name.is_empty() && (looks_like_macro(value) || is_word), "{}: {pair}", source.name);
            }
            for param in &source.click_params {
                let by_itself = AD_CLICK_PARAMS.iter().any(|known| known.name == param);
                assert!(by_itself || source.link_params().any(|known| known == param), "{}", source.name);
            }
        }
    }
}
