//! Reads a document into a configuration. Every problem is told at once, each with its line and how to mend it.
//!
//! Nothing here looks outside the document: what kinds of destinations there are, the caller's catalogue says.

use toml::de::{DeTable, DeValue};

use self::document::{Item, Section, shown};
use self::findings::{Findings, Spot};
use self::slugs::{Slugs, entry_path};
use super::{Catalog, Config, Problem, Warning};
use crate::limits;

mod campaign;
pub(super) mod condition;
mod delays;
mod destination;
mod document;
mod drop_in;
mod findings;
mod fraud;
mod goal;
mod macros;
mod offer;
mod partner;
mod path;
mod preflight;
mod preset;
mod retention;
mod secret;
mod slugs;
mod syntax;
mod terms;
mod workspace;

pub use preset::read_preset;

/// Bytes of a document.
const DOCUMENT_BYTES_MAX: usize = limits::ADMIN_BODY_BYTES_MAX;
/// The sections that may repeat, with the most entries that each may have.
const SECTIONS: [(&str, usize); 9] = [
    ("source", 1_000),
    ("offer", 10_000),
    ("lander", 10_000),
    ("path", 10_000),
    ("campaign", 10_000),
    ("partner", 10_000),
    ("destination", 1_000),
    ("goal", 1_000),
    ("preflight", 100),
];

/// The sections that stand once.
const SINGLE: [&str; 3] = ["workspace", "fraud", "retention"];

/// The names of all sections, in the order in which a document has them.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    SINGLE.into_iter().chain(SECTIONS.iter().map(|(name, _)| *name))
}

/// Reads and checks a document. `file` is the name that findings carry.
///
/// # Errors
/// Every problem, in the order of the document.
pub fn read(
    document: &str,
    file: &str,
    catalog: &dyn Catalog,
) -> Result<(Config, Vec<Warning>), Vec<Problem>> {
    let mut found = Findings::new(document, file);
    let config = read_all(document, catalog, &mut found);
    let (problems, warnings) = found.into_parts();
    if problems.is_empty() { Ok((config, warnings)) } else { Err(problems) }
}

