//! One page of field names: what a source, a partner and each destination call the same thing, by the configuration in force,
//! with what the latest calls had in it and what is missing.
//!
//! What a destination calls a field is not written down anywhere: an event is built for it twice, with two values of the
//! field, and what differs is the place.

use std::collections::{BTreeMap, BTreeSet};

use crosstally_core::click::AD_CLICK_PARAMS;
use crosstally_core::config::{Campaign, Config, Leads, Partner, Source, source as presets};
use crosstally_core::fields::FIELDS;
use crosstally_core::postback::Receipt;
use crosstally_core::postback::redact::is_masked;
use crosstally_core::rotation::Kind;
use crosstally_core::target::Target;
use crosstally_store::StoreError;
use serde::Serialize;

use crate::Engine;
use crate::replay::{is_erased, is_never_money};
use crate::snapshot::{SERVER_EVENTS, Snapshot};

mod places;

/// Calls of each partner that are looked through for samples.
const CALLS: usize = 100;
/// Receipts that are read for them: first as many as may do, then more at once, and how often at most. Anybody can make
/// receipts under a partner's address.
const FIRST_PAGE: u32 = 100;
const PAGE: u32 = 500;
const PAGES_MAX: u32 = 20;
/// Characters of a sample.
const SAMPLE_CHARS_MAX: usize = 80;

/// What somebody calls a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Names {
    /// Whose: a source's, partner's or destination's slug.
    pub of: String,
    /// Its preset or kind.
    pub kind: String,
    /// The names; for a destination, the places in what is sent.
    pub names: Vec<String>,
    /// What the latest call had in it, if it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Our name.
    pub field: String,
    /// Its parameters in click links.
    pub sources: Vec<Names>,
    /// Its parameters in partners' calls.
    pub partners: Vec<Names>,
    /// Its places in what is sent.
    pub destinations: Vec<Names>,
    /// What is missing.
    pub gaps: Vec<String>,
}

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The configuration's version.
    pub version: i64,
    /// Every field.
    pub fields: Vec<Row>,
    /// What is missing and belongs to no field alone.
    pub gaps: Vec<String>,
}

/// What the latest calls of a partner had in each field.
#[derive(Default)]
struct Seen {
    calls: usize,
    /// Receipts among which no call of the partner's own was found, although there are more behind them.
    in_vain: usize,
    samples: BTreeMap<String, String>,
}

impl Seen {
    fn note(&mut self, receipt: &Receipt) {
        self.calls += 1;
        for (name, value) in receipt.read.iter() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let may = !value.is_null() && !text.is_empty() && !is_masked(name, None);
            if may && !self.samples.contains_key(name) {
                self.samples.insert(name.clone(), text.chars().take(SAMPLE_CHARS_MAX).collect());
            }
        }
    }
}

/// Whether a call shows a field: it is the partner's own, none of our tests, and something of it was read.
fn shows_fields(receipt: &Receipt) -> bool {
    !is_never_money(receipt) && !is_erased(receipt) && !receipt.read.is_empty()
}

impl Engine {
    /// The page, by the configuration in force.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn fields_page(&self) -> Result<Page, StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut seen = BTreeMap::new();
        for partner in partners(&snapshot) {
            seen.insert(partner.slug.clone(), self.samples(&partner.slug).await?);
        }
        let places = places::of_all(&snapshot, self.clock.now());
        let fields = names(&snapshot)
            .into_iter()
            .map(|field| row(&snapshot, &field, &seen, &places))
            .filter(|row| !row.sources.is_empty() || !row.partners.is_empty() || !row.destinations.is_empty())
            .collect();
        Ok(Page { version: snapshot.version, fields, gaps: of_campaigns(&snapshot) })
    }

    async fn samples(&self, partner: &str) -> Result<Seen, StoreError> {
        let (mut seen, mut before, mut looked_at) = (Seen::default(), None, 0);
        for page in 0..PAGES_MAX {
            let limit = if page == 0 { FIRST_PAGE } else { PAGE };
            let receipts = self.store.list_receipts(Some(partner.to_owned()), before, limit).await?;
            looked_at += receipts.len();
            let left = CALLS - seen.calls;
            receipts.iter().filter(|receipt| shows_fields(receipt)).take(left).for_each(|one| seen.note(one));
            before = receipts.last().map(|receipt| receipt.id);
            if seen.calls == CALLS || u32::try_from(receipts.len()).is_ok_and(|rows| rows < limit) {
                return Ok(seen);
            }
        }
        seen.in_vain = if seen.calls == 0 { looked_at } else { 0 };
        Ok(seen)
    }
}

