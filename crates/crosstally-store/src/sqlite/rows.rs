//! From rows to the types above. Each type has its list of columns and one function that reads them in that order.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Result, Row};
use serde::de::DeserializeOwned;
use std::sync::Arc;

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::fx::{Fx, Quote, Rate, Source};
use crosstally_core::ids::{CallId, ClickId, ConversionId, DeliveryId, GoalEventId, ReceiptId, TokenId};
use crosstally_core::ledger::{Amounts, Balance, ContentHash, EntryKind, LedgerEntry, Status};
use crosstally_core::money::{Currency, Money};
use crosstally_core::postback::Receipt;
use crosstally_core::reason::Reason;
use crosstally_core::route::GoalEvent;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_core::visit::Way;

use crate::{AttemptRecord, ConfigRecord, DeliveryRecord, FxJob, FxRate, Priced, TokenRecord};

pub(super) const CLICK: &str = "id, at, campaign, source, query, target, ip, user_agent, referrer, language, \
    fbc_cookie, fbp_cookie, ad_click_ids, cost_minor, cost_currency, gpc, test, labels, way, in_europe";

pub(super) fn click(row: &Row<'_>) -> Result<Click> {
    let cost = match (row.get::<_, Option<i64>>(13)?, optional(row, 14, |code| code.parse().ok())?) {
        (Some(minor), Some(currency)) => Some(Money::new(minor, currency)),
        _ => None,
    };
    Ok(Click {
        id: ClickId::from_bytes(row.get(0)?),
        at: time(row, 1)?,
        campaign: row.get(2)?,
        source: row.get(3)?,
        query: row.get(4)?,
        target: row.get(5)?,
        ip: address(row, 6)?,
        in_europe: row.get(19)?,
        user_agent: row.get(7)?,
        referrer: row.get(8)?,
        language: row.get(9)?,
        fbc_cookie: row.get(10)?,
        fbp_cookie: row.get(11)?,
        ad_click_ids: AdClickIds::from_stored(text(row, 12)?),
        cost,
        gpc: row.get(15)?,
        test: row.get(16)?,
        labels: optional_labels(row, 17)?,
        way: optional_way(row, 18)?,
    })
}

pub(super) const RECEIPT: &str = "id, received_at, partner, method, query, body, content_type, peer, user_agent, \
    verdict, reason, detail, conversion, sequence, click, read, goals, revision, headers, contact, sealed, labels";

pub(super) fn receipt(row: &Row<'_>) -> Result<Receipt> {
    Ok(Receipt {
        id: ReceiptId::from_bytes(row.get(0)?),
        received_at: time(row, 1)?,
        partner: row.get(2)?,
        method: row.get(3)?,
        query: row.get(4)?,
        body: row.get(5)?,
        content_type: row.get(6)?,
        peer: row.get(7)?,
        user_agent: row.get(8)?,
        verdict: word(row, 9, Verdict::from_word)?,
        reason: optional(row, 10, Reason::from_code)?,
        detail: row.get(11)?,
        conversion: row.get::<_, Option<_>>(12)?.map(ConversionId::from_bytes),
        sequence: row.get(13)?,
        click: row.get::<_, Option<_>>(14)?.map(ClickId::from_bytes),
        read: Arc::new(json(row, 15)?),
        goals: json(row, 16)?,
        revision: row.get(17)?,
        headers: json(row, 18)?,
        contact: json(row, 19)?,
        sealed: row.get(20)?,
        labels: json(row, 21)?,
        awaits: None,
    })
}

pub(super) const CONVERSION: &str = "id, partner, dedupe_key, transaction_id, event, click, campaign, source, status, \
    currency, payout, revenue, value, confirmed, pending, movements, event_time, created_at, updated_at, event_id, \
    external_id, contact, goals_met, fx_base, fx_rate, fx_date, fx_source, base_confirmed, base_pending, labels";

pub(super) fn conversion(row: &Row<'_>) -> Result<Conversion> {
    Ok(Conversion {
        id: ConversionId::from_bytes(row.get(0)?),
        key: DedupeKey { partner: row.get(1)?, key: row.get(2)? },
        transaction_id: row.get(3)?,
        event: row.get(4)?,
        click: row.get::<_, Option<_>>(5)?.map(ClickId::from_bytes),
        campaign: row.get(6)?,
        source: row.get(7)?,
        status: word(row, 8, Status::from_word)?,
        currency: word(row, 9, currency)?,
        amounts: Amounts { payout: row.get(10)?, revenue: row.get(11)?, value: row.get(12)? },
        balance: Balance { confirmed: row.get(13)?, pending: row.get(14)? },
        movements: row.get(15)?,
        event_time: time(row, 16)?,
        created_at: time(row, 17)?,
        updated_at: time(row, 18)?,
        event_id: row.get(19)?,
        external_id: row.get(20)?,
        contact: json(row, 21)?,
        goals_met: json(row, 22)?,
        fx: fx(row, 23)?,
        base: Balance { confirmed: row.get(27)?, pending: row.get(28)? },
        labels: optional_labels(row, 29)?,
    })
}

