//! Presets: what the field's trackers, networks and shops call things, as data files. A partner that names one starts
//! from its terms.

use std::sync::OnceLock;

use crate::contract::Terms;

/// What is known about a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name in the configuration.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// `tracker`, `network`, `shop`, `payments`, `app` or `crm`.
    pub kind: String,
    /// Where its rules are described.
    pub docs: String,
    /// What is special about it.
    pub note: String,
    /// The query that its user pastes behind the postback URL, with the sender's macros; empty if it posts a fixed form.
    pub template: String,
    /// The terms that a partner starts from.
    pub terms: Terms,
}

macro_rules! presets {
    ($($name:literal)*) => {
        /// Every file, by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../presets/", $name, ".toml"))),)*];
    };
}

presets! {
    "generic"
    "adcombo"
    "adjust"
    "admitad"
    "adsbridge"
    "advidi"
    "aff1"
    "affise"
    "affise-advertiser"
    "altercpa"
    "appsflyer"
    "awin"
    "ayet-studios"
    "bemob"
    "binom"
    "branch"
    "buygoods"
    "cake"
    "clickbank"
    "clickdealer"
    "clickflare"
    "cpalead"
    "digistore24"
    "everad"
    "everflow"
    "funnelflux"
    "gumroad"
    "hotmart"
    "impact"
    "jvzoo"
    "keitaro"
    "kiwify"
    "kma"
    "lemonsqueezy"
    "limonad"
    "linktrust"
    "lospollos"
    "lucky-online"
    "maxbounty"
    "mobidea"
    "monetizer"
    "paddle"
    "paypal"
    "prosper202"
    "rakuten"
    "redtrack"
    "scaleo"
    "scaleo-advertiser"
    "shakes"
    "shopify"
    "singular"
    "stripe"
    "terraleads"
    "trackdesk"
    "tune"
    "tune-advertiser"
    "voluum"
    "warriorplus"
    "woocommerce"
    "zeydoo"
}

/// Read when they are first asked for: a server with two partners reads two files.
static READ: [OnceLock<Preset>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

fn at(number: usize) -> Option<&'static Preset> {
    let (name, document) = FILES.get(number)?;
    let read = || {
        super::read_preset(document, name)
            .unwrap_or_else(|problems| panic!("the preset {name} is broken: {problems:?}"))
    };
    Some(READ.get(number)?.get_or_init(read))
}

/// The names of all presets, the generic one first.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// All presets, the generic one first.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    (0..FILES.len()).filter_map(at)
}

/// The preset of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Preset> {
    at(FILES.iter().position(|(known, _)| *known == name)?)
}

/// The preset of a partner that names none.
///
/// # Panics
/// Never: it is the first of the list.
#[must_use]
pub fn generic() -> &'static Preset {
    at(0).expect("the generic preset is the first of the list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_and_reads() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder of presets")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".toml", ""))
            .collect();
        there.sort();
        let mut listed: Vec<String> = all().map(|preset| preset.name.clone()).collect();
        listed.sort();
        assert_eq!(listed, there);
        assert_eq!(
            all().map(|preset| preset.name.as_str()).collect::<Vec<_>>(),
            FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        for preset in all() {
            assert!(preset.docs.starts_with("https://") || preset.name == "generic", "{}", preset.name);
        }
    }
}
