//! `docs/sources.md` from the presets of traffic sources.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

pub(super) const PRESETS: &str = "crates/crosstally-destinations/presets";
/// Sources whose click links are known and that take conversions otherwise.
pub(super) const LINKS: &str = "crates/crosstally-core/sources";
pub(super) const PAGE: &str = "docs/sources.md";

#[derive(Deserialize)]
struct Source {
    name: String,
    title: String,
    docs: String,
    proof: String,
    note: String,
    statuses: String,
    link: String,
    click_params: Vec<String>,
    url: String,
    success_body_contains: Option<String>,
    failure_body_contains: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Link {
    name: String,
    title: String,
    docs: String,
    note: String,
    link: String,
    click_params: Vec<String>,
}

pub(super) fn page(root: &Path) -> Result<String> {
    let mut sources: Vec<Source> = super::files(&root.join(PRESETS))?;
    sources.sort_by_key(|source| source.title.to_lowercase());
    let mut page = format!(
        "# Traffic sources\n\n\
         <!-- Written by `cargo xtask docs` from {PRESETS} and {LINKS}; changes belong there. -->\n\n\
         All names here are presets of a `[[source]]` too: they say which parameters its click links bring. Sources with a conversion\n\
         API of their own, or without postbacks, stand [at the end](#click-links-of-other-sources).\n\n\
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
        sources.len()
    );
    for source in &sources {
        one(&mut page, source)?;
    }
    links(&mut page, super::files(&root.join(LINKS))?)?;
    Ok(page)
}

/// Those that are only ever sources.
fn links(page: &mut String, mut links: Vec<Link>) -> Result<()> {
    links.sort_by_key(|link| link.title.to_lowercase());
    write!(page, "\n## Click links of other sources\n\n")?;
    writeln!(
        page,
        "| source | `preset` | append to the click URL | its click id | note |\n|---|---|---|---|---|"
    )?;
    for Link { name, title, docs, note, link, click_params } in links {
        let ids = click_params.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        writeln!(page, "| [{title}]({docs}) | `{name}` | `?{link}` | {ids} | {note} |")?;
    }
    Ok(())
}

fn one(page: &mut String, source: &Source) -> Result<()> {
    let Source { name, title, docs, proof, note, statuses, link, url, .. } = source;
    write!(page, "\n## {title}: `{name}`\n\n{note}\n\n")?;
    writeln!(page, "- click link: `?{link}`")?;
    let names: Vec<String> = source.click_params.iter().map(|name| format!("`{name}`")).collect();
    writeln!(page, "- its click id is read from: {}", names.join(", "))?;
    writeln!(page, "- call: `{url}`")?;
    for (name, help) in &source.constants {
        writeln!(page, "- `constants.{name}`: {help}")?;
    }
    if let Some(help) = &source.secret {
        writeln!(page, "- `secret`: {help}")?;
    }
    if let Some(text) = &source.success_body_contains {
        writeln!(page, "- taken if the answer's body contains `{text}`")?;
    }
    if let Some(text) = &source.failure_body_contains {
        writeln!(page, "- not taken if the answer's body contains `{text}`")?;
    }
    writeln!(page, "- statuses: {statuses}")?;
    writeln!(page, "- source: <{docs}>, {proof}")?;
    Ok(())
}
