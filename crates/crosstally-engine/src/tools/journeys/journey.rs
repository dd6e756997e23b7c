//! One journey as it is told: what the trace has of one conversion, shortened, with the times between the steps. Secrets,
//! contact values, addresses of visitors and their cookies are left out or masked as in an evidence pack.
//!
//! What is kept of a run must go when its person is erased, and a run is found by the click ids in it: so ids that the partner
//! or the page gave are told only where there is a click. What a destination answered is told by its status alone: its text can
//! name people, and is kept no longer than raw calls are.

use crosstally_core::journeys::{Decision, Kind, Outcome, Picks, span_words};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::Receipt;
use crosstally_core::tools::shown;
use crosstally_core::verdict::Verdict;
use serde_json::{Map, Value, json};

use crate::evidence::hidden;
use crate::trace::{ConversionTrace, DeliveryTrace, Trace};

/// Rows of each list that are told.
const ROWS_MAX: usize = 20;
/// Deliveries that are told.
const SENT_MAX: usize = 10;

/// The journey; nothing if the trace is not of this conversion.
pub(super) fn told(kind: Kind, decision: &Decision, trace: &Trace, picks: &Picks) -> Option<Value> {
    let hops = trace.conversions.iter().find(|hops| hops.conversion.id == decision.conversion)?;
    let conversion = &hops.conversion;
    let id = conversion.id.to_string();
    let has_click = trace.click.is_some();
    let told = json!({
        "kind": kind.word(), "became": decision.outcome.word(), "why_this_one": why_this_one(kind, decision, picks),
        "conversion": id, "transaction_id": conversion.transaction_id.as_ref().filter(|_| has_click),
        "event": conversion.event, "campaign": conversion.campaign, "source": conversion.source,
        "status_now": conversion.status.as_str(), "labels": conversion.labels,
        "times": times(decision, trace),
        "click": click(trace), "steps": steps(trace), "told_by_browser": told_by_browser(trace),
        "calls": trace.receipts.iter().take(ROWS_MAX).map(|receipt| call(receipt, decision)).collect::<Vec<_>>(),
        "movements": hops.entries.iter().take(ROWS_MAX).map(movement).collect::<Vec<_>>(),
        "sent": hops.deliveries.iter().take(SENT_MAX).map(|hop| sent(hop, hops, has_click)).collect::<Vec<_>>(),
        "left_out": left_out(trace, hops),
        "open": { "trace": format!("crosstally trace {id}"), "evidence": format!("crosstally evidence {id}") },
    });
    Some(hidden(told))
}

fn why_this_one(kind: Kind, decision: &Decision, picks: &Picks) -> String {
    let waited = span_words(decision.wait_ms());
    let is_first = picks.candidates(kind).first() == Some(decision);
    let middle = if is_first { "in the middle" } else { "nearest to the middle that can be told" };
    let count = picks.count(decision.outcome);
    match (kind, decision.outcome) {
        (Kind::LateApproval, _) => {
            let (usual, from) =
                (span_words(picks.usual_ms.unwrap_or(0)), span_words(picks.late_from_ms().unwrap_or(0)));
            let longest = if is_first { "the longest" } else { "the longest that can be told" };
            format!(
                "{longest} of {count} approvals: {waited}, usual are {usual}, and late is {from} or longer"
            )
        }
        (Kind::Rejected, Outcome::Reversed) => {
            format!("no rejection was found; of {count} reversals the one {middle}: it took {waited}")
        }
        (_, outcome) => {
            let what = if outcome == Outcome::Approved { "approvals" } else { "rejections" };
            format!("of {count} {what} the one {middle}: it took {waited}")
        }
    }
}

fn times(decision: &Decision, trace: &Trace) -> Value {
    let (first, decided) = (decision.first.time(), decision.receipt.time());
    let clicked = trace.click.as_ref().map(|click| click.at);
    json!({
        "clicked_at": clicked.map(|at| at.to_string()), "first_call_at": first.to_string(),
        "decided_at": decided.to_string(), "at_once": decision.first == decision.receipt,
        "click_to_first_call_ms": clicked.map(|at| first.millis_since(at)),
        "first_call_to_decision_ms": decision.wait_ms(),
    })
}

