//! The configuration in force, ready for use: looked up by name, secrets at hand, dialects found. Readers take it without
//! a lock; a new version replaces it as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use crosstally_core::config::{Auth, Campaign, Config, Destination, Partner, SecretRef, Setting, Workspace};
use crosstally_core::config::{preset, source as presets};
use crosstally_core::consent::{Europe, WhenGpc};
use crosstally_core::contract::{Contract, Terms, ValueOf};
use crosstally_core::drop_in::DropIn;
use crosstally_core::erasure::Names;
use crosstally_core::event::OutboundEvent;
use crosstally_core::offer::{Lander, Offer};
use crosstally_core::postback::authenticate::Guards;
use crosstally_core::postback::signature::Signing;
use crosstally_core::time::{HOUR_MS, Timestamp};
use crosstally_core::visit::Zone;
use crosstally_destinations::catalog;
use crosstally_destinations::consent::{self, Leaving};
use crosstally_destinations::dialect::{Dialect, Settings};
use sha2::{Digest, Sha256};

use crate::geo::Geo;
use crate::keys::{Keys, hex_of};
use crate::secrets::{self, SecretFiles, SecretSource, WithFiles};

mod doors;
mod links;
#[cfg(test)]
mod tests;

pub use doors::{SHEET_PARAM, SHEET_PATH};
pub use links::{ReadyCampaign, Rotation};

/// The configuration in force.
#[derive(Debug)]
pub struct Snapshot {
    /// Its version; 0 before any was applied.
    pub version: i64,
    /// When it was applied; the start of time before any was.
    pub applied_at: Timestamp,
    /// The configuration itself.
    pub config: Config,
    /// The time zone of days and hours.
    pub zone: Zone,
    campaigns: HashMap<String, ReadyCampaign>,
    offers: HashMap<String, usize>,
    landers: HashMap<String, usize>,
    partners: HashMap<String, (usize, Option<Guards>)>,
    destinations: HashMap<String, Arc<ReadyDestination>>,
    drop_ins: HashMap<DropIn, usize>,
    stands_in: bool,
    hears_browsers: bool,
    asks_in_europe: bool,
    /// What the files of its secrets held when they were read.
    pub(crate) secret_files: SecretFiles,
}

/// The partner that server events belong to when they name none.
pub const SERVER_EVENTS: &str = "events";

/// It needs no section of its own; one with this slug gives it a contract.
fn server_events() -> Partner {
    let own = Terms { value: Some(ValueOf::Revenue), ..Terms::default() };
    Partner {
        slug: SERVER_EVENTS.to_owned(),
        contract: Contract::new(&own, &preset::generic().terms),
        own,
        preset: "generic".to_owned(),
        auth: Auth::default(),
        rate: None,
        drop_in: None,
    }
}

/// A destination that can be sent to.
pub struct ReadyDestination {
    /// Its configuration.
    pub config: Destination,
    /// Its dialect.
    pub dialect: &'static dyn Dialect,
    /// Its settings with secrets.
    pub settings: Settings,
    /// Secrets that it names but that are not set on this node.
    pub missing_secrets: Vec<String>,
    /// A digest over everything that decides whether a call can succeed, secrets included.
    pub digest: String,
}

impl ReadyDestination {
    /// Whether what was noted under this digest may concern these settings. Without all of their secrets, as in a command that
    /// runs beside the server, nobody can tell: what was noted stands then.
    #[must_use]
    pub fn may_be(&self, noted_digest: &str) -> bool {
        self.digest == noted_digest || !self.missing_secrets.is_empty()
    }

    /// The secrets that are not set on this node, each with where it is looked for.
    #[must_use]
    pub fn missing(&self) -> String {
        let place = |name: &String| {
            let place = match self.config.settings.get(name) {
                Some(Setting::Secret(SecretRef::Env(variable))) => format!("variable {variable}"),
                Some(Setting::Secret(SecretRef::File(path))) => format!("file {path}"),
                _ => "in the configuration".to_owned(),
            };
            // What is there cannot be what it is meant for.
            let use_of = if self.settings.secrets.contains_key(name) { ": not of its form" } else { "" };
            format!("{name} ({place}{use_of})")
        };
        self.missing_secrets.iter().map(place).collect::<Vec<_>>().join(", ")
    }

    /// Whether it takes an event that adjusts another one.
    #[must_use]
    pub fn adjusts(&self, event: &OutboundEvent) -> bool {
        self.dialect.adjusts(&self.settings, event)
    }

    /// Whether it takes this adjustment for good.
    #[must_use]
    pub fn retracts(&self, event: &OutboundEvent) -> bool {
        self.dialect.retracts(&self.settings, event)
    }

    /// Whether it can be asked later what became of what it took.
    #[must_use]
    pub fn looks_back(&self) -> bool {
        self.dialect.lookback(&self.settings, "x").is_some()
    }