pub(super) const ENTRY: &str = "conversion, sequence, receipt, status, status_word, currency, payout, revenue, value, \
    confirmed_delta, pending_delta, event_time, recorded_at, click, campaign, source, partner, kind, content, \
    fx_base, fx_rate, fx_date, fx_source, base_confirmed_delta, base_pending_delta";

pub(super) fn entry(row: &Row<'_>) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        conversion: ConversionId::from_bytes(row.get(0)?),
        sequence: row.get(1)?,
        receipt: ReceiptId::from_bytes(row.get(2)?),
        status: word(row, 3, Status::from_word)?,
        status_word: row.get(4)?,
        currency: word(row, 5, currency)?,
        amounts: Amounts { payout: row.get(6)?, revenue: row.get(7)?, value: row.get(8)? },
        confirmed_delta: row.get(9)?,
        pending_delta: row.get(10)?,
        event_time: time(row, 11)?,
        recorded_at: time(row, 12)?,
        click: row.get::<_, Option<_>>(13)?.map(ClickId::from_bytes),
        campaign: row.get(14)?,
        source: row.get(15)?,
        partner: row.get(16)?,
        kind: word(row, 17, EntryKind::from_word)?,
        content: ContentHash::from_bytes(row.get(18)?),
        fx: fx(row, 19)?,
        base_confirmed_delta: row.get(23)?,
        base_pending_delta: row.get(24)?,
    })
}

/// The rate of an amount: four columns, all of them or none.
fn fx(row: &Row<'_>, first: usize) -> Result<Option<Fx>> {
    let Some(base) = optional(row, first, currency)? else { return Ok(None) };
    Ok(Some(Fx {
        base,
        rate: word(row, first + 1, |text| text.parse().ok())?,
        date: word(row, first + 2, |text| text.parse().ok())?,
        source: word(row, first + 3, |text| text.parse().ok())?,
    }))
}

/// Of a conversion, and the receipt of its last movement behind all its columns.
pub(super) fn priced(row: &Row<'_>) -> Result<Priced> {
    Ok(Priced { conversion: conversion(row)?, receipt: ReceiptId::from_bytes(row.get(30)?) })
}

pub(super) const FX_RATE: &str = "date, base, quote, source, rate, imported_at";

pub(super) fn fx_rate(row: &Row<'_>) -> Result<FxRate> {
    let quote = Quote {
        day: word(row, 0, |text| text.parse().ok())?,
        base: word(row, 1, currency)?,
        quote: word(row, 2, currency)?,
        source: word(row, 3, Source::from_word)?,
        rate: fx_number(row, 4)?,
    };
    Ok(FxRate { quote, imported_at: time(row, 5)? })
}

pub(super) fn fx_number(row: &Row<'_>, column: usize) -> Result<Rate> {
    word(row, column, |text| text.parse().ok())
}

pub(super) const FX_JOB: &str = "at, author, first_day, last_day, currency, changed, sums";

pub(super) fn fx_job(row: &Row<'_>) -> Result<FxJob> {
    Ok(FxJob {
        at: time(row, 0)?,
        author: row.get(1)?,
        from: word(row, 2, |text| text.parse().ok())?,
        to: word(row, 3, |text| text.parse().ok())?,
        currency: optional(row, 4, currency)?,
        changed: number(row, 5)?,
        sums: json(row, 6)?,
    })
}

pub(super) const GOAL_EVENT: &str = "id, conversion, goal, sequence, event, created_at";

pub(super) fn goal_event(row: &Row<'_>) -> Result<GoalEvent> {
    Ok(GoalEvent {
        id: GoalEventId::from_bytes(row.get(0)?),
        conversion: ConversionId::from_bytes(row.get(1)?),
        goal: row.get(2)?,
        sequence: row.get(3)?,
        event: json(row, 4)?,
        created_at: time(row, 5)?,
    })
}

/// Of `deliveries AS d JOIN goal_events AS g`.
pub(super) const DELIVERY: &str = "d.id, d.goal_event, d.conversion, d.destination, g.event_name, g.event_id, d.state, \
    d.reason, d.detail, d.attempts, d.failures, d.due_at, d.deadline_at, d.created_at, d.finished_at, d.lease_owner, \
    d.lease_until, d.arrived_at, d.lane = 2";

