//! Reading a receipt again: after a repair, under a new contract, or because what it waited for has appeared.
//!
//! A conversion is what its calls say, one after the other. A receipt that is read again takes its place in that order,
//! so that an approval which is repaired today does not undo the refund that came after it. The ledger is never
//! rewritten: one movement takes the conversion from where it stands to where it should stand.

use serde_json::{Map, Value};
use std::sync::Arc;

use super::book::{self, Context};
use super::movement::{self, Past, Said, Standing, Step};
use super::{
    Booking, ConversionChange, Facts, IMPORTED, Inbound, Postback, Receipt, SERVER_EVENT, body, parse, redact,
};
use crate::click::Click;
use crate::config::Partner;
use crate::contract::Encoding;
use crate::conversion::Conversion;
use crate::fraud::Seen;
use crate::ids::ReceiptId;
use crate::ledger::{Amounts, Balance, ContentHash, EntryKind, LedgerEntry, Status};
use crate::money::Currency;
use crate::params::Params;
use crate::reason::Reason;
use crate::verdict::{Stop, Verdict};

/// A conversion and the receipts that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// The conversion.
    pub conversion: Conversion,
    /// Its movements.
    pub entries: Vec<LedgerEntry>,
    /// The receipts that belong to it, in the order in which they came.
    pub receipts: Vec<Receipt>,
    /// The click that it is attributed to.
    pub attributed: Option<Click>,
}

/// Everything that reading a receipt again changes; recorded in one transaction or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The receipt as it stands afterwards, with the booking of its own conversion.
    pub booking: Booking,
    /// The conversion that it no longer belongs to, moved on without it.
    pub taken_out: Option<(Conversion, LedgerEntry)>,
    /// Whether anything changes.
    pub changed: bool,
}

/// What is known when a receipt is read again.
pub struct Case<'a> {
    /// The receipt as it stands.
    pub receipt: &'a Receipt,
    /// What it says now.
    pub reading: Result<&'a Postback, &'a Stop>,
    /// The conversion that it belongs to, if it is booked.
    pub old: Option<&'a Around>,
    /// The conversion under the name that it bears now, if there is one.
    pub new: Option<&'a Around>,
    /// The click that it names now.
    pub click: Option<&'a Click>,
    /// Where its contact and its click's address were seen.
    pub seen: &'a [Seen],
}

