//! What the clicks of campaigns need, decided once: which paths there are, what has to be looked up, where a price stands.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};

use crosstally_core::config::{Campaign, Config, Leads};
use crosstally_core::cost::{self, CostToken};
use crosstally_core::money::Money;
use crosstally_core::offer::Offer;
use crosstally_core::params::Params;
use crosstally_core::rotation::{Kind, Path, Sticky};
use crosstally_core::target::Target;
use crosstally_core::visit::Needs;

/// A campaign that can be clicked on.
#[derive(Debug)]
pub struct ReadyCampaign {
    /// Which of the configuration's campaigns it is.
    pub(super) at: usize,
    /// Its paths, if it has any.
    pub rotation: Option<Rotation>,
    cost: Option<Cost>,
}

/// The paths of a campaign.
#[derive(Debug)]
pub struct Rotation {
    /// Which of the configuration's paths they are, in order.
    paths: Vec<usize>,
    /// What has to be looked up.
    pub needs: Needs,
    /// Whether visitors are told again by a cookie.
    pub knows_visitors: bool,
    /// Whether a path leads to a lander, from where a step to an offer may follow.
    pub has_landers: bool,
}

/// Where the price of a click stands, and the parts of a coin that are carried to the next one.
#[derive(Debug)]
struct Cost {
    token: CostToken,
    carried: AtomicI64,
}

impl ReadyCampaign {
    /// What a click costs by its source's own word.
    #[must_use]
    pub fn stated_cost(&self, params: &Params) -> Option<Money> {
        let cost = self.cost.as_ref()?;
        let text = params.get(&cost.token.param).or_else(|| params.get_ignoring_case(&cost.token.param))?;
        let parts = cost.token.read(text)?;
        let mut minor = 0;
        let carried = cost.carried.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |carried| {
            let (coins, rest) = cost::carry(parts, carried);
            minor = coins;
            Some(rest)
        });
        carried.is_ok().then(|| Money::new(minor, cost.token.currency))
    }
}

impl Rotation {
    /// The paths in order.
    pub fn paths<'c>(&'c self, config: &'c Config) -> impl Iterator<Item = &'c Path> {
        self.paths.iter().filter_map(|at| config.paths.get(*at))
    }
}

/// All campaigns by name.
pub(super) fn campaigns(config: &Config) -> HashMap<String, ReadyCampaign> {
    let rooms = Rooms {
        config,
        paths: config.paths.iter().enumerate().map(|(at, path)| (path.slug.as_str(), at)).collect(),
        offers: config.offers.iter().map(|offer| (offer.slug.as_str(), offer)).collect(),
        landers: config.landers.iter().map(|lander| (lander.slug.as_str(), &lander.target)).collect(),
    };
    let costs: HashMap<&str, &CostToken> = config
        .sources
        .iter()
        .filter_map(|source| Some((source.slug.as_str(), source.cost.as_ref()?)))
        .collect();
    let ready = |(at, campaign): (usize, &Campaign)| {
        let cost = costs.get(campaign.source.as_str());
        let cost = cost.map(|token| Cost { token: (*token).clone(), carried: AtomicI64::new(0) });
        (campaign.slug.clone(), ReadyCampaign { at, rotation: rooms.rotation(campaign), cost })
    };
    config.campaigns.iter().enumerate().map(ready).collect()
}

struct Rooms<'c> {
    config: &'c Config,
    paths: HashMap<&'c str, usize>,
    offers: HashMap<&'c str, &'c Offer>,
    landers: HashMap<&'c str, &'c Target>,
}

impl Rooms<'_> {
    fn rotation(&self, campaign: &Campaign) -> Option<Rotation> {
        let Leads::Paths(slugs) = &campaign.leads else { return None };
        let paths: Vec<usize> =
            slugs.iter().filter_map(|slug| self.paths.get(slug.as_str()).copied()).collect();
        let (mut needs, mut has_landers) = (Needs::default(), false);
        for path in paths.iter().filter_map(|at| self.config.paths.get(*at)) {
            needs = needs.and(path.rule.needs());
            for member in &path.members {
                has_landers |= member.kind == Kind::Lander;
                needs = needs.and(
                    match member.kind {
                        Kind::Lander => self.landers.get(member.slug.as_str()).map(|target| target.needs()),
                        Kind::Offer => Some(self.offer_needs(&member.slug)),
                    }
                    .unwrap_or_default(),
                );
            }
        }
        let knows_visitors = needs.returning || campaign.sticky == Sticky::Cookie;
        Some(Rotation { paths, needs, knows_visitors, has_landers })
    }

    /// What an offer's target asks for, and those that stand for it when it is full.
    fn offer_needs(&self, slug: &str) -> Needs {
        let (mut needs, mut seen, mut next) = (Needs::default(), BTreeSet::new(), Some(slug));
        while let Some(offer) = next.filter(|slug| seen.insert(*slug)).and_then(|slug| self.offers.get(slug))
        {
            needs = needs.and(offer.target.needs());
            next = offer.cap.as_ref().map(|cap| cap.overflow.as_str());
        }
        needs
    }
}