fn partners(snapshot: &Snapshot) -> impl Iterator<Item = &Partner> {
    let is_shown = |partner: &&Partner| !snapshot.is_for_events_only(&partner.slug);
    snapshot.config.partners.iter().filter(is_shown)
}

/// Our own names: the fields of a call, what a click and a browser know, and the click ids of the sources.
fn names(snapshot: &Snapshot) -> Vec<String> {
    let mut names: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
    names.extend(places::OF_VISITORS.iter().map(|name| (*name).to_owned()));
    let platforms: Vec<&str> = snapshot.config.sources.iter().map(|source| source.preset.as_str()).collect();
    let kinds: Vec<&str> = snapshot.destinations().map(|ready| ready.config.kind.as_str()).collect();
    let ids = AD_CLICK_PARAMS.iter().filter(|param| {
        let of_platform = |name: &&str| name.starts_with(param.platform);
        platforms.iter().chain(&kinds).any(of_platform)
    });
    names.extend(ids.map(|param| param.name.to_owned()));
    names
}

fn row(
    snapshot: &Snapshot,
    field: &str,
    seen: &BTreeMap<String, Seen>,
    places: &[places::OfDestination],
) -> Row {
    let sources: Vec<Names> =
        snapshot.config.sources.iter().filter_map(|source| of_source(snapshot, source, field)).collect();
    let partners: Vec<Names> = partners(snapshot)
        .filter_map(|partner| of_partner(partner, field, seen.get(&partner.slug)))
        .collect();
    let destinations: Vec<Names> = places
        .iter()
        .filter_map(|one| {
            let found = one.places.get(field)?;
            let (of, kind) = (one.slug.clone(), one.kind.clone());
            (!found.is_empty()).then(|| Names { of, kind, names: found.clone(), sample: None })
        })
        .collect();
    let mut row = Row { field: field.to_owned(), sources, partners, destinations, gaps: Vec::new() };
    row.gaps = gaps(&row, seen);
    row
}

fn of_source(snapshot: &Snapshot, source: &Source, field: &str) -> Option<Names> {
    let of = |names: Vec<String>| Names {
        of: source.slug.clone(),
        kind: source.preset.clone(),
        names,
        sample: None,
    };
    let known = AD_CLICK_PARAMS.iter().find(|param| param.name == field && param.platform == source.preset);
    if let Some(param) = known {
        return Some(of(vec![param.name.to_owned()]));
    }
    if field == "click_id" {
        // Our own id is made by the click; what the source calls its own is told beside, unless it has a row of its own.
        let has_row = |name: &&String| AD_CLICK_PARAMS.iter().any(|known| known.name == **name);
        let own = presets::named(&source.preset).into_iter().flat_map(|preset| &preset.click_params);
        let own: Vec<String> = own.filter(|name| !has_row(name)).cloned().collect();
        return (!own.is_empty()).then(|| of(own));
    }
    let of_source = snapshot.config.campaigns.iter().filter(|campaign| campaign.source == source.slug);
    let mut led_to = of_source.flat_map(|campaign| targets(&snapshot.config, campaign));
    let passes = |led: Led<'_>| led.target.params().any(|name| name.eq_ignore_ascii_case(field));
    led_to.any(passes).then(|| of(vec![field.to_owned()]))
}

fn of_partner(partner: &Partner, field: &str, seen: Option<&Seen>) -> Option<Names> {
    let known = FIELDS.iter().find(|known| known.name == field)?;
    let mut names: Vec<String> = partner.contract.params(field).to_vec();
    if names.is_empty() {
        names.extend(known.accepted.iter().map(|name| (*name).to_owned()));
    }
    let sample = seen.and_then(|seen| seen.samples.get(field).cloned());
    Some(Names { of: partner.slug.clone(), kind: partner.preset.clone(), names, sample })
}

