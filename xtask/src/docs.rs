//! The pages that are generated from data files: `docs/presets.md` from the presets of partners, `docs/sources.md` from
//! those of traffic sources. The files are read as data, as a person would read them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::Table;

use crate::steps;

mod sources;

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
    for (name, _, text) in pages(root)? {
        std::fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
        steps::say(&format!("{name} is written"));
    }
    Ok(())
}

/// Fails if the page is not what the data files say.
pub(crate) fn check(root: &Path) -> Result<()> {
    for (name, files, text) in pages(root)? {
        if std::fs::read_to_string(root.join(name)).unwrap_or_default() != text {
            bail!("{name} is not what {files} says: run `cargo xtask docs`");
        }
    }
    Ok(())
}

/// Every page with its name and the folder of its files.
fn pages(root: &Path) -> Result<Vec<(&'static str, &'static str, String)>> {
    Ok(vec![(PAGE, PRESETS, page(root)?), (sources::PAGE, sources::PRESETS, sources::page(root)?)])
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
    let mut presets: Vec<Preset> = files(folder)?;
    presets.sort_by_key(|preset| preset.title.to_lowercase());
    Ok(presets)
}

/// The files of a folder, by name.
fn files<T: serde::de::DeserializeOwned>(folder: &Path) -> Result<Vec<T>> {
    let entries: Vec<_> = std::fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path)?;
            toml::from_str(&text).with_context(|| path.display().to_string())
        })
        .collect()
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
    fn the_pages_are_what_the_files_say() {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("the generated pages are up to date");
    }
}
