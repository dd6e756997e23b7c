//! The proposal as a partner's section and as a URL.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Draft;
use crate::config::Word;

/// What may not stand in a URL, whoever pasted it.
const UNPRINTED: &AsciiSet = &CONTROLS.add(b' ');

/// The section.
pub(super) fn section(draft: &Draft, slug: &str) -> String {
    let own = &draft.own;
    let mut text = format!("[[partner]]\nslug = {}\npreset = {}\n", quoted(slug), quoted(&draft.preset.name));
    let mut line = |key: &str, value: Option<&'static str>| {
        if let Some(value) = value {
            writeln!(text, "{key} = {}", quoted(value)).expect("writing to a String cannot fail");
        }
    };
    line("decimal", own.decimal.map(Word::word));
    line("thousands", own.thousands.map(Word::word));
    line("rounding", own.rounding.map(Word::word));
    line("encoding", own.encoding.map(Word::word));
    line("negative", own.negative.map(Word::word));
    if !own.params.is_empty() {
        let params = own.params.iter().filter_map(|(field, names)| Some((field, quoted(names.first()?))));
        let pairs: Vec<String> = params.map(|(field, name)| format!("{field} = {name}")).collect();
        writeln!(text, "params = {{ {} }}", pairs.join(", ")).expect("writing to a String cannot fail");
    }
    if !own.statuses.is_empty() {
        let pairs: Vec<String> = own
            .statuses
            .iter()
            .map(|(word, meaning)| format!("{} = {}", quoted(word), quoted(meaning.word())))
            .collect();
        writeln!(text, "statuses = {{ {} }}", pairs.join(", ")).expect("writing to a String cannot fail");
    }
    text
}

/// The URL to paste at the sender: the preset's template, or what the sample's own macros say.
pub(super) fn url(draft: &Draft, slug: &str, base: &str) -> String {
    let address = format!("{}/postback/{slug}", base.trim_end_matches('/'));
    let is_own = draft.preset.name == "generic";
    if !is_own && !draft.preset.template.is_empty() {
        return format!("{address}?{}", draft.preset.template);
    }
    if draft.sample.is_json {
        return address;
    }
    let macros: Vec<String> = draft
        .params
        .iter()
        .filter(|reading| reading.is_macro)
        .filter_map(|reading| {
            Some(format!("{}={}", param_name(reading.field?, reading, draft), reading.value))
        })
        .collect();
    let query = if macros.is_empty() { draft.sample.query.clone() } else { macros.join("&") };
    format!("{address}?{}", utf8_percent_encode(&query, UNPRINTED))
}

/// Our own name, unless the section reads the field from another one.
fn param_name<'d>(field: &'d str, reading: &'d super::Reading, draft: &Draft) -> &'d str {
    if draft.own.params.contains_key(field) { &reading.name } else { field }
}

/// A text as a document writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
