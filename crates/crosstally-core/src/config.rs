//! The configuration as it is after checking: every reference resolves, every word is known, every condition compiles.
//!
//! Reading, checking, printing and comparing live below; a [`Config`] can only come out of [`read()`].

use std::collections::BTreeMap;

use crate::consent::ConsentPolicy;
use crate::contract::{Contract, Terms};
use crate::cost::CostToken;
use crate::drop_in::DropIn;
use crate::fraud::Fraud;
use crate::money::{Currency, Money};
use crate::offer::{Lander, Offer};
use crate::preflight::monitor::Monitor;
use crate::redirect::Redirect;
use crate::retention::Retention;
use crate::rotation::{Path, Sticky};
use crate::scheme::Scheme;
use crate::secret::Secret;
use crate::target::Target;

pub mod address;
mod catalog;
mod finding;
mod layout;
mod macro_use;
mod plan;
pub mod preset;
mod print;
mod read;
mod secrets;
pub mod source;
#[cfg(test)]
mod tests;
mod words;

pub use crate::contract::{DuplicateMode, ValueOf};
pub use crate::word::Word;
pub use catalog::{Catalog, CatalogField, FieldType};
pub use finding::{Problem, Warning};
pub use macro_use::MacroUse;
pub use plan::{Change, ChangeKind, plan};
pub use print::{LiteralSecret, print};
pub use read::{read, read_preset};
pub use secrets::secrets;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The workspace's own settings.
    pub workspace: Workspace,
    /// Which fraud marks are set.
    pub fraud: Fraud,
    /// How long fields that tell of a person are kept.
    pub retention: Retention,
    /// Where clicks come from.
    pub sources: Vec<Source>,
    /// Where paths lead in the end.
    pub offers: Vec<Offer>,
    /// Pages before offers.
    pub landers: Vec<Lander>,
    /// Rules, and where visitors go who meet them.
    pub paths: Vec<Path>,
    /// What is advertised.
    pub campaigns: Vec<Campaign>,
    /// Who sends postbacks.
    pub partners: Vec<Partner>,
    /// Where events go.
    pub destinations: Vec<Destination>,
    /// What counts.
    pub goals: Vec<Goal>,
    /// Pre-flights that are flown once a day.
    pub preflights: Vec<Monitor>,
}

/// The workspace's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The currency of reports, and of amounts that come without any.
    pub base_currency: Currency,
    /// The time zone of reports, an IANA name. Inside, time is UTC.
    pub timezone: String,
    /// The region that telephone numbers without a country code belong to, an ISO 3166 alpha-2 code.
    pub default_region: Option<String>,
    /// Whether receipts keep contact values as they came. Else they are hashed at the door and masked in what is kept.
    pub keep_contact: bool,
    /// What it means for an event that a visitor's consent stands against it, unless its destination says.
    pub consent_policy: ConsentPolicy,
    /// The hosts under which this server is reached from outside: no destination leads there.
    pub public_hosts: Vec<String>,
}

/// A traffic source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in the configuration.
    pub slug: String,
    /// The preset that names its parameters and macros.
    pub preset: String,
    /// Where its click links state what a click costs, if they do.
    pub cost: Option<CostToken>,
}

/// Where a campaign leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    /// Everybody to the same page.
    Target(Target),
    /// Everybody by the first of these paths whose rule the visit meets; the last is for all.
    Paths(Vec<String>),
}

/// What a click costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostModel {
    /// A fixed amount per click.
    Cpc(Money),
}

/// A campaign: a click URL and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its name in the configuration and in its click URL.
    pub slug: String,
    /// The slug of its source; empty if it has none.
    pub source: String,
    /// Where visitors are sent.
    pub leads: Leads,
    /// How they are sent.
    pub redirect: Redirect,
    /// Whether a visitor's next visit is sent as the one before.
    pub sticky: Sticky,
    /// What a click costs.
    pub cost_model: Option<CostModel>,
    /// Whether its clicks and conversions are tests.
    pub test: bool,
    /// The hosts of its pages, from which browsers may tell events; none takes none.
    pub sites: Vec<crate::browser::Site>,
}

impl Campaign {
    /// The one page that it leads to, if it has no paths.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        match &self.leads {
            Leads::Target(target) => Some(target),
            Leads::Paths(_) => None,
        }
    }
}

/// A partner: an affiliate network, shop, CRM or tracker that sends postbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Its name in the configuration and in its postback URL.
    pub slug: String,
    /// The preset it starts from.
    pub preset: String,
    /// What its section says itself.
    pub own: Terms,
    /// What holds: its own terms, then the preset's.
    pub contract: Contract,
    /// What a call must show.
    pub auth: Auth,
    /// How many calls it may send, if that is limited.
    pub rate: Option<Rate>,
    /// The other tracker's endpoint that it keeps calling.
    pub drop_in: Option<DropIn>,
}

/// How many calls a sender may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second in the long run.
    pub per_second: u32,
    /// Calls at once.
    pub burst: u32,
}

/// Where a token may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a header.
    Header,
    /// Among the parameters.
    Query,
}

/// What a partner's call must show; everything that is set must be satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// A shared token, in a header or in the query.
    pub token: Option<SecretRef>,
    /// Where the token may stand; `None` means anywhere.
    pub token_in: Option<Vec<TokenPlace>>,
    /// The secret of a signature by our own scheme.
    pub hmac: Option<SecretRef>,
    /// The secret of a signature by the scheme.
    pub secret: Option<SecretRef>,
    /// The secret before it, while both are taken.
    pub old_secret: Option<SecretRef>,
    /// The scheme, if it is another than the contract's.
    pub scheme: Option<Scheme>,
    /// Addresses the call may come from; empty means any.
    pub allow: Vec<ipnet::IpNet>,
}