    /// How long after it may have taken an event a further try is sure to be recognised, with an hour to spare.
    #[must_use]
    pub fn recognises_for_ms(&self) -> Option<i64> {
        self.dialect.recognises_for_ms().map(|ms| ms.saturating_sub(HOUR_MS))
    }

    /// How an event leaves for it, after what its visitor allows.
    #[must_use]
    pub fn leaving(&self, event: &OutboundEvent, geo: &Geo) -> Leaving {
        let policy = self.config.consent_policy;
        let europe = if self.dialect.told().asked_in_europe { geo.europe(event) } else { Europe::Unsaid };
        consent::leaving(self.dialect, &self.settings, policy, event, europe)
    }
}

impl std::fmt::Debug for ReadyDestination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ReadyDestination({})", self.config.slug)
    }
}

impl Snapshot {
    /// Makes a configuration ready.
    #[must_use]
    pub fn new(version: i64, config: Config, source: &dyn SecretSource, keys: &Keys) -> Self {
        let files = SecretFiles::read(&secrets::paths(&config), source);
        Self::with_files(version, config, (source, files), keys)
    }

    /// The same with what was read of its secrets' files, which are not read again.
    pub(crate) fn with_files(
        version: i64,
        mut config: Config,
        (source, secret_files): (&dyn SecretSource, SecretFiles),
        keys: &Keys,
    ) -> Self {
        let source = &WithFiles { files: &secret_files, source };
        let stands_in = config.partner(SERVER_EVENTS).is_none();
        if stands_in {
            config.partners.push(server_events());
        }
        let offers = config.offers.iter().enumerate().map(|(at, offer)| (offer.slug.clone(), at)).collect();
        let landers =
            config.landers.iter().enumerate().map(|(at, lander)| (lander.slug.clone(), at)).collect();
        let campaigns = links::campaigns(&config);
        let zone = Zone::named(&config.workspace.timezone);
        let partners = config
            .partners
            .iter()
            .enumerate()
            .map(|(at, partner)| (partner.slug.clone(), (at, guards(partner, source, keys))))
            .collect();
        let destinations: HashMap<_, _> = config
            .destinations
            .iter()
            .filter_map(|destination| ready(destination, &config.workspace, source, keys))
            .map(|ready| (ready.config.slug.clone(), Arc::new(ready)))
            .collect();
        let drop_ins = config
            .partners
            .iter()
            .enumerate()
            .filter_map(|(at, partner)| Some((partner.drop_in.clone()?, at)))
            .collect();
        let asks_in_europe =
            destinations.values().any(|ready: &Arc<ReadyDestination>| ready.dialect.told().asked_in_europe);
        let hears_browsers = config.campaigns.iter().any(|campaign| !campaign.sites.is_empty());
        Self {
            version,
            applied_at: Timestamp::from_millis(0),
            config,
            zone,
            campaigns,
            offers,
            landers,
            partners,
            destinations,
            drop_ins,
            stands_in,
            hears_browsers,
            asks_in_europe,
            secret_files,
        }
    }

    /// Whether no destination ignores Global Privacy Control.
    #[must_use]
    pub fn obeys_gpc(&self) -> bool {
        let usual = self.config.workspace.consent_policy;
        let mut policies =
            self.config.destinations.iter().map(|destination| destination.consent_policy.or(usual));
        policies.all(|policy| policy.gpc != Some(WhenGpc::Ignore))
    }

    /// Whether a partner only stands for server events: nobody posts to it without a token of the API.
    #[must_use]
    pub fn is_for_events_only(&self, slug: &str) -> bool {
        self.stands_in && slug == SERVER_EVENTS
    }

    /// Whether any campaign takes events of browsers: only then is anything looked up about them.
    #[must_use]
    pub const fn hears_browsers(&self) -> bool {
        self.hears_browsers
    }

    /// Whether any destination wants visitors of Europe to have been asked.
    #[must_use]
    pub const fn asks_in_europe(&self) -> bool {
        self.asks_in_europe
    }

    /// The campaign of this name.
    #[must_use]
    pub fn campaign(&self, slug: &str) -> Option<&Campaign> {
        self.linked(slug).map(|(campaign, _)| campaign)
    }

    /// The campaign of this name with what its clicks need.
    #[must_use]
    pub fn linked(&self, slug: &str) -> Option<(&Campaign, &ReadyCampaign)> {
        let ready = self.campaigns.get(slug)?;
        Some((self.config.campaigns.get(ready.at)?, ready))
    }

    /// Whether any campaign asks where its visitors are.
    #[must_use]
    pub fn asks_for_places(&self) -> bool {
        let by_network = !self.config.fraud.data_centre_networks.is_empty();
        let by_path = |ready: &ReadyCampaign| ready.rotation.as_ref().is_some_and(|paths| paths.needs.place);
        by_network || self.campaigns.values().any(by_path)
    }

