//! The pages that are generated from data files: `docs/presets.md` from the presets. The files are read as data, as a
//! person would read them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::Table;

use crate::steps;

const PRESETS: &str = "crates/crosstally-core/presets";
const PAGE: &str = "docs/presets.md";

/// The kinds, in the order of the page.
const KINDS: &[(&str, &str)] = &[
    ("network", "Networks"),
    ("tracker", "Trackers"),
    ("shop", "Shops"),
    ("payments", "Payments"),
    ("app", "App attribution"),
    ("crm", "CRMs"),
];

#[derive(Deserialize)]
struct Preset {
    name: String,
    title: String,
    kind: String,
    docs: String,
    note: String,
    template: String,
    contract: Table,
    #[serde(default)]
    sample: Vec<Table>,
}

/// `cargo xtask docs`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let path = root.join(PAGE);
    std::fs::write(&path, page(root)?).with_context(|| format!("cannot write {PAGE}"))?;
    steps::say(&format!("{PAGE} is written"));
    Ok(())
}

/// Fails if the page is not what the data files say.
pub(crate) fn check(root: &Path) -> Result<()> {
    let there = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    if there != page(root)? {
        bail!("{PAGE} is not what {PRESETS} says: run `cargo xtask docs`");
    }
    Ok(())
}

fn page(root: &Path) -> Result<String> {
    let presets = read(&root.join(PRESETS))?;
    let calls: usize = presets.iter().map(|preset| preset.sample.len()).sum();
    let mut page = format!(
        "# Presets\n\n\
         <!-- Written by `cargo xtask docs` from {PRESETS}; changes belong there. -->\n\n\
         How the calls of {} senders are read: `preset = \"name\"` in a [[partner]] section. Each preset is a data file with\n\
         samples, {calls} in all, which run in order against a real server in the tests. Paste the template behind\n\
         `https://YOUR-TRACKING-HOST/postback/SLUG?` at the sender. What a section says itself goes before its preset. To find\n\
         the preset of a call: `crosstally postback parse 'URL'`. Step by step: [partners.md](partners.md).\n",
        presets.len()
    );
    for (kind, heading) in KINDS {
        let of_kind: Vec<&Preset> = presets.iter().filter(|preset| preset.kind == *kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        write!(page, "\n## {heading}\n")?;
        for preset in of_kind {
            one(&mut page, preset)?;
        }
    }
    if let Some(odd) = presets.iter().find(|preset| !KINDS.iter().any(|(kind, _)| *kind == preset.kind)) {
        bail!("{}: `{}` is no kind of sender", odd.name, odd.kind);
    }
    Ok(page)
}

fn read(folder: &Path) -> Result<Vec<Preset>> {
    let entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    let mut presets: Vec<Preset> = paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            toml::from_str(&text).with_context(|| path.display().to_string())
        })
        .collect::<Result<_>>()?;
    presets.sort_by_key(|preset| preset.title.to_lowercase());
    Ok(presets)
}

fn one(page: &mut String, preset: &Preset) -> Result<()> {
    let Preset { name, title, docs, note, template, contract, .. } = preset;
    write!(page, "\n### {title}: `{name}`\n\n{note}\n\n")?;
    if template.is_empty() {
        writeln!(page, "- URL: the bare postback URL; the sender posts its own form")?;
    } else {
        writeln!(page, "- template: `{template}`")?;
    }
    if let Some(params) = contract.get("params").and_then(toml::Value::as_table) {
        let pairs: Vec<String> =
            params.iter().map(|(field, names)| format!("{field} ← {}", list(names))).collect();
        writeln!(page, "- parameters: {}", pairs.join("; "))?;
    }
    if let Some(statuses) = contract.get("statuses").and_then(toml::Value::as_table) {
        let pairs: Vec<String> =
            statuses.iter().map(|(word, meaning)| format!("`{word}` → {}", plain(meaning))).collect();
        writeln!(page, "- statuses: {}", pairs.join(", "))?;
    }
    let others: Vec<String> = contract
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "params" | "statuses"))
        .map(|(key, value)| format!("`{key} = {value}`"))
        .collect();
    if !others.is_empty() {
        writeln!(page, "- contract: {}", others.join(", "))?;
    }
    writeln!(page, "- source: <{docs}>")?;
    Ok(())
}

fn list(names: &toml::Value) -> String {
    match names.as_array() {
        Some(names) => names.iter().map(|name| format!("`{}`", plain(name))).collect::<Vec<_>>().join(", "),
        None => format!("`{}`", plain(names)),
    }
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_files_say() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("docs/presets.md is up to date");
    }
}