impl Partner {
    /// Whether anything is read from the query of its calls: not where their signature covers the body only, for whoever has
    /// seen a signed call could send it again with something else behind its URL.
    #[must_use]
    pub fn reads_query(&self) -> bool {
        let is_signed = self.auth.secret.is_some() || self.auth.hmac.is_some();
        !is_signed || self.scheme().signs_query()
    }

    /// The scheme by which its calls are signed.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        // `hmac` is our own scheme's secret, whatever else the contract names.
        let of_contract = self.contract.terms().signature.as_deref().filter(|_| self.auth.hmac.is_none());
        self.auth.scheme.or_else(|| of_contract.and_then(Scheme::named)).unwrap_or_default()
    }
}

/// Where a secret is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In an environment variable of the server.
    Env(String),
    /// In a file on the server.
    File(String),
    /// In the document itself.
    Literal(Secret),
    /// In the document, sealed with the installation's key and bound to its record.
    Sealed(String),
}

/// A value in a destination's settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
    /// A secret.
    Secret(SecretRef),
    /// Texts by name, such as HTTP headers.
    Map(BTreeMap<String, String>),
    /// A list of texts.
    List(Vec<String>),
}

/// Where events go: an ad platform's dataset, or a partner's postback URL.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Destination {
    /// Its name in the configuration.
    pub slug: String,
    /// The kind, which says what dialect is spoken and which settings there are.
    pub kind: String,
    /// Whether its address may be a private one.
    pub allow_private: bool,
    /// What it means here that a visitor's consent stands against an event.
    pub consent_policy: ConsentPolicy,
    /// Whether the events of one conversion arrive in the order in which they were booked: a later one waits for an earlier
    /// one that is still on its way.
    pub in_order: bool,
    /// How many calls it gets from one server, if there is a limit.
    pub rate: Option<Rate>,
    /// The settings of its kind.
    pub settings: BTreeMap<String, Setting>,
}

/// Whether a goal is a fact of the funnel or a signal that a platform learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sent, so that a platform optimises for it.
    LearningSignal,
    /// Counted and shown.
    FunnelFact,
}

/// Which id a goal's event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventIdMode {
    /// The conversion's one id, shared with the browser.
    #[default]
    Shared,
    /// A distinct id per goal.
    Own,
}

/// Which amount a goal's event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendValue {
    /// What this workspace earns.
    #[default]
    Value,
    /// The commission.
    Payout,
    /// The order's amount.
    Revenue,
    /// None.
    None,
}

/// From which status on an event carries the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueAt {
    /// From the beginning.
    #[default]
    Lead,
    /// Once money is pending.
    Hold,
    /// Once it is confirmed.
    Approval,
}

/// What an event carries where an expected value cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// No amount.
    #[default]
    None,
    /// The whole amount.
    Full,
}

/// How the value that is expected of an undecided conversion is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How far back conversions are looked at.
    pub within_ms: i64,
    /// How many of them must be decided.
    pub at_least: u32,
    /// Whether only those of the same campaign count.
    pub by_campaign: bool,
    /// What is sent if there are fewer.
    pub otherwise: Otherwise,
}

/// A goal: a condition over conversions, and what follows when one meets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Its name in the configuration.
    pub slug: String,
    /// Funnel fact or learning signal.
    pub role: Role,
    /// The condition.
    pub when: crate::condition::Condition,
    /// The name its event is sent under.
    pub event_name: String,
    /// The slugs of the destinations it is sent to.
    pub send_to: Vec<String>,
    /// How long to wait before sending.
    pub delay_ms: i64,
    /// Which id its event carries.
    pub event_id: EventIdMode,
    /// Which amount its event carries.
    pub send_value: SendValue,
    /// From which status on its event carries the amount.
    pub value_at: ValueAt,
    /// What it carries before, if not nothing: the part of the amount that is expected to be approved.
    pub expected: Option<Expected>,
    /// The action source to state; by default `website` with a click and `system_generated` without.
    pub action_source: Option<String>,
}

impl Config {
    /// What is in force before anything was configured.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            workspace: Workspace {
                base_currency: "USD".parse().expect("USD is a currency of ISO 4217"),
                timezone: "UTC".to_owned(),
                default_region: None,
                keep_contact: false,
                consent_policy: ConsentPolicy::default(),
                public_hosts: Vec::new(),
            },
            fraud: Fraud::default(),
            retention: Retention::default(),
            sources: Vec::new(),
            offers: Vec::new(),
            landers: Vec::new(),
            paths: Vec::new(),
            campaigns: Vec::new(),
            partners: Vec::new(),
            destinations: Vec::new(),
            goals: Vec::new(),
            preflights: Vec::new(),
        }
    }

    /// The campaign of this name.
    #[must_use]
    pub fn campaign(&self, slug: &str) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| campaign.slug == slug)
    }

    /// The partner of this name.
    #[must_use]
    pub fn partner(&self, slug: &str) -> Option<&Partner> {
        self.partners.iter().find(|partner| partner.slug == slug)
    }

    /// The destination of this name.
    #[must_use]
    pub fn destination(&self, slug: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.slug == slug)
    }
}