pub(super) fn delivery(row: &Row<'_>) -> Result<DeliveryRecord> {
    let lease = match (row.get(15)?, optional_time(row, 16)?) {
        (Some(owner), Some(until)) => Some((owner, until)),
        _ => None,
    };
    Ok(DeliveryRecord {
        id: DeliveryId::from_bytes(row.get(0)?),
        goal_event: GoalEventId::from_bytes(row.get(1)?),
        conversion: ConversionId::from_bytes(row.get(2)?),
        destination: row.get(3)?,
        event_name: row.get(4)?,
        event_id: row.get(5)?,
        state: word(row, 6, DeliveryState::from_word)?,
        reason: optional(row, 7, Reason::from_code)?,
        detail: row.get(8)?,
        attempts: row.get(9)?,
        failures: row.get(10)?,
        due_at: time(row, 11)?,
        deadline_at: time(row, 12)?,
        created_at: time(row, 13)?,
        finished_at: optional_time(row, 14)?,
        arrived_at: optional_time(row, 17)?,
        by_job: row.get(18)?,
        lease,
    })
}

/// Of `attempts AS a JOIN calls AS c`.
pub(super) const ATTEMPT: &str = "a.number, a.call, c.batch, c.method, c.url, CASE WHEN a.payload = '' AND c.method = 'GET' \
    AND c.batch = 1 THEN c.url ELSE a.payload END, c.started_at, c.finished_at, c.status, c.response, a.outcome, a.reason, c.detail";

pub(super) fn attempt(row: &Row<'_>) -> Result<AttemptRecord> {
    Ok(AttemptRecord {
        number: row.get(0)?,
        call: CallId::from_bytes(row.get(1)?),
        batch: row.get(2)?,
        method: row.get(3)?,
        url: row.get(4)?,
        payload: row.get(5)?,
        started_at: time(row, 6)?,
        finished_at: optional_time(row, 7)?,
        status: row.get(8)?,
        response: row.get(9)?,
        outcome: row.get(10)?,
        reason: optional(row, 11, Reason::from_code)?,
        detail: row.get(12)?,
    })
}

pub(super) const CONFIG: &str = "version, document, applied_at, author";

pub(super) fn config(row: &Row<'_>) -> Result<ConfigRecord> {
    Ok(ConfigRecord {
        version: row.get(0)?,
        document: row.get(1)?,
        applied_at: time(row, 2)?,
        author: row.get(3)?,
    })
}

pub(super) const TOKEN: &str = "id, name, scopes, hash, created_at, revoked_at";

pub(super) fn token(row: &Row<'_>) -> Result<TokenRecord> {
    Ok(TokenRecord {
        id: TokenId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        scopes: json(row, 2)?,
        hash: row.get(3)?,
        created_at: time(row, 4)?,
        revoked_at: optional_time(row, 5)?,
    })
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A number that is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

pub(super) fn currency(code: &str) -> Option<Currency> {
    code.parse().ok()
}

fn address(row: &Row<'_>, column: usize) -> Result<Option<std::net::IpAddr>> {
    let Some(bytes) = row.get_ref(column)?.as_blob_or_null().map_err(|error| unreadable(column, error))?
    else {
        return Ok(None);
    };
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(four.into()));
    }
    <[u8; 16]>::try_from(bytes).map(|sixteen| Some(sixteen.into())).map_err(|_| {
        unreadable(column, FromSqlError::InvalidBlobSize { expected_size: 16, blob_size: bytes.len() })
    })
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str> {
    row.get_ref(column)?.as_str().map_err(|error| unreadable(column, error))
}

/// A word of a closed list.
pub(super) fn word<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> Result<T> {
    // The word itself stays out of the error: it could be anything.
    read(text(row, column)?).ok_or_else(|| unreadable(column, FromSqlError::InvalidType))
}

pub(super) fn optional<T>(
    row: &Row<'_>,
    column: usize,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>> {
    match row.get_ref(column)?.as_str_or_null().map_err(|error| unreadable(column, error))? {
        Some(_) => word(row, column, read).map(Some),
        None => Ok(None),
    }
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    serde_json::from_str(text(row, column)?).map_err(|_| unreadable(column, FromSqlError::InvalidType))
}

/// Most rows have no labels, and nothing in their place.
pub(super) fn optional_labels(row: &Row<'_>, column: usize) -> Result<Vec<String>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(Vec::new()),
        _ => json(row, column),
    }
}

/// The way of a click, which most clicks do not have.
fn optional_way(row: &Row<'_>, column: usize) -> Result<Option<Box<Way>>> {
    optional(row, column, |text| Way::from_stored(text).map(Box::new))
}

/// Labels as they are stored.
pub(super) fn labels(labels: &[String]) -> std::result::Result<Option<String>, crate::StoreError> {
    (!labels.is_empty()).then(|| to_json(&labels)).transpose()
}

fn unreadable(column: usize, error: FromSqlError) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// A value as its JSON text.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> std::result::Result<String, crate::StoreError> {
    serde_json::to_string(value).map_err(|error| crate::StoreError::Corrupt(error.to_string()))
}