fn click(trace: &Trace) -> Value {
    let Some(click) = &trace.click else { return Value::Null };
    let way = click.way.as_ref();
    json!({
        "id": click.id.to_string(), "at": click.at.to_string(), "campaign": click.campaign, "source": click.source,
        "cost_minor": click.cost.map(|cost| cost.minor), "cost_currency": click.cost.map(|cost| cost.currency.code()),
        "path": way.map(|way| &way.path), "lander": way.map(|way| &way.lander), "offer": way.map(|way| &way.offer),
        "sent_to": shown::text(&click.target), "labels": click.labels,
    })
}

fn steps(trace: &Trace) -> Vec<Value> {
    let steps = trace.steps.iter().take(ROWS_MAX);
    steps
        .map(|step| json!({ "at": step.at.to_string(), "offer": step.offer, "instead_of": step.instead_of }))
        .collect()
}

fn told_by_browser(trace: &Trace) -> Vec<Value> {
    let events = trace.browser_events.iter().take(ROWS_MAX);
    events
        .map(|event| {
            json!({ "at": event.at.to_string(), "event_name": event.name, "event_id": event.event_id })
        })
        .collect()
}

fn call(receipt: &Receipt, decision: &Decision) -> Value {
    let moved = matches!(receipt.verdict, Verdict::Recorded | Verdict::Updated);
    let mut told = Map::new();
    for name in ["status_word", "status", "payout", "revenue", "currency"] {
        told.extend(receipt.read.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    let code = receipt.reason.map(|reason| reason.code());
    let head = json!({
        "receipt": receipt.id.to_string(), "at": receipt.received_at.to_string(), "method": receipt.method,
        "verdict": receipt.verdict.as_str(), "code": code, "movement": receipt.sequence.filter(|_| moved),
        "is_the_deciding_one": receipt.id == decision.receipt,
    });
    if let Value::Object(head) = head {
        told.extend(head);
    }
    Value::Object(told)
}

fn movement(entry: &LedgerEntry) -> Value {
    json!({
        "number": entry.sequence, "receipt": entry.receipt.to_string(), "at": entry.recorded_at.to_string(),
        "why": entry.kind.as_str(), "status_word": entry.status_word, "status": entry.status.as_str(),
        "currency": entry.currency.code(), "payout_minor": entry.amounts.payout, "revenue_minor": entry.amounts.revenue,
        "confirmed_change_minor": entry.confirmed_delta, "pending_change_minor": entry.pending_delta,
    })
}

fn sent(hop: &DeliveryTrace, hops: &ConversionTrace, has_click: bool) -> Value {
    let delivery = &hop.delivery;
    let event = hops.events.iter().find(|event| event.id == delivery.goal_event);
    let last = hop.attempts.last();
    json!({
        "delivery": delivery.id.to_string(), "destination": delivery.destination, "goal": event.map(|event| &event.goal),
        "event_name": delivery.event_name, "event_id": Some(&delivery.event_id).filter(|_| has_click),
        "worth": event.and_then(|event| event.event.value.as_ref()),
        "currency": event.and_then(|event| event.event.currency.as_ref()),
        "booked_at": delivery.created_at.to_string(), "stands": delivery.state.as_str(),
        "code": delivery.reason.map(|reason| reason.code()), "held": hop.held.as_ref().map(|(reason, _)| reason.code()),
        "consent": hop.consent, "attempts": hop.attempts.len(),
        "sent_at": last.map(|attempt| attempt.started_at.to_string()),
        "answered_at": last.and_then(|attempt| attempt.finished_at).map(|at| at.to_string()),
        "status": last.and_then(|attempt| attempt.status), "outcome": last.and_then(|attempt| attempt.outcome.as_ref()),
    })
}

/// How many rows of which list are not told.
fn left_out(trace: &Trace, hops: &ConversionTrace) -> Value {
    let mut left = Map::new();
    for (name, rows, most) in [
        ("steps", trace.steps.len(), ROWS_MAX),
        ("told_by_browser", trace.browser_events.len(), ROWS_MAX),
        ("calls", trace.receipts.len(), ROWS_MAX),
        ("movements", hops.entries.len(), ROWS_MAX),
        ("sent", hops.deliveries.len(), SENT_MAX),
    ] {
        let more = rows.saturating_sub(most);
        left.extend((more > 0).then(|| (name.to_owned(), Value::from(more))));
    }
    Value::Object(left)
}