/// What is missing of a field that some destination takes.
fn gaps(row: &Row, seen: &BTreeMap<String, Seen>) -> Vec<String> {
    let mut gaps = Vec::new();
    let takers: Vec<&str> = row.destinations.iter().map(|names| names.of.as_str()).collect();
    if takers.is_empty() {
        return gaps;
    }
    let takers = takers.join(", ");
    let is_click_id = AD_CLICK_PARAMS.iter().any(|param| param.name == row.field);
    if is_click_id && row.sources.is_empty() {
        gaps.push(format!("{takers} would take it, and no source brings it"));
    }
    // A contact value is not kept, so that nothing can be said of it.
    if is_masked(&row.field, None) {
        return gaps;
    }
    for names in row.partners.iter().filter(|names| names.sample.is_none() && names.of != SERVER_EVENTS) {
        let Some(Seen { calls, in_vain, .. }) = seen.get(&names.of) else { continue };
        let of = &names.of;
        if *calls > 0 {
            gaps.push(format!("{takers} would take it, and none of the last {calls} calls of {of} had it"));
        } else if *in_vain > 0 {
            gaps.push(format!(
                "{takers} would take it; whether {of} sends it is not known, as none of the last {in_vain} calls is its own"
            ));
        }
    }
    gaps
}

/// Where a campaign leads.
#[derive(Clone, Copy)]
struct Led<'c> {
    what: &'static str,
    slug: &'c str,
    target: &'c Target,
}

/// Its own target, or the landers and offers of its paths with those that stand for a full one.
fn targets<'c>(config: &'c Config, campaign: &'c Campaign) -> Vec<Led<'c>> {
    let slugs = match &campaign.leads {
        Leads::Target(target) => return vec![Led { what: "campaign", slug: &campaign.slug, target }],
        Leads::Paths(slugs) => slugs,
    };
    let mut led_to = Vec::new();
    let paths = slugs.iter().filter_map(|slug| config.paths.iter().find(|path| path.slug == *slug));
    for member in paths.flat_map(|path| &path.members) {
        if member.kind == Kind::Lander {
            let found = config.landers.iter().find(|lander| lander.slug == member.slug);
            led_to.extend(found.map(|found| Led {
                what: "lander",
                slug: &found.slug,
                target: &found.target,
            }));
            continue;
        }
        let mut next = Some(&member.slug);
        // The configuration allows no circle of them.
        while let Some(found) = next.and_then(|slug| config.offers.iter().find(|offer| offer.slug == *slug)) {
            led_to.push(Led { what: "offer", slug: &found.slug, target: &found.target });
            next = found.cap.as_ref().map(|cap| &cap.overflow);
        }
    }
    // From a lander every offer can be stepped on to.
    if led_to.iter().any(|led| led.what == "lander") {
        let offers = config.offers.iter();
        led_to.extend(offers.map(|offer| Led { what: "offer", slug: &offer.slug, target: &offer.target }));
    }
    led_to
}

fn of_campaigns(snapshot: &Snapshot) -> Vec<String> {
    let config = &snapshot.config;
    // A lander or an offer is told once, whatever leads there.
    let led_to = config.campaigns.iter().flat_map(|campaign| targets(config, campaign));
    let without: BTreeSet<(&str, &str)> =
        led_to.filter(|led| !led.target.passes_click_id()).map(|led| (led.what, led.slug)).collect();
    let mut gaps: Vec<String> = without
        .iter()
        .map(|(what, slug)| {
            let lost = match *what {
                "lander" => "its links can name the click by its cookie only",
                _ => "what comes back cannot name its click",
            };
            format!("the target of {what} {slug} has no {{click_id}}: {lost}")
        })
        .collect();
    for ready in snapshot.destinations() {
        let slug = &ready.config.slug;
        if !snapshot.config.goals.iter().any(|goal| goal.send_to.contains(slug)) {
            gaps.push(format!("no goal sends to {slug}"));
        }
    }
    gaps.sort();
    gaps
}
