//! A configuration as ordered sections of keys and values: what [`super::print()`] writes and [`super::plan()`] compares.

use super::{
    Auth, Campaign, Config, CostModel, Destination, Expected, Goal, Leads, Partner, Rate, SecretRef, Setting,
    Source, ValueAt, Word, Workspace,
};
use crate::consent::ConsentPolicy;
use crate::drop_in::DropIn;
use crate::fraud::{Fraud, Often};
use crate::redirect::Redirect;
use crate::retention::{Class, Retention};
use crate::rotation::Sticky;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

mod preflight;
mod rotation;
mod terms;

/// One section.
pub(super) struct Entry<'c> {
    /// `workspace`, `source`, …
    pub(super) section: &'static str,
    /// The slug; the workspace has none.
    pub(super) slug: Option<&'c str>,
    /// The keys after the slug, in order. What is not set is not there.
    pub(super) keys: Vec<(&'c str, Value<'c>)>,
}

/// A value.
pub(super) enum Value<'c> {
    /// A text.
    Text(String),
    /// A text that may hold something secret, such as an HTTP header: written, but not shown when it changes.
    Quiet(&'c str),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
    /// A secret.
    Secret(&'c SecretRef),
    /// A list of texts.
    List(Vec<String>),
    /// Values by name.
    Table(Vec<(&'c str, Value<'c>)>),
}

impl Value<'_> {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// All sections in their fixed order; within a kind as they were written.
pub(super) fn entries(config: &Config) -> Vec<Entry<'_>> {
    let mut entries = vec![workspace(&config.workspace)];
    entries.extend(fraud(&config.fraud));
    entries.extend(retention(config.retention));
    entries.extend(config.sources.iter().map(source));
    entries.extend(config.offers.iter().map(rotation::offer));
    entries.extend(config.landers.iter().map(rotation::lander));
    entries.extend(config.paths.iter().map(rotation::path));
    entries.extend(config.campaigns.iter().map(campaign));
    entries.extend(config.partners.iter().map(partner));
    entries.extend(config.destinations.iter().map(destination));
    entries.extend(config.goals.iter().map(goal));
    entries.extend(config.preflights.iter().map(preflight::monitor));
    entries
}

fn workspace(workspace: &Workspace) -> Entry<'_> {
    let mut keys = vec![
        ("base_currency", Value::text(workspace.base_currency.code())),
        ("timezone", Value::text(&workspace.timezone)),
    ];
    keys.extend(workspace.default_region.as_ref().map(|region| ("default_region", Value::text(region))));
    if workspace.keep_contact {
        keys.push(("keep_contact", Value::Flag(true)));
    }
    keys.extend(consent_policy(workspace.consent_policy));
    if !workspace.public_hosts.is_empty() {
        keys.push(("public_hosts", Value::List(workspace.public_hosts.clone())));
    }
    Entry { section: "workspace", slug: None, keys }
}

fn consent_policy(policy: ConsentPolicy) -> Option<(&'static str, Value<'static>)> {
    let mut keys = Vec::new();
    keys.extend(policy.when_denied.map(|word| ("when_denied", Value::text(word.word()))));
    keys.extend(policy.gpc.map(|word| ("gpc", Value::text(word.word()))));
    (!keys.is_empty()).then_some(("consent_policy", Value::Table(keys)))
}

/// Nothing if all is kept.
fn retention(retention: Retention) -> Option<Entry<'static>> {
    let spans = Class::ALL.iter().filter_map(|class| Some((class.word(), retention.of(*class)?)));
    let keys: Vec<_> = spans.map(|(name, ms)| (name, Value::Text(span(ms)))).collect();
    (!keys.is_empty()).then_some(Entry { section: "retention", slug: None, keys })
}

/// Nothing if no mark is asked for.
fn fraud(fraud: &Fraud) -> Option<Entry<'_>> {
    let often = |often: Often| {
        Value::Table(vec![
            ("more_than", Value::Integer(i64::from(often.more_than))),
            ("within", Value::Text(span(often.within_ms))),
        ])
    };
    let mut keys = Vec::new();
    keys.extend(fraud.repeated_contact.map(|contact| ("repeated_contact", often(contact))));
    keys.extend(fraud.repeated_address.map(|address| ("repeated_address", often(address))));
    keys.extend(fraud.click_flood.map(|flood| ("click_flood", often(flood))));
    if !fraud.data_centres.is_empty() {
        let ranges = fraud.data_centres.iter().map(|range| range.to_string()).collect();
        keys.push(("data_centres", Value::List(ranges)));
    }
    if fraud.bots {
        keys.push(("bots", Value::Flag(true)));
    }
    if !fraud.data_centre_networks.is_empty() {
        let networks = fraud.data_centre_networks.iter().map(|number| format!("AS{number}")).collect();
        keys.push(("data_centre_networks", Value::List(networks)));
    }
    (!keys.is_empty()).then_some(Entry { section: "fraud", slug: None, keys })
}

fn source(source: &Source) -> Entry<'_> {
    let mut keys = vec![("preset", Value::text(&source.preset))];
    keys.extend(source.cost.as_ref().map(|cost| ("cost", rotation::cost(cost))));
    Entry { section: "source", slug: Some(&source.slug), keys }
}

