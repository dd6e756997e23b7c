//! What a pack tells: the trace, part by part, without secrets, contact values, addresses of visitors and their cookies.

use std::collections::BTreeSet;

use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::postback::redact::{self, Keep};
use crosstally_core::postback::{Inbound, Receipt};
use crosstally_core::route::GoalEvent;
use crosstally_core::time::Timestamp;
use crosstally_core::tools::shown;
use crosstally_store::AttemptRecord;
use serde_json::{Value, json};

use super::hidden::hidden;
use super::pack::Record;
use super::verify::fingerprint;
use crate::browser::BROWSERS;
use crate::trace::{ConversionTrace, DeliveryTrace, Trace};

/// What was left out, in words.
const LEFT_OUT: &str = "secrets and tokens; e-mail addresses, telephone numbers, names and other contact values, also as hashes; \
    addresses and cookies of visitors. They stand as *** or not at all.";

fn record(kind: &'static str, body: Value) -> Record {
    Record { kind, body: hidden(body) }
}

/// The first record: what the pack is.
pub(super) fn head(asked: &Value, key: &str, now: Timestamp) -> Record {
    let body = json!({
        "made_at": now.to_string(), "asked": shown::masked(asked), "made_by": format!("crosstally {}", env!("CARGO_PKG_VERSION")),
        "key": key, "fingerprint": fingerprint(key), "left_out": LEFT_OUT,
    });
    record("pack", body)
}

/// All of a trace, in the order in which it happened as far as the parts have one.
///
/// Each click is told once, however many sales it has: `clicks` are those that were told.
pub(super) fn of_trace(trace: &Trace, clicks: &mut BTreeSet<ClickId>, all: &mut Vec<Record>) {
    if let Some(found) = trace.click.as_ref().filter(|found| clicks.insert(found.id)) {
        all.push(click(found));
    }
    all.extend(trace.receipts.iter().map(receipt));
    for hops in &trace.conversions {
        of_conversion(hops, all);
    }
}

fn of_conversion(hops: &ConversionTrace, all: &mut Vec<Record>) {
    let conversion = &hops.conversion;
    let amount = |minor: i64| conversion.currency.format_minor(minor);
    let body = json!({
        "id": conversion.id.to_string(), "partner": conversion.key.partner, "transaction_id": conversion.transaction_id,
        "click": conversion.click.map(|id| id.to_string()), "campaign": conversion.campaign, "source": conversion.source,
        "status_now": conversion.status.as_str(), "currency": conversion.currency.code(),
        "confirmed": amount(conversion.balance.confirmed), "pending": amount(conversion.balance.pending),
        "movements": conversion.movements, "happened_at": conversion.event_time.to_string(),
        "booked_at": conversion.created_at.to_string(), "labels": conversion.labels,
    });
    all.push(record("conversion", body));
    all.extend(hops.entries.iter().map(movement));
    all.extend(hops.events.iter().map(event));
    for delivery in &hops.deliveries {
        of_delivery(delivery, all);
    }
}

fn click(click: &Click) -> Record {
    let query = redact::pairs(click.query.as_bytes(), Keep::default());
    let ids: serde_json::Map<String, Value> =
        click.ad_click_ids.iter().map(|(name, id)| (name.to_owned(), Value::from(id))).collect();
    let body = json!({
        "id": click.id.to_string(), "at": click.at.to_string(), "campaign": click.campaign, "source": click.source,
        "query": String::from_utf8_lossy(&query), "sent_to": shown::text(&click.target), "ad_click_ids": ids,
        "came_from": shown::text(&click.referrer), "user_agent": click.user_agent,
        "cost": click.cost.map(|cost| cost.to_string()), "gpc": click.gpc, "test": click.test, "labels": click.labels,
    });
    record("click", body)
}

