//! Step: from a postback and the facts to everything that it changes. The last decision before recording, made over one
//! consistent view of the facts; if the facts move meanwhile, it is made again.

use serde_json::{Map, Value};

use crate::click::Click;
use crate::condition::Subject;
use crate::config::{Campaign, Config, Destination, Partner};
use crate::contract::DuplicateMode;
use crate::conversion::{Conversion, DedupeKey, GoalMet};
use crate::delivery::DeliveryState;
use crate::fx::Rates;
use crate::goal::{self, GoalDecision};
use crate::ids::{ConversionId, DeliveryId, GoalEventId};
use crate::ledger::{Balance, ContentHash, EntryKind, LedgerEntry};
use crate::params::Params;
use crate::postback::movement::{self, Past, Said, Standing, Step};
use crate::postback::{Booking, ClickRef, ConversionChange, Facts, Postback, Receipt};
use crate::pricing::{self, Market};
use crate::reason::Reason;
use crate::route::{self, GoalEvent, NewDelivery};
use crate::time::{HOUR_MS, Timestamp};
use crate::verdict::Verdict;

pub(super) mod labels;

/// What booking needs besides the postback and the facts.
pub struct Context<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// The partner.
    pub partner: &'a Partner,
    /// The rates at hand.
    pub rates: &'a Rates,
    /// The conversion's name.
    pub key: &'a DedupeKey,
    /// When the call was received.
    pub received_at: Timestamp,
    /// The present time: another one when a call of before is read again.
    pub now: Timestamp,
    /// How old an event may be for a destination, in milliseconds.
    pub max_age_ms: &'a dyn Fn(&Destination, &str) -> i64,
    /// What a changed repeat does.
    pub mode: DuplicateMode,
    /// Fresh random bytes for new ids.
    pub random: &'a mut dyn FnMut() -> [u8; 10],
}

impl Context<'_> {
    pub(super) fn market(&self) -> Market<'_> {
        let (base, rate_day) = (self.config.workspace.base_currency, self.partner.contract.rate_day());
        Market { rates: self.rates, base, rate_day }
    }
}

/// Decides what a postback changes.
#[must_use]
pub fn book(postback: &Postback, facts: &Facts, mut receipt: Receipt, mut context: Context<'_>) -> Booking {
    if let Some(stop) = unmatched_click(postback, facts) {
        return stopped(receipt, Verdict::Quarantined, stop.0, stop.1);
    }
    if let Some(stopped) = kept_out(postback, facts, &receipt, &context) {
        return stopped;
    }
    let before = facts.conversion.as_ref();
    if let Some(known) = before {
        receipt.conversion = Some(known.id);
    }
    let standing = match decide(postback, facts, &context) {
        Step::Moves(standing) => standing,
        Step::Same(reason) => {
            receipt.sequence = before.map(|known| known.movements);
            return stopped(receipt, Verdict::Duplicate, reason, standing_text(before));
        }
        Step::Blocked(reason) => {
            return stopped(receipt, Verdict::Quarantined, reason, standing_text(before));
        }
    };
    write(postback, facts, standing, receipt, EntryKind::Call, &mut context)
}

/// Calls that are checked and not booked, though they name a click that is there: too late for the contract, or tests.
pub(super) fn kept_out(
    postback: &Postback,
    facts: &Facts,
    receipt: &Receipt,
    context: &Context<'_>,
) -> Option<Booking> {
    if let Some(detail) = too_late(postback, facts.click.as_ref(), context) {
        return Some(stopped(receipt.clone(), Verdict::Quarantined, Reason::EventTooLate, detail));
    }
    let click = facts.attributed.as_ref().or(facts.click.as_ref());
    let campaign = click.and_then(|click| context.config.campaign(&click.campaign));
    let test = click.is_some_and(|click| click.test) || campaign.is_some_and(|campaign| campaign.test);
    // A conversion that was booked for real stays real, whatever its campaign is made later.
    (test && facts.conversion.is_none()).then(|| {
        stopped(
            receipt.clone(),
            Verdict::Test,
            Reason::TestCall,
            "the click belongs to a test campaign".into(),
        )
    })
}

