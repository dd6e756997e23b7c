//! Presets of sources: how their links are made, as data files. How those that are told by a postback take conversions
//! stands on the floor above, under the same name.

use std::sync::OnceLock;

use serde::Deserialize;

/// How the links of one source are made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Where its macros are described; empty where the call's own file says it.
    #[serde(default)]
    pub docs: String,
    /// What is special about it.
    #[serde(default)]
    pub note: String,
    /// The parameters for the click link, with the source's own macros.
    pub link: String,
    /// The parameters of a click in which its click id stands, in order.
    pub click_params: Vec<String>,
    /// The `utm_` parameters of a page's link, with the same macros.
    pub utm: String,
    /// Further macros that it fills in.
    #[serde(default)]
    pub macros: Vec<String>,
}

impl Source {
    /// The parameters of the click link with their values.
    pub fn link_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.link.split('&').filter_map(|pair| pair.split_once('='))
    }

    /// The parameters that the click link gives the source's macros.
    pub fn link_params(&self) -> impl Iterator<Item = &str> {
        self.link_pairs().map(|(name, _)| name)
    }

    /// The value of a `utm_` parameter; empty without one.
    #[must_use]
    pub fn utm_value(&self, name: &str) -> &str {
        let mut pairs = self.utm.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Every macro that it fills in, as it is written there.
    pub fn all_macros(&self) -> impl Iterator<Item = &str> {
        let in_links = self.link.split('&').chain(self.utm.split('&'));
        let values = in_links.filter_map(|pair| Some(pair.split_once('=')?.1));
        // A value that is no macro is a word.
        let marked = |value: &&str| !value.starts_with(|c: char| c.is_ascii_alphanumeric());
        values.filter(marked).chain(self.macros.iter().map(String::as_str))
    }
}

macro_rules! sources {
    ($($name:literal)*) => {
        /// Every file, by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../sources/", $name, ".toml"))),)*];
    };
}

sources! {
    "adcash"
    "admaven"
    "adness"
    "adsterra"
    "adxad"
    "applovin"
    "clickadilla"
    "clickadu"
    "evadav"
    "exoclick"
    "ezmob"
    "google"
    "hilltopads"
    "kadam"
    "linkedin"
    "mediago"
    "meta"
    "mgid"
    "microsoft"
    "mondiad"
    "nextdoor"
    "openai"
    "outbrain"
    "pinterest"
    "popads"
    "popcash"
    "ppcmate"
    "propellerads"
    "pushground"
    "quora"
    "reddit"
    "revcontent"
    "richads"
    "rollerads"
    "selfadvertiser"
    "snapchat"
    "stackadapt"
    "taboola"
    "tiktok"
    "trafficfactory"
    "trafficjunky"
    "trafficstars"
    "viant"
    "x"
    "yandex"
    "zeropark"
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
            assert!(source.docs.is_empty() || source.docs.starts_with("https://"), "{}", source.name);
            assert!(!source.click_params.is_empty(), "{}", source.name);
            for pair in source.link.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let is_word = value.bytes().all(|b| b.is_ascii_alphanumeric());
                // Adsterra's token has brackets within brackets.
                let is_macro = looks_like_macro(value) || value == "##SUB_ID_SHORT(action)##";
                assert!(!name.is_empty() && (is_macro || is_word), "{}: {pair}", source.name);
            }
            // The names behind the first are those that the source or its users chose before.
            let param = &source.click_params[0];
            let by_itself = AD_CLICK_PARAMS.iter().any(|known| known.name == param);
            assert!(by_itself || source.link_params().any(|known| known == param), "{}", source.name);
        }
    }

    #[test]
    fn the_two_kinds_of_links_say_the_same() {
        for source in all() {
            let name = &source.name;
            for required in ["utm_source", "utm_medium"] {
                assert!(!source.utm_value(required).is_empty(), "{name}: {required}");
            }
            for pair in source.utm.split('&') {
                let (param, value) = pair.split_once('=').unwrap_or((pair, ""));
                assert!(param.starts_with("utm_") && !value.is_empty(), "{name}: {pair}");
                let is_word = value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                assert!(looks_like_macro(value) || is_word, "{name}: {pair}");
                let in_link = source.link_pairs().find(|(known, _)| *known == param);
                assert!(in_link.is_none_or(|(_, other)| other == value), "{name}: {param} has two values");
            }
            let mut macros: Vec<&str> = source.macros.iter().map(String::as_str).collect();
            assert!(macros.iter().all(|written| looks_like_macro(written)), "{name}: {macros:?}");
            macros.retain(|written| source.link.contains(&format!("={written}")));
            assert!(macros.is_empty(), "{name}: {macros:?} stand in its link already");
        }
        let macros = |name: &str| named(name).map(|source| source.all_macros().collect::<Vec<_>>().join(" "));
        assert_eq!(macros("x").as_deref(), Some(""));
        assert_eq!(macros("quora").as_deref(), Some(""));
        assert!(
            macros("tiktok").is_some_and(|all| all.starts_with("__CID__ ") && all.ends_with(" __CLICKID__"))
        );
        assert!(macros("adsterra").is_some_and(|all| all == "##SUB_ID_SHORT(action)##"));
    }
}