fn receipt(receipt: &Receipt) -> Record {
    let query = redact::pairs(&receipt.query, Keep::default());
    let inbound = Inbound {
        method: receipt.method.clone(),
        body: receipt.body.clone(),
        content_type: receipt.content_type.clone(),
        ..Inbound::default()
    };
    let kept = redact::body(&inbound, Keep::default());
    // A browser calls from its visitor's address, a partner from its server's.
    let sent_by = Some(&receipt.peer).filter(|_| receipt.partner != BROWSERS);
    let body = json!({
        "id": receipt.id.to_string(), "received_at": receipt.received_at.to_string(), "partner": receipt.partner,
        "method": receipt.method, "query": String::from_utf8_lossy(&query), "body": String::from_utf8_lossy(&kept.body),
        "content_type": receipt.content_type, "sent_by": sent_by, "sender": receipt.user_agent,
        "result": receipt.verdict.as_str(), "code": receipt.reason.map(|reason| reason.code()),
        "meaning": receipt.reason.map(|reason| reason.about().sentence), "detail": shown::text(&receipt.detail),
        "conversion": receipt.conversion.map(|id| id.to_string()), "movement": receipt.sequence,
        "click": receipt.click.map(|id| id.to_string()), "read_as": shown::masked(&Value::Object((*receipt.read).clone())),
        "labels": receipt.labels, "read_again": receipt.revision,
    });
    record("call", body)
}

fn movement(entry: &LedgerEntry) -> Record {
    let amount = |minor: i64| entry.currency.format_minor(minor);
    let body = json!({
        "conversion": entry.conversion.to_string(), "number": entry.sequence, "call": entry.receipt.to_string(),
        "why": entry.kind.as_str(), "status_now": entry.status.as_str(), "their_word": entry.status_word,
        "currency": entry.currency.code(), "payout_minor": entry.amounts.payout, "revenue_minor": entry.amounts.revenue,
        "confirmed_change": amount(entry.confirmed_delta), "pending_change": amount(entry.pending_delta),
        "happened_at": entry.event_time.to_string(), "booked_at": entry.recorded_at.to_string(),
    });
    record("movement", body)
}

fn event(event: &GoalEvent) -> Record {
    let sent = &event.event;
    let body = json!({
        "id": event.id.to_string(), "goal": event.goal, "movement": event.sequence, "made_at": event.created_at.to_string(),
        "event_name": sent.event_name, "event_id": sent.event_id, "happened_at": sent.event_time.to_string(),
        "worth": sent.value, "currency": sent.currency,
        "page": sent.event_source_url.as_deref().map(shown::text),
    });
    record("event", body)
}

fn of_delivery(hop: &DeliveryTrace, all: &mut Vec<Record>) {
    let delivery = &hop.delivery;
    let body = json!({
        "id": delivery.id.to_string(), "destination": delivery.destination, "event_name": delivery.event_name,
        "event_id": delivery.event_id, "stands": delivery.state.as_str(),
        "code": delivery.reason.map(|reason| reason.code()), "detail": shown::text(&delivery.detail),
        "booked_at": delivery.created_at.to_string(), "ended_at": delivery.finished_at.map(|at| at.to_string()),
    });
    all.push(record("delivery", body));
    all.extend(hop.attempts.iter().map(|attempt| sent(&delivery.id.to_string(), attempt)));
}

fn sent(delivery: &str, attempt: &AttemptRecord) -> Record {
    let body = json!({
        "delivery": delivery, "number": attempt.number, "sent_at": attempt.started_at.to_string(),
        "answered_at": attempt.finished_at.map(|at| at.to_string()), "method": attempt.method,
        "url": shown::text(&attempt.url), "payload": document(&attempt.payload), "events_in_call": attempt.batch,
        "status": attempt.status, "answer": document(&attempt.response), "outcome": attempt.outcome,
        "code": attempt.reason.map(|reason| reason.code()), "detail": shown::text(&attempt.detail),
    });
    record("attempt", body)
}

/// What was sent or answered, masked: as a document where it is one.
fn document(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => shown::masked(&value),
        _ => Value::from(shown::text(text)),
    }
}