    /// The offer of this name.
    #[must_use]
    pub fn offer(&self, slug: &str) -> Option<&Offer> {
        self.offers.get(slug).and_then(|&at| self.config.offers.get(at))
    }

    /// The lander of this name.
    #[must_use]
    pub fn lander(&self, slug: &str) -> Option<&Lander> {
        self.landers.get(slug).and_then(|&at| self.config.landers.get(at))
    }

    /// The partner of this name, and what its calls must show; no guards mean that a secret is not set on this node.
    #[must_use]
    pub fn partner(&self, slug: &str) -> Option<(&Partner, Option<&Guards>)> {
        let (at, guards) = self.partners.get(slug)?;
        Some((self.config.partners.get(*at)?, guards.as_ref()))
    }

    /// Under which names a partner's calls tell of clicks and people; the accepted ones if there is no such partner.
    pub(crate) fn call_names(&self, slug: &str) -> Names {
        Names::of_calls(self.partner(slug).map(|(partner, _)| &partner.contract))
    }

    /// The same of click links: with the parameters in which the sources' own click ids stand.
    pub(crate) fn link_names(&self) -> Names {
        let presets = self.config.sources.iter().filter_map(|source| presets::named(&source.preset));
        Names::of_links(presets.flat_map(|preset| preset.click_params.iter().map(String::as_str)))
    }

    /// The destination of this name.
    #[must_use]
    pub fn destination(&self, slug: &str) -> Option<&Arc<ReadyDestination>> {
        self.destinations.get(slug)
    }

    /// How old an event may be for a destination, in milliseconds.
    #[must_use]
    pub fn max_age_ms(&self, destination: &Destination, action_source: &str) -> i64 {
        self.destination(&destination.slug)
            .map_or(0, |ready| ready.dialect.max_age_ms(&ready.config.settings, action_source))
    }

    /// All destinations.
    pub fn destinations(&self) -> impl Iterator<Item = &Arc<ReadyDestination>> {
        self.destinations.values()
    }
}

fn guards(partner: &Partner, source: &dyn SecretSource, keys: &Keys) -> Option<Guards> {
    let find = |reference: &Option<_>, name: &str| match reference {
        None => Some(None),
        Some(reference) => {
            let record = format!("partner/{}/auth.{name}", partner.slug);
            secrets::resolve(reference, &record, source, keys).map(Some)
        }
    };
    let auth = &partner.auth;
    let current = match find(&auth.hmac, "hmac")? {
        Some(hmac) => Some(hmac),
        None => find(&auth.secret, "secret")?,
    };
    let old = find(&auth.old_secret, "old_secret")?;
    let signing = match current {
        // A secret that is none of its scheme is as good as one that is not set.
        Some(current) => Some(Signing::new(partner.scheme(), &current, old.as_ref())?),
        None => None,
    };
    Some(Guards {
        token: find(&auth.token, "token")?,
        token_in: auth.token_in.clone(),
        signing,
        allow: partner.auth.allow.clone(),
    })
}

fn ready(
    destination: &Destination,
    workspace: &Workspace,
    source: &dyn SecretSource,
    keys: &Keys,
) -> Option<ReadyDestination> {
    let dialect = catalog::by_kind(&destination.kind)?;
    let mut settings = Settings { values: destination.settings.clone(), ..Settings::default() };
    let mut missing_secrets = Vec::new();
    let mut digest = Sha256::new();
    digest.update(format!("{}\n{}\n{}\n", destination.slug, destination.kind, destination.allow_private));
    for (name, setting) in &destination.settings {
        if let Setting::Secret(reference) = setting {
            let record = format!("destination/{}/{name}", destination.slug);
            match secrets::resolve(reference, &record, source, keys) {
                Some(secret) => {
                    // The digest is kept with a pause: whoever reads the database must not try out passwords on it.
                    let keyed = keys.keyed_hash("secret of a destination", secret.expose().as_bytes());
                    digest.update(format!("{name}={}\n", hex_of(keyed)));
                    settings.secrets.insert(name.clone(), secret);
                }
                None => missing_secrets.push(name.clone()),
            }
        } else {
            digest.update(format!("{name}={setting:?}\n"));
        }
    }
    // A secret that cannot be what it is meant for is as good as one that is not set.
    missing_secrets.extend(dialect.unusable_secrets(&settings).into_iter().map(str::to_owned));
    let digest = hex_of(digest.finalize().iter().take(8).copied());
    let consent_policy = destination.consent_policy.or(workspace.consent_policy);
    let config = Destination { consent_policy, ..destination.clone() };
    Some(ReadyDestination { config, dialect, settings, missing_secrets, digest })
}
