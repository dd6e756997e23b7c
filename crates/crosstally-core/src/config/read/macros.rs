//! Looks through the macros of all destinations once everything else is read: which of them nobody knows, and which will
//! be empty because nothing in the configuration provides them.

use std::collections::BTreeSet;

use super::document::Section;
use super::findings::Findings;
use crate::click::AD_CLICK_PARAMS;
use crate::config::{Catalog, Config, Destination, MacroUse, Partner, SendValue, preset, source};
use crate::fields::field_named;
use crate::macro_names::{CLICK_PREFIX, CONSTANT_PREFIX, Feed, built_in, is_known, names};
use crate::target::Target;
use crate::template::Function;

/// Most names that one finding lists.
const LISTED_MAX: usize = 5;

/// Checks the macros of the destinations, each with its section.
pub(super) fn check(
    config: &Config,
    sections: &[(Section<'_>, String)],
    catalog: &dyn Catalog,
    found: &mut Findings<'_>,
) {
    let provided = Provided::of(config);
    for (section, slug) in sections {
        let Some(destination) = config.destination(slug) else { continue };
        let mut told = BTreeSet::new();
        for used in catalog.macros(&destination.kind, &destination.settings) {
            if !told.insert(used.found.name.to_ascii_lowercase()) {
                continue;
            }
            let spot = section.spot_of(used.setting);
            let written = &used.found.written;
            if let Some(fix) = provided.unknown(&used.found.name, found) {
                let problem = format!("`{}`: there is no macro `{written}`", used.setting);
                found.problem(&spot, problem, fix);
            } else if let Some((why, fix)) = provided.empty(config, destination, &used) {
                let problem = format!("`{}`: `{written}` will be empty, as {why}", used.setting);
                found.warning(&spot, problem, fix);
            }
        }
    }
}

/// The parameters of clicks that the configuration names, in lower case.
struct Provided(BTreeSet<String>);

impl Provided {
    fn of(config: &Config) -> Self {
        let of_campaigns = config.campaigns.iter().filter_map(|campaign| campaign.target());
        let of_offers = config.offers.iter().map(|offer| &offer.target);
        let targets = of_campaigns.chain(of_offers).chain(config.landers.iter().map(|lander| &lander.target));
        let mut names: BTreeSet<String> =
            targets.flat_map(Target::params).map(str::to_ascii_lowercase).collect();
        for source in &config.sources {
            let of_platform = AD_CLICK_PARAMS.iter().filter(|param| param.platform == source.preset);
            names.extend(of_platform.map(|param| param.name.to_ascii_lowercase()));
            let of_file = source::named(&source.preset).into_iter().flat_map(source::Source::link_params);
            names.extend(of_file.map(str::to_ascii_lowercase));
        }
        Self(names)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }

    /// How to mend a name that nobody knows.
    fn unknown(&self, name: &str, found: &Findings<'_>) -> Option<String> {
        if is_known(name) || self.has(name) {
            return None;
        }
        let ours = names().map(|(name, _)| name);
        let candidates = ours.chain(AD_CLICK_PARAMS.iter().map(|param| param.name));
        let near = found.near(name, candidates.chain(self.0.iter().map(String::as_str)));
        let own = format!("write {CLICK_PREFIX}{name} if click links have a parameter of this name");
        Some(near.map_or_else(
            || format!("{own}, or use one of the macros in docs/destinations/postback.md"),
            |near| format!("did you mean `{near}`? Or {own}"),
        ))
    }

    /// Why a macro will always be empty for what can feed the destination, and what to do.
    fn empty(&self, config: &Config, destination: &Destination, used: &MacroUse) -> Option<(String, String)> {
        let feeding = || config.goals.iter().filter(|goal| goal.send_to.contains(&destination.slug));
        let has_default = used.found.functions.iter().any(|one| matches!(one, Function::Default(_)));
        if has_default || feeding().next().is_none() {
            return None;
        }
        let name = used.found.name.as_str();
        let own_word = [CLICK_PREFIX, CONSTANT_PREFIX].iter().any(|prefix| name.starts_with(prefix));
        // Without campaigns the document may be a part of one, or clicks are none of its business.
        let clicks = !config.campaigns.is_empty();
        match built_in(name) {
            _ if own_word || crate::consent::is_name(name) => None,
            Some((_, Feed::Always | Feed::Click | Feed::Secret)) => None,
            Some((_, Feed::Source)) => {
                let sourceless = clicks && config.campaigns.iter().all(|campaign| campaign.source.is_empty());
                sourceless.then(|| {
                    ("no campaign has a source".to_owned(), "name each campaign's source".to_owned())
                })
            }
            Some((_, Feed::SourceClickId)) => {
                let known = used.click_params.iter().any(|param| self.has(param));
                (clicks && !known).then(|| source_click_id(&used.click_params))
            }
            Some((_, Feed::Value)) => feeding().all(|goal| goal.send_value == SendValue::None).then(|| {
                let why = "every goal that sends to this destination has send_value = \"none\"";
                (why.to_owned(), "let one of the goals send a value".to_owned())
            }),
            Some((_, Feed::Field(field))) => without(config, field),
            None => (clicks && !self.has(name)).then(|| {
                let why = format!(
                    "neither a campaign's target nor a source's preset names a parameter `{name}` of clicks"
                );
                (
                    why,
                    format!("add it to the click links and write {CLICK_PREFIX}{name}, or give it a default"),
                )
            }),
        }
    }
}

fn source_click_id(params: &[String]) -> (String, String) {
    let first = params.first().map_or("source_click_id", String::as_str);
    let why =
        format!("no source is known to send its click id as {}", listed(params.iter().map(String::as_str)));
    let fix = format!(
        "set the source's preset, or append {first}= with the source's macro to the click links and name it in `click_params`"
    );
    (why, fix)
}

/// Why a field of postbacks is empty: none of the partners sends it.
fn without(config: &Config, field: &str) -> Option<(String, String)> {
    let sends = |partner: &Partner| sends(partner, field);
    if config.partners.is_empty() || config.partners.iter().any(sends) {
        return None;
    }
    let partners = listed(config.partners.iter().map(|partner| partner.slug.as_str()));
    let why = format!("the calls of {partners} have no `{field}`");
    Some((
        why,
        format!("map the partner's own parameter: params = {{ {field} = \"..\" }}, or give it a default"),
    ))
}

/// Whether calls of this partner can have the field: its contract names a parameter for it, or its preset's template
/// has one under an accepted name. What posts a form of its own may send anything.
fn sends(partner: &Partner, field: &str) -> bool {
    // The generic template is a proposal of ours.
    let fixed =
        |preset: &&preset::Preset| preset.name != preset::generic().name && !preset.template.is_empty();
    let Some(preset) = preset::named(&partner.preset).filter(fixed) else { return true };
    let accepted = field_named(field).map_or(&[][..], |field| field.accepted);
    let mut in_template = preset.template.split('&').filter_map(|pair| Some(pair.split_once('=')?.0));
    !partner.contract.params(field).is_empty() || in_template.any(|name| accepted.contains(&name))
}

/// The first few of a list.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.len() > LISTED_MAX {
        names.truncate(LISTED_MAX);
        names.push("…".to_owned());
    }
    names.join(", ")
}
