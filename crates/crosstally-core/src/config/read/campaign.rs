//! Reads sources and campaigns.

use std::collections::HashMap;

use super::document::{Section, Text, shown};
use super::findings::{Findings, one_of};
use super::path;
use super::slugs::Slugs;
use crate::browser::{Site, SiteError};
use crate::config::{Campaign, CostModel, Leads, Source, source};
use crate::cost::CostToken;
use crate::limits::PARAM_NAME_BYTES_MAX;
use crate::money::Currency;
use crate::rotation::{Path, Sticky};
use crate::target::{Target, TargetError};
use crate::template::{Brackets, Template};

/// Presets of sources that other files than ours describe, and the one that knows nothing.
const ANY_PRESET: &str = "generic";

/// What a campaign may refer to.
pub(super) struct Known<'k> {
    pub(super) sources: &'k Slugs,
    pub(super) paths: &'k Slugs,
    pub(super) rules: &'k HashMap<&'k str, &'k Path>,
    pub(super) base_currency: Currency,
}

pub(super) fn source(
    section: &Section<'_>,
    slug: String,
    base_currency: Currency,
    found: &mut Findings<'_>,
) -> Source {
    section.refuse_unknown(["slug", "preset", "cost"], found);
    let preset = section.text("preset", found).map_or(ANY_PRESET, |preset| {
        let known: Vec<&str> = [ANY_PRESET].into_iter().chain(source::names()).collect();
        if !known.contains(&preset.text) {
            let fix = found.meant(preset.text, known);
            found.problem(&preset.spot, format!("{} is not a preset of a source", shown(preset.text)), fix);
        }
        preset.text
    });
    let cost = cost_token(section, base_currency, found);
    Source { slug, preset: preset.to_owned(), cost }
}

fn cost_token(section: &Section<'_>, base_currency: Currency, found: &mut Findings<'_>) -> Option<CostToken> {
    let cost = section.table("cost", "{ param = \"cost\", currency = \"USD\" }", found)?;
    cost.refuse_unknown(["param", "currency", "per"], found);
    let currency = match cost.item("currency") {
        Some(_) => cost.currency("currency", found)?,
        None => base_currency,
    };
    let param = match cost.text("param", found) {
        Some(param) => param.name("param", PARAM_NAME_BYTES_MAX, found)?,
        None => "cost".to_owned(),
    };
    Some(CostToken { param, currency, per: cost.word("per", found).unwrap_or_default() })
}

pub(super) fn campaign(
    section: &Section<'_>,
    slug: String,
    known: &Known<'_>,
    found: &mut Findings<'_>,
) -> Option<Campaign> {
    const KEYS: [&str; 9] =
        ["slug", "source", "target", "paths", "redirect", "sticky", "cost_model", "test", "sites"];
    section.refuse_unknown(KEYS, found);
    let sources = known.sources;
    let source = section.text("source", found).map(|source| {
        if !sources.contains(source.text) {
            let fix = match sources.meant(source.text, found) {
                Some(fix) => fix,
                None => format!("add a [[source]] with slug = {}", crate::config::print::quoted(source.text)),
            };
            found.problem(&source.spot, format!("there is no source {}", shown(source.text)), fix);
        }
        source.text.to_owned()
    });
    let cost_model = cost_model(section, known.base_currency, found);
    let redirect = section.word("redirect", found).unwrap_or_default();
    let sticky: Sticky = section.word("sticky", found).unwrap_or_default();
    let test = section.flag("test", found);
    let sites = sites(section, found);
    let leads = match section.item("paths") {
        Some(item) => path::leads(item, section, known, found).map(Leads::Paths),
        None => section
            .required("target", "\"https://lander.example/p?cid={click_id}\"", found)
            .and_then(|text| target(&text, found))
            .map(Leads::Target),
    }?;
    if sticky != Sticky::None && matches!(leads, Leads::Target(_)) {
        let problem = "`sticky` is of no use with one `target`";
        found.problem(&section.spot_of("sticky"), problem, "remove it, or give the campaign `paths`");
    }
    let source = source.unwrap_or_default();
    Some(Campaign { slug, source, leads, redirect, sticky, cost_model, test, sites })
}

/// The hosts of the campaign's pages.
fn sites(section: &Section<'_>, found: &mut Findings<'_>) -> Vec<Site> {
    let mut sites = Vec::new();
    for text in section.list("sites", found) {
        match Site::parse(text.text) {
            Ok(site) if !sites.contains(&site) => sites.push(site),
            Ok(_) => {}
            Err(error) => {
                let fix = match error {
                    SiteError::NotAHost => "write it like \"shop.example\" or \"*.shop.example\"",
                    SiteError::PublicSuffix => "name the domain that is yours",
                };
                found.problem(&text.spot, format!("{} in `sites` {error}", shown(text.text)), fix);
            }
        }
    }
    sites
}

pub(super) fn target(text: &Text<'_>, found: &mut Findings<'_>) -> Option<Target> {
    for fault in Template::read(text.text, Brackets::BRACES).1 {
        let (problem, fix) = fault.problem.split_once("; ").unwrap_or((&fault.problem, "correct it"));
        found.problem(&text.spot, format!("`target`: `{}` {problem}", fault.written), fix);
    }
    match Target::parse(text.text) {
        Ok(target) => {
            if !target.passes_click_id() {
                let sign = if text.text.contains('?') { '&' } else { '?' };
                found.warning(
                    &text.spot,
                    "`target` does not pass the click id on, so that no postback can name the click",
                    format!("append {sign}cid={{click_id}}"),
                );
            }
            Some(target)
        }
        Err(error) => {
            let fix = match error {
                TargetError::NotAbsolute => "write it like \"https://lander.example/p?cid={click_id}\"",
                TargetError::MacroInHost => "write the host out and keep macros behind it",
                TargetError::TooLong => "shorten it",
            };
            found.problem(&text.spot, format!("`target` {error}"), fix);
            None
        }
    }
}

fn cost_model(section: &Section<'_>, base_currency: Currency, found: &mut Findings<'_>) -> Option<CostModel> {
    const KINDS: &[&str] = &["cpc"];
    let cost =
        section.table("cost_model", r#"{ kind = "cpc", amount = "0.25", currency = "USD" }"#, found)?;
    cost.refuse_unknown(["kind", "amount", "currency"], found);
    if let Some(kind) = cost.required("kind", "\"cpc\"", found).filter(|kind| !KINDS.contains(&kind.text)) {
        let problem = format!("the cost model {} is not available in this version", shown(kind.text));
        found.problem(&kind.spot, problem, format!("use {}", one_of(KINDS)));
    }
    let currency = match cost.item("currency") {
        Some(_) => cost.currency("currency", found)?,
        None => base_currency,
    };
    if cost.item("amount").is_none() {
        cost.missing("amount", "\"0.25\"", found);
    }
    cost.amount("amount", currency, found).map(CostModel::Cpc)
}