/// The movement that takes a conversion from one standing to another without a call of its own.
pub(super) fn correction(
    before: &Conversion,
    after: &Conversion,
    receipt: &Receipt,
    now: Timestamp,
) -> LedgerEntry {
    let base_delta = pricing::delta(Some(before), after);
    LedgerEntry {
        conversion: after.id,
        sequence: after.movements,
        receipt: receipt.id,
        status: after.status,
        status_word: String::new(),
        currency: after.currency,
        amounts: after.amounts,
        confirmed_delta: after.balance.confirmed - before.balance.confirmed,
        pending_delta: after.balance.pending - before.balance.pending,
        event_time: now,
        recorded_at: now,
        click: after.click,
        campaign: after.campaign.clone(),
        source: after.source.clone(),
        partner: after.key.partner.clone(),
        fx: after.fx,
        base_confirmed_delta: base_delta.map(|delta| delta.confirmed),
        base_pending_delta: base_delta.map(|delta| delta.pending),
        kind: EntryKind::Replay,
        content: ContentHash::default(),
    }
}

/// Everything that follows once it is decided where the conversion stands.
pub(super) fn write(
    postback: &Postback,
    facts: &Facts,
    standing: Standing,
    receipt: Receipt,
    kind: EntryKind,
    context: &mut Context<'_>,
) -> Booking {
    write_after(postback, facts, standing, receipt, kind, &[], context)
}

/// The same for a call that was booked under another name: the goals that it met there are not met again.
pub(super) fn write_after(
    postback: &Postback,
    facts: &Facts,
    standing: Standing,
    mut receipt: Receipt,
    kind: EntryKind,
    met_before: &[GoalMet],
    context: &mut Context<'_>,
) -> Booking {
    let before = facts.conversion.as_ref();
    // What an event tells about the visitor is of the click that gets the credit, not of the call's.
    let click = facts.attributed.as_ref().or(facts.click.as_ref());
    let campaign = click.and_then(|click| context.config.campaign(&click.campaign));
    for label in labels::of(postback, facts, standing, context) {
        labels::add(&mut receipt.labels, &label);
    }
    let mut conversion = moved(postback, facts, standing, context);
    if before.is_none() {
        conversion.goals_met = met_before.to_vec();
    }
    for label in &receipt.labels {
        labels::add(&mut conversion.labels, label);
    }
    let mut entry = entry(postback, before, &conversion, &receipt, context);
    entry.kind = kind;
    let followed = follow_goals(postback, click, campaign, &mut conversion, context);
    receipt.verdict = if before.is_some() { Verdict::Updated } else { Verdict::Recorded };
    receipt.reason = match (&conversion.click, before) {
        (None, None) => Some(Reason::NoClickId),
        _ => None,
    };
    receipt.labels.extend(conversion.is_fx_pending().then(|| Reason::FxPending.code().to_owned()));
    receipt.conversion = Some(conversion.id);
    receipt.sequence = Some(entry.sequence);
    // The click that the call named stays with its receipt, also where the conversion keeps the one it had.
    if let (Some(named), Some(kept)) = (receipt.click, conversion.click)
        && named != kept
    {
        receipt.detail = format!("the conversion stays with click {kept}, which it was first attributed to");
    }
    receipt.click = receipt.click.or(conversion.click);
    receipt.goals = followed.decisions;
    let relabelled = before.map_or(&[][..], |before| &before.labels) != conversion.labels.as_slice();
    let conversion = match before {
        Some(_) => ConversionChange::Update(conversion),
        None => ConversionChange::Insert(conversion),
    };
    Booking {
        receipt,
        conversion: Some(conversion),
        entry: Some(entry),
        goal_events: followed.events,
        deliveries: followed.deliveries,
        nonce: None,
        sightings: facts.seen.iter().map(|seen| seen.sighting.key).collect(),
        relabelled,
    }
}

pub(super) fn stopped(mut receipt: Receipt, verdict: Verdict, reason: Reason, detail: String) -> Booking {
    receipt.awaits = super::Awaited::by(reason, &receipt);
    receipt.verdict = verdict;
    receipt.reason = Some(reason);
    receipt.detail = detail;
    Booking::receipt_only(receipt)
}

pub(super) fn unmatched_click(postback: &Postback, facts: &Facts) -> Option<(Reason, String)> {
    match (&postback.click, &facts.click) {
        (ClickRef::Ours(id), None) => Some((Reason::ClickUnknown, format!("no click {id} is stored here"))),
        (ClickRef::Foreign { reason, value }, _) => {
            Some((*reason, format!("click_id is {}", super::parse::printable(value))))
        }
        (ClickRef::Ours(_), Some(_)) | (ClickRef::None, _) => None,
    }
}

