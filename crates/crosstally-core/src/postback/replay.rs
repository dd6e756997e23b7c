//! Reading a receipt again: after a repair, under a new contract, or because what it waited for has appeared.
//!
//! A conversion is what its calls say, one after the other. A receipt that is read again takes its place in that order,
//! so that an approval which is repaired today does not undo the refund that came after it. Calls that were judged when
//! they came keep the order in which they were booked. The ledger is never rewritten: one movement takes the conversion from
//! where it stands to where it should stand.

use serde_json::Value;
use std::sync::Arc;

use super::book::{self, Context};
use super::movement::{self, Past, Placed, Said, Standing, Step};
use super::{
    Awaited, Booking, ConversionChange, Facts, IMPORTED, Inbound, Postback, Receipt, SERVER_EVENT, body,
    parse, redact,
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
use crate::time::Timestamp;
use crate::verdict::{Stop, Verdict};

mod repair;

pub use repair::{Repair, kept_in_place};

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
    /// Refunds whose sale has left with the receipt, with what they wait for now. They are read again when it is there.
    pub bereft: Vec<Receipt>,
    /// Whether anything changes.
    pub changed: bool,
    /// By how much the confirmed and the open value change, in minor units, a sum for each currency in which they do.
    pub money: Vec<(Currency, i64, i64)>,
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
    let goes_along = case.old.is_some_and(|old| takes_along(old, &booking));
    let taken_out = leaves.and_then(|old| without(old, case.receipt, goes_along, context));
    let bereft = leaves.map_or_else(Vec::new, |old| bereft(old, case.receipt, context));
    let changes = [
        booking.conversion.as_ref().map(|after| (case.new, after.conversion())),
        taken_out.as_ref().map(|(after, _)| (case.old, after)),
    ];
    let money = money(changes.into_iter().flatten());
    let changed = booking.conversion.is_some()
        || taken_out.is_some()
        || differs(case.receipt, &booking.receipt, context.now);
    Replayed { booking, taken_out, bereft, changed, money }
}

/// By how much conversions change: each leaves its currency with its whole balance and enters the one that it has after.
fn money<'a>(
    changes: impl Iterator<Item = (Option<&'a Around>, &'a Conversion)>,
) -> Vec<(Currency, i64, i64)> {
    let mut sums: Vec<(Currency, i64, i64)> = Vec::new();
    let mut add = |currency: Currency, confirmed: i64, pending: i64| match sums
        .iter_mut()
        .find(|(known, ..)| *known == currency)
    {
        Some(sum) => {
            sum.1 = sum.1.saturating_add(confirmed);
            sum.2 = sum.2.saturating_add(pending);
        }
        None => sums.push((currency, confirmed, pending)),
    };
    for (before, after) in changes {
        add(after.currency, after.balance.confirmed, after.balance.pending);
        if let Some(before) = before.map(|around| &around.conversion) {
            add(before.currency, -before.balance.confirmed, -before.balance.pending);
        }
    }
    // Where nothing changes but the status, one currency is enough to say so.
    let changes = |sum: &(Currency, i64, i64)| (sum.1, sum.2) != (0, 0);
    let shown = sums.iter().position(changes).unwrap_or(0);
    let mut at = 0..;
    sums.retain(|sum| at.next() == Some(shown) || changes(sum));
    sums
}

/// Whether a receipt takes the goals that its old conversion has met along to the one that it begins now.
fn takes_along(old: &Around, booking: &Booking) -> bool {
    let after = booking.conversion.as_ref().map(ConversionChange::conversion);
    after.is_some_and(|after| {
        booking.receipt.verdict == Verdict::Recorded
            && after.id != old.conversion.id
            && old.conversion.goals_met.iter().all(|met| after.goals_met.contains(met))
    })
}

