//! `docs/sources.md` from the presets of traffic sources.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use serde::Deserialize;

pub(super) const PRESETS: &str = "crates/crosstally-destinations/presets";
/// How the links of all sources are made.
pub(super) const LINKS: &str = "crates/crosstally-core/sources";
pub(super) const PAGE: &str = "docs/sources.md";

#[derive(Deserialize)]
struct Call {
    name: String,
    docs: String,
    proof: String,
    note: String,
    statuses: String,
    url: String,
    success_body_contains: Option<String>,
    failure_body_contains: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    title: String,
    #[serde(default)]
    docs: String,
    #[serde(default)]
    note: String,
    link: String,
    click_params: Vec<String>,
}

impl Source {
    fn ids(&self) -> String {
        self.click_params.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn page(root: &Path) -> Result<String> {
    let calls: Vec<Call> = super::files(&root.join(PRESETS))?;
    let mut sources: Vec<Source> = super::files(&root.join(LINKS))?;
    sources.sort_by_key(|source| source.title.to_lowercase());
    let many = sources.len();
    let mut page = format!(
        "# Traffic sources\n\n\
         <!-- Written by `cargo xtask docs` from {PRESETS} and {LINKS}; changes belong there. -->\n\n\
         All names here are presets of a `[[source]]` too: they say which parameters its click links bring. Sources with a conversion\n\
         API of their own, or without postbacks, stand [at the end](#click-links-of-other-sources). `crosstally utm build --preset NAME`\n\
         ([tools.md](tools.md#utm-build)) puts the same parameters on a page's own link, for all {many} of them.\n\n\
         How {} traffic sources take conversions: `preset = \"name\"` in a destination of `kind = \"postback\"`. Append the click link's\n\
         part to the campaign's click URL where you enter it at the source: it brings the source's own click id, without which no event\n\
         is sent (`template_unresolved`). If your account shows another URL than the one here, set `url` beside the preset; macros and\n\
         rules stand in [destinations/postback.md](destinations/postback.md). `value` is what the goal sends, in the conversion's\n\
         currency: for a source that reads every amount in one currency, let the partners' contracts have that one.\n\n\
         ```toml\n\
         [[destination]]\n\
         slug = \"propeller\"\n\
         kind = \"postback\"\n\
         preset = \"propellerads\"\n\
         constants = {{ aid = \"123456\", tid = \"7890\" }}\n\
         ```\n",
        calls.len()
    );
    let mut others = Vec::new();
    for source in &sources {
        match calls.iter().find(|call| call.name == source.name) {
            Some(call) => one(&mut page, source, call)?,
            None if source.docs.is_empty() => bail!("{}: `docs` is missing", source.name),
            None => others.push(source),
        }
    }
    links(&mut page, &others)?;
    Ok(page)
}

/// Those that are only ever sources.
fn links(page: &mut String, links: &[&Source]) -> Result<()> {
    write!(page, "\n## Click links of other sources\n\n")?;
    writeln!(
        page,
        "| source | `preset` | append to the click URL | its click id | note |\n|---|---|---|---|---|"
    )?;
    for source in links {
        let Source { name, title, docs, note, link, .. } = source;
        writeln!(page, "| [{title}]({docs}) | `{name}` | `?{link}` | {} | {note} |", source.ids())?;
    }
    Ok(())
}

fn one(page: &mut String, source: &Source, call: &Call) -> Result<()> {
    let Source { name, title, link, .. } = source;
    let Call { docs, proof, note, statuses, url, .. } = call;
    write!(page, "\n## {title}: `{name}`\n\n{note}\n\n")?;
    writeln!(page, "- click link: `?{link}`")?;
    writeln!(page, "- its click id is read from: {}", source.ids())?;
    writeln!(page, "- call: `{url}`")?;
    for (name, help) in &call.constants {
        writeln!(page, "- `constants.{name}`: {help}")?;
    }
    if let Some(help) = &call.secret {
        writeln!(page, "- `secret`: {help}")?;
    }
    if let Some(text) = &call.success_body_contains {
        writeln!(page, "- taken if the answer's body contains `{text}`")?;
    }
    if let Some(text) = &call.failure_body_contains {
        writeln!(page, "- not taken if the answer's body contains `{text}`")?;
    }
    writeln!(page, "- statuses: {statuses}")?;
    writeln!(page, "- source: <{docs}>, {proof}")?;
    Ok(())
}
