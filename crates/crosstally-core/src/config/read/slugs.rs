//! The slugs of a kind of section: checked, unique, and there to be referred to.

use std::collections::HashMap;

use toml::de::DeValue;

use super::document::{Section, Text, shown};
use super::findings::Findings;
use crate::limits::SLUG_BYTES_MAX;
use crate::nearest::nearest;

/// Most slugs that are compared to find what was meant.
const COMPARED_MAX: usize = 1_000;

/// Slugs with the lines they stand in.
#[derive(Default)]
pub(super) struct Slugs(HashMap<String, usize>);

impl Slugs {
    /// Whether there is such a section, in order or not: one mistake is told once, not again at every reference.
    pub(super) fn contains(&self, slug: &str) -> bool {
        self.0.contains_key(slug)
    }

    /// A fix for a reference to nothing.
    pub(super) fn meant(&self, word: &str, found: &Findings<'_>) -> Option<String> {
        if found.is_full() {
            return None;
        }
        let mut known: Vec<&str> = self.0.keys().map(String::as_str).take(COMPARED_MAX).collect();
        known.sort_unstable();
        nearest(word, known).map(|near| format!("did you mean `{near}`?"))
    }

    /// Reads the slug of a section.
    pub(super) fn read(&mut self, section: &Section<'_>, found: &mut Findings<'_>) -> Option<String> {
        let text = section.required("slug", "\"a-name\"", found)?;
        let line = found.line(text.spot.at);
        if let Some(first) = self.0.get(text.text) {
            let problem = format!("there is another {} {} in line {first}", section.name, shown(text.text));
            found.problem(&text.spot, problem, "give one of them another slug");
            return None;
        }
        self.0.insert(text.text.to_owned(), line);
        if is_slug(text.text) {
            return Some(text.text.to_owned());
        }
        found.problem(&text.spot, format!("{} is not a slug", shown(text.text)), fix(&text));
        None
    }
}

/// The path of an entry: `partner[acme]`, or its number from 1 if it has no proper slug.
pub(super) fn entry_path(section: &str, at: usize, slug: Option<&DeValue<'_>>) -> String {
    match slug.and_then(DeValue::as_str).filter(|slug| is_slug(slug)) {
        Some(slug) => format!("{section}[{slug}]"),
        None => format!("{section}[#{}]", at + 1),
    }
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SLUG_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

fn fix(text: &Text<'_>) -> String {
    let rule = format!("use a-z, 0-9, - and _, at most {SLUG_BYTES_MAX}");
    let plain: String = text
        .text
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' })
        .take(SLUG_BYTES_MAX)
        .collect();
    if plain.bytes().any(|b| b.is_ascii_alphanumeric()) { format!("{rule}: \"{plain}\"") } else { rule }
}