fn differs(before: &Receipt, after: &Receipt, now: Timestamp) -> bool {
    // One that has waited too long waits no more, and reading it again does not begin that anew.
    let waits_on = before.awaits.is_some() || now.millis_since(before.received_at) <= Awaited::MS_MAX;
    if waits_on && before.awaits != after.awaits {
        return true;
    }
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
    if let Some((reason, detail)) = book::unmatched_click(postback, case.click) {
        return book::stopped(receipt, Verdict::Quarantined, reason, detail);
    }
    if let Some(stopped) = book::kept_out(postback, &facts, &receipt, context) {
        return stopped;
    }
    let mut calls = case.new.map_or_else(Vec::new, |new| members(new, Some(case.receipt.id), context));
    calls.push(Placed {
        receipt: case.receipt.id,
        said: book::said(postback, case.receipt.received_at),
        mode: context.mode,
        live: case.new.and_then(|new| judged_live(case.receipt, new)),
        booked: case.new.and_then(|new| booked_later(case.receipt, new)),
    });
    movement::put_in_order(&mut calls);
    let left = case.new.map_or_else(Vec::new, |new| left(new, &calls));
    let (standing, steps) = movement::fold(&calls, left, &context.partner.contract);
    let step = calls.iter().position(|call| call.receipt == case.receipt.id).and_then(|at| steps.get(at));
    let Some(new) = case.new else {
        return match step {
            Some(Step::Moves(standing)) => {
                receipt.labels = still_true(case.receipt, &receipt);
                let met = case.old.map_or(&[][..], |old| &old.conversion.goals_met);
                let kind = kind_of(case.receipt);
                book::write_after(postback, &facts, *standing, receipt, kind, met, context)
            }
            Some(Step::Blocked(reason)) => book::blocked(receipt, *reason, String::new(), context),
            _ => book::stopped(receipt, Verdict::Quarantined, Reason::TransitionRefused, String::new()),
        };
    };
    receipt.conversion = Some(new.conversion.id);
    receipt.sequence = Some(new.conversion.movements);
    match step {
        Some(Step::Blocked(reason)) => {
            // What it was told when it came, it is told again.
            receipt.sequence = case.receipt.sequence.or(receipt.sequence);
            book::blocked(receipt, *reason, String::new(), context)
        }
        Some(Step::Same(reason)) if case.old.is_none() => {
            receipt.sequence = case.receipt.sequence.or(receipt.sequence);
            book::stopped(receipt, Verdict::Duplicate, *reason, String::new())
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
    let present = facts.spoken_of().map(book::standing_of);
    let movements = known.map_or(0, |known| known.movements) + 1;
    let target = standing.map(|standing| Standing { movements, ..standing });
    let was = case.receipt.verdict;
    let same = |target: &Standing, present: &Standing| {
        (target.status, target.currency, target.amounts)
            == (present.status, present.currency, present.amounts)
    };
    receipt.labels = still_true(case.receipt, &receipt);
    let makes_known = facts.spoken_of().is_some_and(|known| makes_known(postback, known));
    match (target, present) {
        (Some(target), present) if makes_known || present.is_none_or(|present| !same(&target, &present)) => {
            let met = case.old.map_or(&[][..], |old| &old.conversion.goals_met);
            let kind = EntryKind::Replay;
            let mut booking = book::write_after(postback, facts, target, receipt, kind, met, context);
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

/// Whether a call that is repaired names what its conversion did not know: an unknown id becomes known, a known one stays.
const fn makes_known(postback: &Postback, known: &Conversion) -> bool {
    known.event_id.is_none() && postback.event_id.is_some()
        || known.external_id.is_none() && postback.external_id.is_some()
}

/// The movement that takes a receipt out of a conversion.
fn without(
    old: &Around,
    receipt: &Receipt,
    goes_along: bool,
    context: &Context<'_>,
) -> Option<(Conversion, LedgerEntry)> {
    let (_, standing, _) = others(old, receipt, context);
    let known = &old.conversion;
    // A conversion that no call speaks of any more has earned nothing, and the next call begins it anew.
    let kind = if standing.is_none() { EntryKind::Left } else { EntryKind::Replay };
    let (status, currency, amounts) = standing
        .map_or((Status::Rejected, known.currency, known.amounts), |standing| {
            (standing.status, standing.currency, standing.amounts)
        });
    let same = (status, currency, amounts) == (known.status, known.currency, known.amounts);
    if same && kind == EntryKind::Replay {
        return None;
    }
    let mut conversion = known.clone();
    if kind == EntryKind::Left && goes_along {
        conversion.goals_met.clear();
    }
    (conversion.status, conversion.currency, conversion.amounts) = (status, currency, amounts);
    conversion.balance = Balance::under(status, amounts.value);
    crate::pricing::price(Some(known), &mut conversion, &context.market());
    conversion.movements += 1;
    conversion.updated_at = context.now;
    conversion.labels = labels_without(old, receipt.id);
    let entry = book::correction(known, &conversion, receipt, context.now, kind);
    Some((conversion, entry))
}

/// The other calls of a conversion, and where they lead without one of its receipts.
fn others(
    old: &Around,
    receipt: &Receipt,
    context: &Context<'_>,
) -> (Vec<Placed>, Option<Standing>, Vec<Step>) {
    let mut members = members(old, Some(receipt.id), context);
    movement::put_in_order(&mut members);
    let (standing, steps) = movement::fold(&members, Vec::new(), &context.partner.contract);
    (members, standing, steps)
}

/// The refunds that stay behind when the last sale of a conversion leaves it.
fn bereft(old: &Around, receipt: &Receipt, context: &Context<'_>) -> Vec<Receipt> {
    let (members, standing, steps) = others(old, receipt, context);
    let waits = |one: &Receipt| {
        let at = members.iter().position(|member| member.receipt == one.id);
        at.and_then(|at| steps.get(at)) == Some(&Step::Blocked(Reason::SaleUnknown))
    };
    let awaits = Some(Awaited::Sale(old.conversion.key.clone()));
    let waiting = old.receipts.iter().filter(|one| standing.is_none() && waits(one));
    waiting.map(|one| Receipt { awaits: awaits.clone(), ..one.clone() }).collect()
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

/// The receipts of a conversion and what they say, without one of them.
fn members(around: &Around, but: Option<ReceiptId>, context: &Context<'_>) -> Vec<Placed> {
    around
        .receipts
        .iter()
        .filter(|receipt| Some(receipt.id) != but)
        .filter(|receipt| matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated))
        .filter_map(|receipt| {
            let said = said_of(receipt, context.partner)?;
            // What a server event said is told by the event as it came, and its receipt keeps it masked. A refund that was
            // swallowed and real is no repeat of what it repeats.
            let real = movement::once_more(said.content, receipt.id);
            let is_own = |content| receipt.method == SERVER_EVENT || content == real;
            let mut own = around.entries.iter().filter(|entry| entry.receipt == receipt.id);
            let content = own.find(|own| is_own(own.content)).map_or(said.content, |own| own.content);
            let said = Said { content, ..said };
            let (live, booked) = (judged_live(receipt, around), booked_later(receipt, around));
            Some(Placed { receipt: receipt.id, said, mode: context.mode, live, booked })
        })
        .collect()
}

/// The movements of calls that are not among these any more.
fn left(around: &Around, calls: &[Placed]) -> Vec<Past> {
    let gone = |entry: &&LedgerEntry| calls.iter().all(|call| call.receipt != entry.receipt);
    around.entries.iter().filter(gone).map(Past::of).collect()
}

/// After how many movements of its conversion a receipt was judged when it came, and whether it was none itself. `None` if
/// it was not judged then, or about another conversion: its place is that of the time at which it came.
fn judged_live(receipt: &Receipt, around: &Around) -> Option<(u32, bool)> {
    let own = around.entries.iter().find(|entry| {
        let at_once = entry.recorded_at == receipt.received_at;
        entry.receipt == receipt.id && entry.kind == EntryKind::Call && at_once
    });
    if let Some(own) = own {
        return Some((own.sequence, false));
    }
    let untouched = receipt.revision == 0 && receipt.conversion == Some(around.conversion.id);
    receipt.sequence.filter(|_| untouched).map(|sequence| (sequence, true))
}

/// The place at which a call of the conversion was booked that had waited: that of its first movement, or of none.
fn booked_later(receipt: &Receipt, around: &Around) -> Option<(u32, bool)> {
    let is_booked = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
    if !is_booked || receipt.conversion != Some(around.conversion.id) {
        return None;
    }
    let first = |entry: &&LedgerEntry| entry.receipt == receipt.id && entry.kind == EntryKind::Call;
    match around.entries.iter().find(first) {
        Some(own) => (own.recorded_at != receipt.received_at).then_some((own.sequence, false)),
        None => receipt.sequence.map(|sequence| (sequence, true)),
    }
}

/// What a booked receipt said, from what was read out of it.
#[must_use]
pub fn said_of(receipt: &Receipt, partner: &Partner) -> Option<Said> {
    let text = |name: &str| receipt.read.get(name).and_then(Value::as_str);
    let currency: Currency = text("currency")?.parse().ok()?;
    let minor = |name: &str| text(name).and_then(|text| currency.parse_minor(text).ok());
    let (content, once) = content_of(receipt, partner);
    let amounts = Amounts { payout: minor("payout"), revenue: minor("revenue"), value: minor("value") };
    Some(Said {
        status: Status::from_word(text("status")?)?,
        currency,
        // What states no amount, or nothing, follows whatever the conversion's currency is.
        currency_stated: amounts.is_priced(),
        amounts,
        at: receipt.received_at,
        content,
        once,
    })
}

/// The digest of a kept call, as reading it again would have it, and whether it is a row of a file.
fn content_of(receipt: &Receipt, partner: &Partner) -> (ContentHash, bool) {
    let headers = parse::from_headers(&receipt.headers, &partner.contract);
    let Ok(params) = kept_params(&mut kept(receipt), partner) else { return Default::default() };
    let once = params.iter().any(|param| param.name == movement::IMPORT_ROW);
    (movement::content(&params, &headers, Some(partner)), once)
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

impl Replayed {
    /// The conversion after the receipt's own movement.
    #[must_use]
    pub fn conversion(&self) -> Option<&Conversion> {
        self.booking.conversion.as_ref().map(ConversionChange::conversion)
    }
}