/// Looks at destinations with the rest of the configuration, which stands now.
fn together(
    config: &Config,
    sections: &[(document::Section<'_>, String)],
    catalog: &dyn Catalog,
    found: &mut findings::Findings<'_>,
) {
    macros::check(config, sections, catalog, found);
    delays::check(config, sections, catalog, found);
}

fn read_all(document: &str, catalog: &dyn Catalog, found: &mut Findings<'_>) -> Config {
    let mut config = Config::empty();
    if document.len() > DOCUMENT_BYTES_MAX {
        let problem = format!("the document is longer than {DOCUMENT_BYTES_MAX} bytes");
        found.problem(&Spot { at: 0, path: String::new() }, problem, "shorten it");
        return config;
    }
    let (table, errors) = DeTable::parse_recoverable(document);
    if !errors.is_empty() {
        // What the parser could make of a broken document would only add problems that are none.
        syntax::note(&errors, document, found);
        return config;
    }
    let root = Section::new(table.get_ref(), Spot { at: 0, path: String::new() }, "the document");
    refuse_unknown_sections(&root, found);
    if let Some(section) = single(&root, "workspace", found) {
        config.workspace = workspace::read(&section, found);
    }
    if let Some(section) = single(&root, "fraud", found) {
        config.fraud = fraud::read(&section, found);
    }
    if let Some(section) = single(&root, "retention", found) {
        config.retention = retention::read(&section, found);
    }
    let base_currency = config.workspace.base_currency;
    // Sections are read in the order in which they refer to each other.
    let mut sources = Slugs::default();
    for (section, slug) in entries(&root, "source", &mut sources, found) {
        config.sources.push(campaign::source(&section, slug, base_currency, found));
    }
    let paths = rotations(&root, &mut config, found);
    let rules = config.paths.iter().map(|path| (path.slug.as_str(), path)).collect();
    let known = campaign::Known { sources: &sources, paths: &paths, rules: &rules, base_currency };
    let (mut campaigns, mut partners) = (Slugs::default(), Slugs::default());
    for (section, slug) in entries(&root, "campaign", &mut campaigns, found) {
        config.campaigns.extend(campaign::campaign(&section, slug, &known, found));
    }
    let mut endpoints = drop_in::DropIns::default();
    let mut secrets = partner::Secrets::default();
    for (section, slug) in entries(&root, "partner", &mut partners, found) {
        let partner = partner::partner(&section, slug, found);
        if let Some(endpoint) = &partner.drop_in {
            endpoints.take(&section, endpoint, &partner.slug, found);
        }
        secrets.take(&section, &partner, found);
        config.partners.push(partner);
    }
    let mut destinations = Slugs::default();
    let placed = entries(&root, "destination", &mut destinations, found);
    for (section, slug) in &placed {
        config.destinations.extend(destination::destination(
            section,
            slug.clone(),
            &config.workspace,
            catalog,
            found,
        ));
    }
    let mut goals = Vec::new();
    for (section, slug) in entries(&root, "goal", &mut Slugs::default(), found) {
        goals.extend(goal::goal(&section, slug, &destinations, found));
    }
    goal::check_together(&goals, found);
    config.goals = goals.into_iter().map(|placed| placed.goal).collect();
    for (section, slug) in entries(&root, "preflight", &mut Slugs::default(), found) {
        config.preflights.extend(preflight::monitor(&section, slug, (&campaigns, &partners), found));
    }
    together(&config, &placed, catalog, found);
    config
}

/// Reads offers, landers and paths; the slugs of the paths.
fn rotations(root: &Section<'_>, config: &mut Config, found: &mut Findings<'_>) -> Slugs {
    let (mut offers, mut landers, mut paths) = (Slugs::default(), Slugs::default(), Slugs::default());
    let placed = entries(root, "offer", &mut offers, found);
    for (section, slug) in &placed {
        config.offers.extend(offer::offer(section, slug.clone(), &offers, found));
    }
    offer::check_overflows(&config.offers, &placed, found);
    for (section, slug) in entries(root, "lander", &mut landers, found) {
        config.landers.extend(offer::lander(&section, slug, found));
    }
    for (section, slug) in entries(root, "path", &mut paths, found) {
        config.paths.extend(path::path(&section, slug, &landers, &offers, found));
    }
    paths
}

fn refuse_unknown_sections(root: &Section<'_>, found: &mut Findings<'_>) {
    let names: Vec<&str> = sections().collect();
    for (spot, item) in root.items() {
        if !names.contains(&item.key.as_str()) {
            let fix = found.meant(&item.key, names.iter().copied());
            found.problem(&spot, format!("{} is not a section", shown(&item.key)), fix);
        }
    }
}

fn single<'t>(root: &Section<'t>, name: &'static str, found: &mut Findings<'_>) -> Option<Section<'t>> {
    let item = root.item(name)?;
    match item.value {
        DeValue::Table(table) => Some(Section::new(table, item.spot, name)),
        _ => {
            item.wrong_shape("one section", &format!("write [{name}], with one bracket, once"), found);
            None
        }
    }
}

/// The entries of a section that may repeat, each with its slug; an empty one if it has none, which has been told.
fn entries<'t>(
    root: &Section<'t>,
    name: &'static str,
    slugs: &mut Slugs,
    found: &mut Findings<'_>,
) -> Vec<(Section<'t>, String)> {
    let Some(item) = root.item(name) else { return Vec::new() };
    let tables = tables(&item, name, found);
    let most = SECTIONS.iter().find(|(known, _)| *known == name).map_or(0, |(_, most)| *most);
    if tables.len() > most {
        let problem = format!("there are more than {most} sections [[{name}]]");
        found.problem(&item.spot, problem, format!("keep to {most}"));
        return Vec::new();
    }
    tables
        .into_iter()
        .enumerate()
        .map(|(number, (at, table))| {
            let path = entry_path(name, number, table.get("slug").map(|slug| slug.get_ref()));
            let section = Section::new(table, Spot { at, path }, name);
            let slug = slugs.read(&section, found).unwrap_or_default();
            (section, slug)
        })
        .collect()
}

fn tables<'t>(item: &Item<'t>, name: &str, found: &mut Findings<'_>) -> Vec<(usize, &'t DeTable<'t>)> {
    let fix = format!("write [[{name}]], with two brackets");
    match item.value {
        DeValue::Array(array) => array
            .iter()
            .filter_map(|value| match value.get_ref() {
                DeValue::Table(table) => Some((value.span().start, table)),
                other => {
                    let spot = Spot { at: value.span().start, path: name.to_owned() };
                    Item { key: name.to_owned(), number: None, value: other, spot }.wrong_shape(
                        "a section",
                        &fix,
                        found,
                    );
                    None
                }
            })
            .collect(),
        // One bracket too few: what is in it is checked all the same.
        DeValue::Table(table) => {
            found.problem(&item.spot, format!("`{name}` may repeat and has one bracket only"), fix);
            vec![(item.spot.at, table)]
        }
        _ => {
            item.wrong_shape("a section", &fix, found);
            Vec::new()
        }
    }
}
