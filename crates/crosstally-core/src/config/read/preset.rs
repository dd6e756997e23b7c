//! Reads the data file of a preset with the reader of partners' sections.

use toml::de::{DeTable, DeValue};

use super::document::Section;
use super::findings::{Findings, Spot};
use super::{syntax, terms};
use crate::config::Problem;
use crate::config::preset::Preset;
use crate::contract::Terms;

const KEYS: &[&str] = &["name", "title", "kind", "docs", "note", "template", "contract", "sample"];

/// Reads a preset.
///
/// # Errors
/// Every problem, in the order of the document.
pub fn read_preset(document: &str, name: &str) -> Result<Preset, Vec<Problem>> {
    let mut found = Findings::new(document, name);
    let preset = read(document, name, &mut found);
    let (problems, _) = found.into_parts();
    if problems.is_empty() { Ok(preset) } else { Err(problems) }
}

fn read(document: &str, name: &str, found: &mut Findings<'_>) -> Preset {
    let (table, errors) = DeTable::parse_recoverable(document);
    let start = || Spot { at: 0, path: String::new() };
    if !errors.is_empty() {
        syntax::note(&errors, document, found);
    }
    let root = Section::new(table.get_ref(), start(), "the preset");
    root.refuse_unknown(KEYS.iter().copied(), found);
    // A template may be empty; the reader of texts takes no empty ones.
    let text = |key: &str| match table.get_ref().get(key).map(|value| value.get_ref()) {
        Some(DeValue::String(text)) => text.to_string(),
        _ => String::new(),
    };
    if text("name") != name {
        found.problem(
            &root.spot_of("name"),
            "the name is not the file's",
            format!("write name = \"{name}\""),
        );
    }
    let own = match root.item("contract") {
        None => Terms::default(),
        Some(item) => match item.into_table("{ .. }", found) {
            None => Terms::default(),
            Some(contract) => {
                contract.refuse_unknown(terms::KEYS.iter().copied(), found);
                terms::read(&contract, found)
            }
        },
    };
    Preset {
        name: text("name"),
        title: text("title"),
        kind: text("kind"),
        docs: text("docs"),
        note: text("note"),
        template: text("template"),
        terms: own,
    }
}