/// What a contract says about the time between a click and what came of it.
fn too_late(postback: &Postback, click: Option<&Click>, context: &Context<'_>) -> Option<String> {
    let (click, most) = (click?, context.partner.contract.max_delay_ms()?);
    let delay = postback.event_time.unwrap_or(context.received_at).millis_since(click.at);
    (delay > most).then(|| {
        format!("it happened {} h after its click; the contract allows {} h", delay / HOUR_MS, most / HOUR_MS)
    })
}

/// What a postback says about its conversion.
#[must_use]
pub fn said(postback: &Postback, at: Timestamp) -> Said {
    Said {
        status: postback.status,
        currency: postback.currency,
        currency_stated: postback.currency_stated,
        amounts: postback.amounts,
        at,
        content: postback.content,
    }
}

fn decide(postback: &Postback, facts: &Facts, context: &Context<'_>) -> Step {
    let contract = &context.partner.contract;
    let said = said(postback, context.received_at);
    let known = facts.conversion.as_ref().map(standing_of);
    let past: Vec<Past> = facts
        .entries
        .iter()
        .map(|entry| Past {
            status: entry.status,
            amounts: entry.amounts,
            at: entry.recorded_at,
            content: entry.content,
        })
        .collect();
    movement::step(&said, known.as_ref(), &past, context.mode, contract)
}

/// Where a conversion stands.
pub(super) fn standing_of(known: &Conversion) -> Standing {
    Standing {
        status: known.status,
        currency: known.currency,
        amounts: known.amounts,
        movements: known.movements,
    }
}

fn standing_text(conversion: Option<&Conversion>) -> String {
    let Some(conversion) = conversion else { return String::new() };
    let amount = match conversion.amounts.value {
        Some(minor) => format!("{} {}", conversion.currency.format_minor(minor), conversion.currency),
        None => "no amount".into(),
    };
    format!("the conversion is {} with {amount}", conversion.status)
}

fn moved(postback: &Postback, facts: &Facts, standing: Standing, context: &mut Context<'_>) -> Conversion {
    let mut conversion = match &facts.conversion {
        Some(known) => known.clone(),
        None => fresh(postback, facts.click.as_ref(), context),
    };
    conversion.status = standing.status;
    conversion.currency = standing.currency;
    conversion.amounts = standing.amounts;
    conversion.balance = Balance::under(conversion.status, conversion.amounts.value);
    pricing::price(facts.conversion.as_ref(), &mut conversion, &context.market());
    conversion.movements += 1;
    conversion.updated_at = context.now;
    // What was unknown may become known; what is known never changes under an event that may have left already.
    conversion.event_id = conversion.event_id.or_else(|| postback.event_id.clone());
    conversion.external_id = conversion.external_id.or_else(|| postback.external_id.clone());
    conversion.contact.add_missing(&postback.contact);
    if let (None, Some(click)) = (conversion.click, &facts.click) {
        attribute(&mut conversion, click);
    }
    conversion
}

fn fresh(postback: &Postback, click: Option<&Click>, context: &mut Context<'_>) -> Conversion {
    let mut conversion = Conversion {
        id: ConversionId::new(context.now, (context.random)()),
        key: context.key.clone(),
        transaction_id: postback.transaction_id.clone(),
        event: postback.event.clone(),
        click: None,
        campaign: String::new(),
        source: String::new(),
        status: postback.status,
        currency: postback.currency,
        amounts: postback.amounts,
        balance: Balance::default(),
        fx: None,
        base: Balance::default(),
        movements: 0,
        event_time: postback.event_time.unwrap_or(context.received_at),
        // When it was received, not when its click appeared: its rate may depend on the day.
        created_at: context.received_at,
        updated_at: context.now,
        event_id: None,
        external_id: None,
        contact: postback.contact.clone(),
        goals_met: Vec::new(),
        labels: Vec::new(),
    };
    if let Some(click) = click {
        attribute(&mut conversion, click);
    }
    conversion
}

fn attribute(conversion: &mut Conversion, click: &Click) {
    conversion.click = Some(click.id);
    conversion.campaign.clone_from(&click.campaign);
    conversion.source.clone_from(&click.source);
}

