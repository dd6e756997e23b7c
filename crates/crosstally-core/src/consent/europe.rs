//! Where consent to advertising must be asked for: the European Economic Area, the United Kingdom and Switzerland.

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
