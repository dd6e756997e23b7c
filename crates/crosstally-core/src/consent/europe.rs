//! Where consent to advertising must be asked for: the European Economic Area, the United Kingdom and Switzerland.

use serde::{Deserialize, Serialize};

/// Whether a visitor is in Europe, as their address told while it was kept. In the order in which one goes before another:
/// who may be in Europe is treated as if they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Europe {
    /// They are elsewhere, or nobody can say where their address is.
    Outside,
    /// Nothing was noted: their address tells it, if there is one and a file knows it.
    #[default]
    Unsaid,
    /// Nothing was noted and their address is gone: they may be.
    Unknown,
    /// They are.
    Inside,
}

impl Europe {
    /// By the country of an address; empty if none is known.
    #[must_use]
    pub fn of(country: &str) -> Self {
        if is_european(country) { Self::Inside } else { Self::Outside }
    }

    /// By what was noted when an address came, and whether the address is still there.
    #[must_use]
    pub const fn noted(in_europe: Option<bool>, has_address: bool) -> Self {
        match (in_europe, has_address) {
            (Some(true), _) => Self::Inside,
            (Some(false), _) => Self::Outside,
            (None, true) => Self::Unsaid,
            (None, false) => Self::Unknown,
        }
    }

    /// What is left of it without the address.
    #[must_use]
    pub fn without_address(self) -> Self {
        if self == Self::Unsaid { Self::Unknown } else { self }
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_unsaid(&self) -> bool {
        *self == Self::Unsaid
    }
}

/// ISO 3166-1 alpha-2 codes, in order. Those of parts of the European Union with a code of their own stand by themselves.
const COUNTRIES: [&str; 38] = [
    "ax", "at", "be", "bg", "hr", "cy", "cz", "dk", "ee", "fi", "fr", "gf", "de", "gr", "gp", "hu", "is",
    "ie", "it", "lv", "li", "lt", "lu", "mt", "mq", "yt", "nl", "no", "pl", "pt", "re", "ro", "mf", "sk",
    "si", "es", "se", "ch",
];
/// The United Kingdom, by its code and as people write it.
const UNITED_KINGDOM: [&str; 2] = ["gb", "uk"];

/// Whether a country is one of them, by its code in any case.
#[must_use]
pub fn is_european(country: &str) -> bool {
    countries().any(|known| known.eq_ignore_ascii_case(country))
}

/// Their codes in lower case.
pub(crate) fn countries() -> impl Iterator<Item = &'static str> {
    COUNTRIES.into_iter().chain(UNITED_KINGDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn europe_is_where_the_rule_holds() {
        for inside in ["DE", "fr", "IS", "li", "NO", "GB", "CH", "RE"] {
            assert!(is_european(inside), "{inside}");
        }
        for outside in ["", "US", "TR", "RS", "CA", "EU"] {
            assert!(!is_european(outside), "{outside}");
        }
    }
}