fn entry(
    postback: &Postback,
    before: Option<&Conversion>,
    after: &Conversion,
    receipt: &Receipt,
    context: &Context<'_>,
) -> LedgerEntry {
    let balance = before.map(|before| before.balance).unwrap_or_default();
    let base_delta = pricing::delta(before, after);
    LedgerEntry {
        conversion: after.id,
        sequence: after.movements,
        receipt: receipt.id,
        status: after.status,
        status_word: postback.status_word.clone(),
        currency: after.currency,
        amounts: after.amounts,
        confirmed_delta: after.balance.confirmed - balance.confirmed,
        pending_delta: after.balance.pending - balance.pending,
        event_time: postback.event_time.unwrap_or(context.received_at),
        recorded_at: context.now,
        click: after.click,
        campaign: after.campaign.clone(),
        source: after.source.clone(),
        partner: after.key.partner.clone(),
        kind: EntryKind::Call,
        content: postback.content,
        fx: after.fx,
        base_confirmed_delta: base_delta.map(|delta| delta.confirmed),
        base_pending_delta: base_delta.map(|delta| delta.pending),
    }
}

#[derive(Default)]
struct Followed {
    decisions: Vec<GoalDecision>,
    events: Vec<GoalEvent>,
    deliveries: Vec<NewDelivery>,
}

fn follow_goals(
    postback: &Postback,
    click: Option<&Click>,
    campaign: Option<&Campaign>,
    conversion: &mut Conversion,
    context: &mut Context<'_>,
) -> Followed {
    let click_params: Vec<(String, String)> = click
        .and_then(|click| Params::parse(click.query.as_bytes()).ok())
        .map(|params| params.iter().map(|param| (param.name.clone(), param.value.clone())).collect())
        .unwrap_or_default();
    let mut followed = Followed::default();
    let config = context.config;
    for goal in &config.goals {
        let labels = &conversion.labels;
        let subject = Subject { conversion, fields: &postback.fields, click_params: &click_params, labels };
        let (reason, detail) = goal::decide(goal, &subject);
        let mut decision = GoalDecision { goal: goal.slug.clone(), reason, detail, event: None };
        if reason == Reason::GoalMet {
            let id = GoalEventId::new(context.now, (context.random)());
            decision.event = Some(id);
            conversion.goals_met.push(GoalMet { goal: goal.slug.clone(), event: id });
            let event = route::event(route::Source {
                goal,
                conversion,
                event_time: postback.event_time.unwrap_or(context.received_at),
                click,
                click_params: &click_params,
                campaign,
                page: postback.page.as_deref(),
                given: postback.given.as_deref(),
            });
            // A partner's clock may be a little ahead; platforms refuse events from the future, so it is waited for.
            let due_at = context.now.max(event.event_time).plus_millis(goal.delay_ms);
            for (number, slug) in (0..).zip(&goal.send_to) {
                let Some(destination) = config.destination(slug) else { continue };
                let max_age = (context.max_age_ms)(destination, &event.action_source);
                followed.deliveries.push(NewDelivery {
                    id: DeliveryId::of(id, number),
                    goal_event: id,
                    conversion: conversion.id,
                    destination: slug.clone(),
                    state: DeliveryState::Pending,
                    due_at,
                    deadline_at: event.event_time.plus_millis(max_age),
                });
            }
            followed.events.push(GoalEvent {
                id,
                conversion: conversion.id,
                goal: goal.slug.clone(),
                sequence: conversion.movements,
                event,
                created_at: context.now,
            });
        }
        followed.decisions.push(decision);
    }
    followed
}

/// What a receipt says was read out of the call, without personal data.
#[must_use]
pub fn read_summary(postback: &Postback) -> Map<String, Value> {
    let mut read = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            read.insert(name.into(), Value::String(value));
        }
    };
    let amount = |minor: Option<i64>| minor.map(|minor| postback.currency.format_minor(minor));
    put(
        "click_id",
        match &postback.click {
            ClickRef::None => None,
            ClickRef::Ours(id) => Some(id.to_string()),
            ClickRef::Foreign { value, .. } => Some(value.clone()),
        },
    );
    put("transaction_id", postback.transaction_id.clone());
    put("status", Some(postback.status.as_str().into()));
    put("status_word", Some(postback.status_word.clone()).filter(|word| !word.is_empty()));
    put("payout", amount(postback.amounts.payout));
    put("revenue", amount(postback.amounts.revenue));
    put("value", amount(postback.amounts.value));
    put("currency", Some(postback.currency.code().into()));
    put("event", postback.event.clone());
    put("event_time", postback.event_time.map(|at| at.to_string()));
    put("event_id", postback.event_id.clone());
    put("external_id", postback.external_id.clone());
    read
}
