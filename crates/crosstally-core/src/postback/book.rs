//! Step: from a postback and the facts to everything that it changes. The last decision before recording, made over one
//! consistent view of the facts; if the facts move meanwhile, it is made again.

use crate::click::Click;
use crate::config::{Config, Destination, Partner};
use crate::contract::DuplicateMode;
use crate::conversion::{Conversion, DedupeKey, GoalMet};
use crate::event::derived_event_id;
use crate::fx::Rates;
use crate::ids::ConversionId;
use crate::ledger::{Balance, ContentHash, EntryKind, LedgerEntry};
use crate::postback::movement::{self, Past, Said, Standing, Step};
use crate::postback::{Booking, ClickRef, ConversionChange, Facts, Postback, Receipt};
use crate::pricing::{self, Market};
use crate::reason::Reason;
use crate::reversal;
use crate::time::{HOUR_MS, Timestamp};
use crate::value::Measured;
use crate::verdict::Verdict;

mod goals;
pub(super) mod labels;
mod summary;

pub use summary::read_summary;

/// What booking needs besides the postback and the facts.
pub struct Context<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// The partner.
    pub partner: &'a Partner,
    /// The rates at hand.
    pub rates: &'a Rates,
    /// What was measured of the partner's conversions, by how far back it was looked.
    pub measured: &'a [(i64, Measured)],
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
    if let Some(stop) = unmatched_click(postback, facts.click.as_ref()) {
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
            // Told again, it has its place after this movement.
            receipt.sequence = before.map(|known| known.movements);
            return blocked(receipt, reason, standing_text(facts.spoken_of()), &context);
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
    if let Some(detail) = too_late(postback, facts.click.as_ref(), context.partner, context.received_at) {
        return Some(stopped(receipt.clone(), Verdict::Quarantined, Reason::EventTooLate, detail));
    }
    let click = facts.credited();
    let campaign = click.and_then(|click| context.config.campaign(&click.campaign));
    let test = click.is_some_and(|click| click.test) || campaign.is_some_and(|campaign| campaign.test);
    // A conversion that was booked for real stays real, whatever its campaign is made later.
    (test && facts.spoken_of().is_none()).then(|| {
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
    kind: EntryKind,
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
        kind,
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
    let (before, spoken_of) = (facts.conversion.as_ref(), facts.spoken_of());
    // What an event tells about the visitor is of the click that gets the credit, not of the call's.
    let click = facts.credited();
    let campaign = click.and_then(|click| context.config.campaign(&click.campaign));
    for label in labels::of(postback, facts, standing, context) {
        labels::add(&mut receipt.labels, &label);
    }
    let mut conversion = moved(postback, facts, standing, context);
    if spoken_of.is_none() && !met_before.is_empty() {
        conversion.goals_met = met_before.to_vec();
    }
    for label in &receipt.labels {
        labels::add(&mut conversion.labels, label);
    }
    let mut entry = entry(postback, before, &conversion, &receipt, context);
    entry.kind = kind;
    let followed = goals::follow(postback, click, campaign, &mut conversion, &receipt, context);
    receipt.verdict = if spoken_of.is_some() { Verdict::Updated } else { Verdict::Recorded };
    receipt.reason = match (&conversion.click, spoken_of) {
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
    let reverses = before.is_some_and(|before| reversal::is_due(before, &conversion, &facts.entries));
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
        reverses,
    }
}

pub(super) fn stopped(mut receipt: Receipt, verdict: Verdict, reason: Reason, detail: String) -> Booking {
    receipt.awaits = super::Awaited::by(reason, &receipt);
    receipt.verdict = verdict;
    receipt.reason = Some(reason);
    receipt.detail = detail;
    Booking::receipt_only(receipt)
}

/// A call that cannot be booked as it is. A refund that has overtaken its sale waits for it.
pub(super) fn blocked(receipt: Receipt, reason: Reason, detail: String, context: &Context<'_>) -> Booking {
    let mut booking = stopped(receipt, Verdict::Quarantined, reason, detail);
    if reason == Reason::SaleUnknown {
        let receipt = &mut booking.receipt;
        receipt.awaits = Some(super::Awaited::Sale(context.key.clone()));
        // It is about no conversion until there is the sale, whatever else bears the name.
        (receipt.conversion, receipt.sequence) = (None, None);
    }
    booking
}

/// Why a call's click is not one that is stored.
#[must_use]
pub fn unmatched_click(postback: &Postback, click: Option<&Click>) -> Option<(Reason, String)> {
    match (&postback.click, click) {
        (ClickRef::Ours(id), None) => Some((Reason::ClickUnknown, format!("no click {id} is stored here"))),
        (ClickRef::Foreign { reason, value }, _) => {
            Some((*reason, format!("click_id is {}", super::parse::printable(value))))
        }
        (ClickRef::Ours(_), Some(_)) | (ClickRef::None, _) => None,
    }
}

/// What a contract says about the time between a click and what came of it.
#[must_use]
pub fn too_late(
    postback: &Postback,
    click: Option<&Click>,
    partner: &Partner,
    received_at: Timestamp,
) -> Option<String> {
    let (click, most) = (click?, partner.contract.max_delay_ms()?);
    let delay = postback.event_time.unwrap_or(received_at).millis_since(click.at);
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
        once: postback.fields.iter().any(|(name, _)| name == movement::IMPORT_ROW),
    }
}

fn decide(postback: &Postback, facts: &Facts, context: &Context<'_>) -> Step {
    let contract = &context.partner.contract;
    let said = said(postback, context.received_at);
    let known = facts.spoken_of().map(standing_of);
    let past: Vec<Past> = facts.entries.iter().map(Past::of).collect();
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
    let mut conversion = match (&facts.conversion, facts.spoken_of()) {
        (_, Some(known)) => known.clone(),
        (None, None) => fresh(postback, facts.click.as_ref(), context),
        (Some(left), None) => taken_up(left, postback, fresh(postback, facts.click.as_ref(), context)),
    };
    conversion.status = standing.status;
    conversion.currency = standing.currency;
    conversion.amounts = standing.amounts;
    conversion.balance = Balance::under(conversion.status, conversion.amounts.value);
    // What was left is worth nothing in any currency: who takes the name up is priced on its own day, in the base of now.
    pricing::price(facts.spoken_of(), &mut conversion, &context.market());
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

/// A conversion that all its calls had left, and of which one speaks again: nothing is left of it but its name, its history
/// and the goals that were met under it.
fn taken_up(left: &Conversion, postback: &Postback, fresh: Conversion) -> Conversion {
    // Platforms know the name's own event id from the event of a call that is another conversion's now.
    let other = || {
        let key = format!("{}\n#again:{}", left.key.key, left.movements);
        derived_event_id(&DedupeKey { key, ..left.key.clone() }, None)
    };
    Conversion {
        id: left.id,
        key: left.key.clone(),
        movements: left.movements,
        goals_met: left.goals_met.clone(),
        event_id: postback.event_id.clone().or_else(|| left.goals_met.is_empty().then(other)),
        ..fresh
    }
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
