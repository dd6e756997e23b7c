//! Countries: ISO 3166-1 codes and the names that people write instead.
//!
//! Two stages, because platforms are strict and people are not. [`from_code_or_name`] takes an alpha-2 code or the
//! English name and belongs to every platform's normal form. [`from_any_name`] also takes alpha-3 codes, informal and
//! native names, and the `UK` that is no ISO code; it may be applied before.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One country a line: alpha-2; alpha-3; English names; other names. Names are separated by `|`.
const COUNTRIES: &str = include_str!("country/countries.txt");

#[derive(Clone, Copy)]
struct Entry {
    alpha_2: &'static str,
    strict: bool,
}

static ENTRIES: LazyLock<HashMap<String, Entry>> = LazyLock::new(|| {
    let mut entries = HashMap::new();
    for line in COUNTRIES.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split(';');
        let mut column = || columns.next().unwrap_or_default();
        let (alpha_2, alpha_3, english, others) = (column(), column(), column(), column());
        let strict = Entry { alpha_2, strict: true };
        let loose = Entry { alpha_2, strict: false };
        entries.insert(alpha_2.to_owned(), strict);
        entries.entry(alpha_3.to_owned()).or_insert(loose);
        entries.extend(english.split('|').map(|name| (letters(name), strict)));
        entries.extend(others.split('|').filter(|name| !name.is_empty()).map(|name| (letters(name), loose)));
    }
    entries
});

/// The alpha-2 code in lower case for an alpha-2 code or an English name. Letters beyond ASCII are no English name.
#[must_use]
pub fn from_code_or_name(input: &str) -> Option<&'static str> {
    find(input).filter(|entry| entry.strict).map(|entry| entry.alpha_2)
}

/// The alpha-2 code in lower case for any code or name that is known for a country.
#[must_use]
pub fn from_any_name(input: &str) -> Option<&'static str> {
    find(input).map(|entry| entry.alpha_2)
}

fn find(input: &str) -> Option<Entry> {
    let name = letters(input);
    // "The Gambia", "Bahamas, The".
    let without_article = || name.strip_prefix("the").or_else(|| name.strip_suffix("the"));
    ENTRIES.get(&name).or_else(|| ENTRIES.get(without_article()?)).copied()
}

fn letters(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect()
}

#[cfg(test)]
mod tests;