fn campaign(campaign: &Campaign) -> Entry<'_> {
    let mut keys = Vec::new();
    if !campaign.source.is_empty() {
        keys.push(("source", Value::text(&campaign.source)));
    }
    match &campaign.leads {
        Leads::Target(target) => keys.push(("target", Value::text(target.to_string()))),
        Leads::Paths(paths) => keys.push(("paths", Value::List(paths.clone()))),
    }
    if campaign.redirect != Redirect::default() {
        keys.push(("redirect", Value::text(campaign.redirect.word())));
    }
    if campaign.sticky != Sticky::default() {
        keys.push(("sticky", Value::text(campaign.sticky.word())));
    }
    if let Some(CostModel::Cpc(money)) = campaign.cost_model {
        let cost = vec![
            ("kind", Value::text("cpc")),
            ("amount", Value::text(money.decimal())),
            ("currency", Value::text(money.currency.code())),
        ];
        keys.push(("cost_model", Value::Table(cost)));
    }
    keys.push(("test", Value::Flag(campaign.test)));
    if !campaign.sites.is_empty() {
        keys.push(("sites", Value::List(campaign.sites.iter().map(ToString::to_string).collect())));
    }
    Entry { section: "campaign", slug: Some(&campaign.slug), keys }
}

fn partner(partner: &Partner) -> Entry<'_> {
    let mut keys = vec![("preset", Value::text(&partner.preset))];
    keys.extend(terms::keys(&partner.own));
    keys.extend(auth(&partner.auth).map(|auth| ("auth", auth)));
    keys.extend(partner.rate.map(|rate| ("rate", rate_value(rate))));
    keys.extend(partner.drop_in.as_ref().map(|drop_in| ("drop_in", drop_in_value(drop_in))));
    Entry { section: "partner", slug: Some(&partner.slug), keys }
}

fn auth(auth: &Auth) -> Option<Value<'_>> {
    let mut keys = Vec::new();
    keys.extend(auth.token.as_ref().map(|token| ("token", Value::Secret(token))));
    let places =
        auth.token_in.as_ref().map(|places| places.iter().map(|place| place.word().to_owned()).collect());
    keys.extend(places.map(|places| ("token_in", Value::List(places))));
    keys.extend(auth.hmac.as_ref().map(|hmac| ("hmac", Value::Secret(hmac))));
    keys.extend(auth.secret.as_ref().map(|secret| ("secret", Value::Secret(secret))));
    keys.extend(auth.old_secret.as_ref().map(|secret| ("old_secret", Value::Secret(secret))));
    keys.extend(auth.scheme.map(|scheme| ("scheme", Value::text(scheme.word()))));
    if !auth.allow.is_empty() {
        keys.push(("allow", Value::List(auth.allow.iter().map(ToString::to_string).collect())));
    }
    (!keys.is_empty()).then_some(Value::Table(keys))
}

fn drop_in_value(drop_in: &DropIn) -> Value<'_> {
    let mut keys = vec![("dialect", Value::text(drop_in.dialect.word()))];
    if !drop_in.key.is_empty() {
        keys.push(("key", Value::text(&drop_in.key)));
    }
    Value::Table(keys)
}

fn rate_value(rate: Rate) -> Value<'static> {
    Value::Table(vec![
        ("per_second", Value::Integer(i64::from(rate.per_second))),
        ("burst", Value::Integer(i64::from(rate.burst))),
    ])
}

fn destination(destination: &Destination) -> Entry<'_> {
    let mut keys = vec![("kind", Value::text(&destination.kind))];
    keys.extend(destination.settings.iter().map(|(name, value)| (name.as_str(), setting(value))));
    keys.push(("allow_private", Value::Flag(destination.allow_private)));
    keys.extend(consent_policy(destination.consent_policy));
    if destination.in_order {
        keys.push(("in_order", Value::Flag(true)));
    }
    if let Some(rate) = destination.rate {
        keys.push(("rate", rate_value(rate)));
    }
    Entry { section: "destination", slug: Some(&destination.slug), keys }
}

fn setting(setting: &Setting) -> Value<'_> {
    match setting {
        Setting::Text(text) => Value::text(text),
        Setting::Integer(number) => Value::Integer(*number),
        Setting::Flag(flag) => Value::Flag(*flag),
        Setting::Secret(reference) => Value::Secret(reference),
        Setting::Map(map) => {
            Value::Table(map.iter().map(|(name, text)| (name.as_str(), Value::Quiet(text))).collect())
        }
        Setting::List(items) => Value::List(items.clone()),
    }
}

fn goal(goal: &Goal) -> Entry<'_> {
    let mut keys = vec![
        ("role", Value::text(goal.role.word())),
        ("when", Value::text(goal.when.text())),
        ("event_name", Value::text(&goal.event_name)),
    ];
    if !goal.send_to.is_empty() {
        keys.push(("send_to", Value::List(goal.send_to.clone())));
    }
    keys.push(("delay", Value::Text(span(goal.delay_ms))));
    keys.push(("event_id", Value::text(goal.event_id.word())));
    keys.push(("send_value", Value::text(goal.send_value.word())));
    if goal.value_at != ValueAt::default() {
        keys.push(("value_at", Value::text(goal.value_at.word())));
    }
    keys.extend(goal.expected.map(|expected| ("expected", expected_value(expected))));
    keys.extend(goal.action_source.as_ref().map(|source| ("action_source", Value::text(source))));
    Entry { section: "goal", slug: Some(&goal.slug), keys }
}

fn expected_value(expected: Expected) -> Value<'static> {
    let per = if expected.by_campaign { "campaign" } else { "partner" };
    Value::Table(vec![
        ("within", Value::Text(span(expected.within_ms))),
        ("at_least", Value::Integer(i64::from(expected.at_least))),
        ("per", Value::text(per)),
        ("otherwise", Value::text(expected.otherwise.word())),
    ])
}

/// A span in the largest unit that says it exactly.
fn span(ms: i64) -> String {
    for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s")] {
        if ms != 0 && ms % unit_ms == 0 {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    if ms == 0 { "0s".to_owned() } else { format!("{ms}ms") }
}