/// Decides what follows from reading a receipt again.
#[must_use]
pub fn replay(case: &Case<'_>, context: &mut Context<'_>) -> Replayed {
    let moved_away = match (case.old, case.new) {
        (Some(old), Some(new)) => old.conversion.id != new.conversion.id,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let booking = match case.reading {
        Ok(postback) => booked(case, postback, context),
        Err(stop) => {
            let receipt = blank(case.receipt);
            book::stopped(receipt, stop.verdict, stop.reason, stop.detail.clone())
        }
    };
    let books = matches!(booking.receipt.verdict, Verdict::Recorded | Verdict::Updated | Verdict::Duplicate);
    let leaves = case.old.filter(|_| moved_away || !books);
    let taken_out = leaves.and_then(|old| without(old, case.receipt, context));
    let changed =
        booking.conversion.is_some() || taken_out.is_some() || differs(case.receipt, &booking.receipt);
    Replayed { booking, taken_out, changed }
}

fn differs(before: &Receipt, after: &Receipt) -> bool {
    (before.verdict, before.reason, &before.read, before.conversion, before.click)
        != (after.verdict, after.reason, &after.read, after.conversion, after.click)
}

/// The receipt without what was decided about it before.
fn blank(receipt: &Receipt) -> Receipt {
    Receipt {
        reason: None,
        detail: String::new(),
        conversion: None,
        sequence: None,
        labels: Vec::new(),
        goals: Vec::new(),
        ..receipt.clone()
    }
}

fn booked(case: &Case<'_>, postback: &Postback, context: &mut Context<'_>) -> Booking {
    let mut receipt = blank(case.receipt);
    receipt.read = Arc::new(book::read_summary(postback));
    receipt.click = case.click.map(|click| click.id).or(receipt.click);
    let facts = Facts {
        click: case.click.cloned(),
        conversion: case.new.map(|new| new.conversion.clone()),
        attributed: case.new.and_then(|new| new.attributed.clone()),
        entries: case.new.map(|new| new.entries.clone()).unwrap_or_default(),
        nonce_used_by: None,
        seen: case.seen.to_vec(),
    };
    if let Some((reason, detail)) = book::unmatched_click(postback, &facts) {
        return book::stopped(receipt, Verdict::Quarantined, reason, detail);
    }
    if let Some(stopped) = book::kept_out(postback, &facts, &receipt, context) {
        return stopped;
    }
    let members = case.new.map_or_else(Vec::new, |new| members(new, Some(case.receipt.id), context.partner));
    let own = (case.receipt.id, book::said(postback, case.receipt.received_at));
    let (standing, step) = fold(&members, Some(own), context);
    let Some(new) = case.new else {
        return match step {
            Some(Step::Moves(standing)) => {
                receipt.labels = still_true(case.receipt, &receipt);
                let met = case.old.map_or(&[][..], |old| &old.conversion.goals_met);
                let kind = kind_of(case.receipt);
                book::write_after(postback, &facts, standing, receipt, kind, met, context)
            }
            _ => book::stopped(receipt, Verdict::Quarantined, Reason::TransitionRefused, String::new()),
        };
    };
    receipt.conversion = Some(new.conversion.id);
    receipt.sequence = Some(new.conversion.movements);
    match step {
        Some(Step::Blocked(reason)) => book::stopped(receipt, Verdict::Quarantined, reason, String::new()),
        Some(Step::Same(reason)) if case.old.is_none() => {
            book::stopped(receipt, Verdict::Duplicate, reason, String::new())
        }
        _ => settle(case, postback, &facts, standing, receipt, context),
    }
}

/// The labels that were found when the receipt was booked, and that what it says now does not make wrong: they are about its
/// click, its contact and its moment, of which less is known later.
fn still_true(before: &Receipt, after: &Receipt) -> Vec<String> {
    let same_click = before.click == after.click;
    let same_status = before.read.get("status") == after.read.get("status");
    let stays = |label: &&String| match Reason::from_code(label) {
        Some(Reason::LateApproval) => same_status,
        Some(reason) => same_click && Reason::LABELS.contains(&reason),
        None => false,
    };
    before.labels.iter().filter(stays).cloned().collect()
}

/// Whatever a call that waited or was repaired does for the first time is an ordinary movement.
const fn kind_of(receipt: &Receipt) -> EntryKind {
    if matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated) {
        EntryKind::Replay
    } else {
        EntryKind::Call
    }
}

/// Takes a conversion that is there to where its calls now lead.
fn settle(
    case: &Case<'_>,
    postback: &Postback,
    facts: &Facts,
    standing: Option<Standing>,
    mut receipt: Receipt,
    context: &mut Context<'_>,
) -> Booking {
    let known = facts.conversion.as_ref();
    let present = known.map(book::standing_of);
    let target = standing.map(|standing| Standing {
        movements: present.map_or(0, |present| present.movements) + 1,
        ..standing
    });
    let was = case.receipt.verdict;
    let same = |target: &Standing, present: &Standing| {
        (target.status, target.currency, target.amounts)
            == (present.status, present.currency, present.amounts)
    };
    receipt.labels = still_true(case.receipt, &receipt);
    match (target, present) {
        (Some(target), Some(present)) if !same(&target, &present) => {
            let mut booking = book::write(postback, facts, target, receipt, EntryKind::Replay, context);
            if was == Verdict::Recorded {
                booking.receipt.verdict = Verdict::Recorded;
            }
            booking
        }
        _ => {
            // A duplicate that would have moved something in its place is one of the conversion's calls, even if later ones
            // have overtaken it: what they come to without it is another thing.
            receipt.verdict = if was == Verdict::Recorded { was } else { Verdict::Updated };
            if was == receipt.verdict {
                receipt.reason = case.receipt.reason;
                receipt.detail.clone_from(&case.receipt.detail);
                receipt.goals.clone_from(&case.receipt.goals);
                receipt.labels.clone_from(&case.receipt.labels);
            } else {
                receipt.reason = Some(Reason::ReadAgain);
            }
            receipt.sequence = case.receipt.sequence.or(receipt.sequence);
            Booking::receipt_only(receipt)
        }
    }
}

