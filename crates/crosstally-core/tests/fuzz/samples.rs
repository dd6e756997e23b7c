//! The calls that partners are known to send, as seeds: the samples of every preset, and the calls of the table test.

use std::sync::LazyLock;

use crosstally_core::config::preset;

use crate::partners;

/// The calls of the table test.
const CALLS: &str = include_str!("../../../crosstally/tests/it/presets/calls.toml");

/// A call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Where its preset stands in the list of all of them.
    pub(crate) preset: usize,
    pub(crate) query: String,
    pub(crate) body: String,
    pub(crate) content_type: String,
}

/// All calls, with a click's id in its place.
pub(crate) static ALL: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for (number, name) in preset::names().enumerate() {
        let path = format!("{}/{name}.toml", crate::PRESETS);
        let document = std::fs::read_to_string(&path).expect("a preset is a file");
        let document: toml::Table = document.parse().expect("a preset is TOML");
        all.extend(tables(&document, "sample").map(|sample| read(number, sample)));
    }
    let calls: toml::Table = CALLS.parse().expect("the table of calls is TOML");
    for case in tables(&calls, "case") {
        all.extend(tables(case, "call").map(|call| read(0, call)));
    }
    assert!(all.len() > 600, "{} calls are fewer than there were", all.len());
    all
});

/// The presets by the places that samples name.
pub(crate) static PRESETS: LazyLock<Vec<&'static preset::Preset>> = LazyLock::new(|| preset::all().collect());

/// Where a preset stands, as a choice in an input.
pub(crate) fn choice(preset: usize) -> u8 {
    u8::try_from(preset).map_or(b'0', |number| number.wrapping_add(b'0'))
}

fn tables<'t>(table: &'t toml::Table, name: &str) -> impl Iterator<Item = &'t toml::Table> {
    table.get(name).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
}

fn read(preset: usize, sample: &toml::Table) -> Sample {
    let click = partners::click().to_string();
    let text = |name: &str| {
        let text = sample.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        text.replace("{click}", &click)
    };
    Sample { preset, query: text("query"), body: text("body"), content_type: text("content_type") }
}