/// The movement that takes a receipt out of a conversion.
fn without(old: &Around, receipt: &Receipt, context: &Context<'_>) -> Option<(Conversion, LedgerEntry)> {
    let members = members(old, Some(receipt.id), context.partner);
    let (standing, _) = fold(&members, None, context);
    let known = &old.conversion;
    // A conversion that no call speaks of any more has earned nothing.
    let (status, currency, amounts) = standing
        .map_or((Status::Rejected, known.currency, known.amounts), |standing| {
            (standing.status, standing.currency, standing.amounts)
        });
    if (status, currency, amounts) == (known.status, known.currency, known.amounts) {
        return None;
    }
    let mut conversion = known.clone();
    (conversion.status, conversion.currency, conversion.amounts) = (status, currency, amounts);
    conversion.balance = Balance::under(status, amounts.value);
    crate::pricing::price(Some(known), &mut conversion, &context.market());
    conversion.movements += 1;
    conversion.updated_at = context.now;
    conversion.labels = labels_without(old, receipt.id);
    let entry = book::correction(known, &conversion, receipt, context.now);
    Some((conversion, entry))
}

/// The labels of a conversion's other receipts, each once.
fn labels_without(around: &Around, but: ReceiptId) -> Vec<String> {
    let mut labels = Vec::new();
    let others = around.receipts.iter().filter(|receipt| receipt.id != but);
    for label in others.flat_map(|receipt| &receipt.labels) {
        if Reason::LABELS.iter().any(|known| known.code() == label) {
            book::labels::add(&mut labels, label);
        }
    }
    labels
}

/// The receipts of a conversion and what they say, in the order in which they came, without one of them.
fn members(around: &Around, but: Option<ReceiptId>, partner: &Partner) -> Vec<(ReceiptId, Said)> {
    around
        .receipts
        .iter()
        .filter(|receipt| Some(receipt.id) != but)
        .filter(|receipt| matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated))
        .filter_map(|receipt| {
            let said = said_of(receipt, partner)?;
            // What a server event said is told by the event as it came, and its receipt keeps it masked.
            let own = around.entries.iter().find(|entry| entry.receipt == receipt.id);
            let content =
                own.filter(|_| receipt.method == SERVER_EVENT).map_or(said.content, |own| own.content);
            Some((receipt.id, Said { content, ..said }))
        })
        .collect()
}

/// Where calls lead one after the other, and what the one of them does that is looked at.
fn fold(
    members: &[(ReceiptId, Said)],
    own: Option<(ReceiptId, Said)>,
    context: &Context<'_>,
) -> (Option<Standing>, Option<Step>) {
    let contract = &context.partner.contract;
    let mut calls: Vec<(ReceiptId, Said)> = members.iter().copied().chain(own).collect();
    calls.sort_by_key(|(id, said)| (said.at, *id));
    let (mut standing, mut own_step) = (None, None);
    let mut past: Vec<Past> = Vec::new();
    let mode = context.mode;
    for (id, said) in calls {
        let said = Said {
            amounts: Amounts {
                value: contract.value().of(said.amounts.payout, said.amounts.revenue),
                ..said.amounts
            },
            ..said
        };
        let step = movement::step(&said, standing.as_ref(), &past, mode, contract);
        if own.is_some_and(|(own, _)| own == id) {
            own_step = Some(step);
        }
        if let Step::Moves(next) = step {
            past.push(Past {
                status: next.status,
                amounts: next.amounts,
                at: said.at,
                content: said.content,
            });
            standing = Some(next);
        }
    }
    (standing, own_step)
}

/// What a booked receipt said, from what was read out of it.
#[must_use]
pub fn said_of(receipt: &Receipt, partner: &Partner) -> Option<Said> {
    let text = |name: &str| receipt.read.get(name).and_then(Value::as_str);
    let currency: Currency = text("currency")?.parse().ok()?;
    let minor = |name: &str| text(name).and_then(|text| currency.parse_minor(text).ok());
    Some(Said {
        status: Status::from_word(text("status")?)?,
        currency,
        // What states no amount follows whatever the conversion's currency is.
        currency_stated: text("payout").or(text("revenue")).is_some(),
        amounts: Amounts { payout: minor("payout"), revenue: minor("revenue"), value: minor("value") },
        at: receipt.received_at,
        content: content_of(receipt, partner),
    })
}

/// The digest of a kept call, as reading it again would have it.
fn content_of(receipt: &Receipt, partner: &Partner) -> ContentHash {
    let headers = parse::from_headers(&receipt.headers, &partner.contract);
    let params = kept_params(&mut kept(receipt), partner);
    params.map_or(ContentHash::default(), |params| movement::content(&params, &headers, Some(partner)))
}

/// The call that a receipt keeps.
#[must_use]
pub fn kept(receipt: &Receipt) -> Inbound {
    Inbound {
        method: receipt.method.clone(),
        partner: receipt.partner.clone(),
        query: receipt.query.clone(),
        body: receipt.body.clone(),
        content_type: receipt.content_type.clone(),
        headers: receipt.headers.clone(),
        user_agent: receipt.user_agent.clone(),
        ..Inbound::default()
    }
}

/// The parameters of a kept call: each row of a list has a receipt of its own.
///
/// # Errors
/// As when it came.
pub fn kept_params(inbound: &mut Inbound, partner: &Partner) -> Result<Params, Stop> {
    if !partner.reads_query() {
        inbound.query.clear();
    }
    // What had no encoding of its own was kept in ours, whatever the contract says about the sender's.
    let in_ours = inbound.method == IMPORTED || inbound.content_type.ends_with(redact::FROM_PARTS);
    let encoding = if in_ours { Encoding::Once } else { partner.contract.encoding() };
    let mut rows = body::rows(inbound, encoding)?;
    match rows.pop() {
        Some(row) if rows.is_empty() => row.params,
        // A list inside a list was not read when it came either.
        _ => Err(Stop::refused(Reason::BodyUnreadable, "a row is one object")),
    }
}

/// A repair: what a receipt is to say in place of what it says.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Repair {
    /// Our fields, and the values they are to have. An empty value takes the field away.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// Whether a swallowed call was real: it becomes a conversion of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub real: bool,
}

impl Repair {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This repair after an earlier one.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        for (field, value) in &earlier.set {
            if !self.set.contains_key(field) {
                self.set.insert(field.clone(), value.clone());
            }
        }
        self.real |= earlier.real;
        self
    }
}

impl Replayed {
    /// By how much the confirmed and the open value change, in minor units, with their currency.
    #[must_use]
    pub fn money(&self) -> Vec<(Currency, i64, i64)> {
        let own = self.booking.entry.iter();
        let out = self.taken_out.iter().map(|(_, entry)| entry);
        own.chain(out).map(|entry| (entry.currency, entry.confirmed_delta, entry.pending_delta)).collect()
    }

    /// The conversion after the receipt's own movement.
    #[must_use]
    pub fn conversion(&self) -> Option<&Conversion> {
        self.booking.conversion.as_ref().map(ConversionChange::conversion)
    }
}
