//! Between rows and the types above. Each type has its list of columns and one function that reads them in that order;
//! the wrappers at the end are how values that the driver does not know go in.

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::fx::{Fx, Quote, Rate, Source};
use crosstally_core::ids::{
    CallId, ClickId, ConversionId, DeliveryId, ErasureId, GoalEventId, JobId, ReceiptId, RunId, TokenId,
};
use crosstally_core::ledger::{Amounts, Balance, ContentHash, EntryKind, LedgerEntry, Status};
use crosstally_core::money::{Currency, Money};
use crosstally_core::postback::Receipt;
use crosstally_core::reason::Reason;
use crosstally_core::route::GoalEvent;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_core::visit::Way;

use super::transact::Value;
use crate::{
    AttemptRecord, ConfigRecord, DeliveryRecord, FxJob, FxRate, Priced, StoreError, TokenRecord, WORKSPACE,
};

#[cfg(test)]
mod tests;

type Result<T> = std::result::Result<T, StoreError>;

pub(super) const CLICK: &str = "id, at, campaign, source, query, target, ip, user_agent, referrer, language, \
    fbc_cookie, fbp_cookie, ad_click_ids, cost_minor, cost_currency, gpc, test, labels, way, in_europe";

pub(super) fn click(row: &Row) -> Result<Click> {
    let cost = match (get::<Option<i64>>(row, 13)?, optional(row, 14, currency)?) {
        (Some(minor), Some(currency)) => Some(Money::new(minor, currency)),
        _ => None,
    };
    Ok(Click {
        id: ClickId::from_bytes(id(row, 0)?),
        at: time(row, 1)?,
        campaign: get(row, 2)?,
        source: get(row, 3)?,
        query: get(row, 4)?,
        target: get(row, 5)?,
        ip: get(row, 6)?,
        in_europe: get(row, 19)?,
        user_agent: get(row, 7)?,
        referrer: get(row, 8)?,
        language: get(row, 9)?,
        fbc_cookie: get(row, 10)?,
        fbp_cookie: get(row, 11)?,
        ad_click_ids: AdClickIds::from_stored(get(row, 12)?),
        cost,
        gpc: get(row, 15)?,
        test: get(row, 16)?,
        labels: optional_labels(row, 17)?,
        way: optional_way(row, 18)?,
    })
}

pub(super) const RECEIPT: &str = "id, received_at, partner, method, query, body, content_type, peer, user_agent, \
    verdict, reason, detail, conversion, sequence, click, read, goals, revision, headers, contact, sealed, labels";

pub(super) fn receipt(row: &Row) -> Result<Receipt> {
    Ok(Receipt {
        id: ReceiptId::from_bytes(id(row, 0)?),
        received_at: time(row, 1)?,
        partner: get(row, 2)?,
        method: get(row, 3)?,
        query: get(row, 4)?,
        body: get(row, 5)?,
        content_type: get(row, 6)?,
        peer: get(row, 7)?,
        user_agent: get(row, 8)?,
        verdict: word(row, 9, Verdict::from_word)?,
        reason: optional(row, 10, Reason::from_code)?,
        detail: get(row, 11)?,
        conversion: optional_id(row, 12)?.map(ConversionId::from_bytes),
        sequence: optional_number(row, 13)?,
        click: optional_id(row, 14)?.map(ClickId::from_bytes),
        read: Arc::new(json(row, 15)?),
        goals: json(row, 16)?,
        revision: number(row, 17)?,
        headers: json(row, 18)?,
        contact: json(row, 19)?,
        sealed: get(row, 20)?,
        labels: json(row, 21)?,
        awaits: None,
    })
}

/// Of `conversions AS c`.
pub(super) const CONVERSION: &str = "c.id, c.partner, c.dedupe_key, c.transaction_id, c.event, c.click, c.campaign, \
    c.source, c.status, c.currency, c.payout, c.revenue, c.value, c.confirmed, c.pending, c.movements, c.event_time, \
    c.created_at, c.updated_at, c.event_id, c.external_id, c.contact, c.goals_met, c.fx_base, c.fx_rate, c.fx_date, \
    c.fx_source, c.base_confirmed, c.base_pending, c.labels";

pub(super) fn conversion(row: &Row) -> Result<Conversion> {
    Ok(Conversion {
        id: ConversionId::from_bytes(id(row, 0)?),
        key: DedupeKey { partner: get(row, 1)?, key: get(row, 2)? },
        transaction_id: get(row, 3)?,
        event: get(row, 4)?,
        click: optional_id(row, 5)?.map(ClickId::from_bytes),
        campaign: get(row, 6)?,
        source: get(row, 7)?,
        status: word(row, 8, Status::from_word)?,
        currency: word(row, 9, currency)?,
        amounts: Amounts { payout: get(row, 10)?, revenue: get(row, 11)?, value: get(row, 12)? },
        balance: Balance { confirmed: get(row, 13)?, pending: get(row, 14)? },
        movements: number(row, 15)?,
        event_time: time(row, 16)?,
        created_at: time(row, 17)?,
        updated_at: time(row, 18)?,
        event_id: get(row, 19)?,
        external_id: get(row, 20)?,
        contact: json(row, 21)?,
        goals_met: json(row, 22)?,
        fx: fx(row, 23)?,
        base: Balance { confirmed: get(row, 27)?, pending: get(row, 28)? },
        labels: optional_labels(row, 29)?,
    })
}

/// Of `ledger_entries AS e`.
pub(super) const ENTRY: &str = "e.conversion, e.sequence, e.receipt, e.status, e.status_word, e.currency, e.payout, \
    e.revenue, e.value, e.confirmed_delta, e.pending_delta, e.event_time, e.recorded_at, e.click, e.campaign, e.source, \
    e.partner, e.kind, e.content, e.fx_base, e.fx_rate, e.fx_date, e.fx_source, e.base_confirmed_delta, \
    e.base_pending_delta";

pub(super) fn entry(row: &Row) -> Result<LedgerEntry> {
    Ok(LedgerEntry {
        conversion: ConversionId::from_bytes(id(row, 0)?),
        sequence: number(row, 1)?,
        receipt: ReceiptId::from_bytes(id(row, 2)?),
        status: word(row, 3, Status::from_word)?,
        status_word: get(row, 4)?,
        currency: word(row, 5, currency)?,
        amounts: Amounts { payout: get(row, 6)?, revenue: get(row, 7)?, value: get(row, 8)? },
        confirmed_delta: get(row, 9)?,
        pending_delta: get(row, 10)?,
        event_time: time(row, 11)?,
        recorded_at: time(row, 12)?,
        click: optional_id(row, 13)?.map(ClickId::from_bytes),
        campaign: get(row, 14)?,
        source: get(row, 15)?,
        partner: get(row, 16)?,
        kind: word(row, 17, EntryKind::from_word)?,
        content: ContentHash::from_bytes(id(row, 18)?),
        fx: fx(row, 19)?,
        base_confirmed_delta: get(row, 23)?,
        base_pending_delta: get(row, 24)?,
    })
}

/// The rate of an amount: four columns, all of them or none.
fn fx(row: &Row, first: usize) -> Result<Option<Fx>> {
    let Some(base) = optional(row, first, currency)? else { return Ok(None) };
    Ok(Some(Fx {
        base,
        rate: word(row, first + 1, |text| text.parse().ok())?,
        date: word(row, first + 2, |text| text.parse().ok())?,
        source: word(row, first + 3, |text| text.parse().ok())?,
    }))
}

/// Of a conversion, and the receipt of its last movement behind all its columns.
pub(super) fn priced(row: &Row) -> Result<Priced> {
    Ok(Priced { conversion: conversion(row)?, receipt: ReceiptId::from_bytes(id(row, 30)?) })
}

pub(super) const FX_RATE: &str = "date, base, quote, source, rate, imported_at";

pub(super) fn fx_rate(row: &Row) -> Result<FxRate> {
    let quote = Quote {
        day: word(row, 0, |text| text.parse().ok())?,
        base: word(row, 1, currency)?,
        quote: word(row, 2, currency)?,
        source: word(row, 3, Source::from_word)?,
        rate: word(row, 4, |text| text.parse().ok())?,
    };
    Ok(FxRate { quote, imported_at: time(row, 5)? })
}

pub(super) fn fx_number(row: &Row, column: usize) -> Result<Option<Rate>> {
    optional(row, column, |text| text.parse().ok())
}

pub(super) const FX_JOB: &str = "at, author, first_day, last_day, currency, changed, sums";

pub(super) fn fx_job(row: &Row) -> Result<FxJob> {
    Ok(FxJob {
        at: time(row, 0)?,
        author: get(row, 1)?,
        from: word(row, 2, |text| text.parse().ok())?,
        to: word(row, 3, |text| text.parse().ok())?,
        currency: optional(row, 4, currency)?,
        changed: count(row, 5)?,
        sums: json(row, 6)?,
    })
}

pub(super) const GOAL_EVENT: &str = "id, conversion, goal, sequence, event, created_at";

pub(super) fn goal_event(row: &Row) -> Result<GoalEvent> {
    Ok(GoalEvent {
        id: GoalEventId::from_bytes(id(row, 0)?),
        conversion: ConversionId::from_bytes(id(row, 1)?),
        goal: get(row, 2)?,
        sequence: number(row, 3)?,
        event: json(row, 4)?,
        created_at: time(row, 5)?,
    })
}

/// Of `deliveries AS d JOIN goal_events AS g`.
pub(super) const DELIVERY: &str = "d.id, d.goal_event, d.conversion, d.destination, g.event_name, g.event_id, d.state, \
    d.reason, d.detail, d.attempts, d.failures, d.due_at, d.deadline_at, d.created_at, d.finished_at, d.lease_owner, \
    d.lease_until, d.arrived_at, d.lane = 2";

pub(super) fn delivery(row: &Row) -> Result<DeliveryRecord> {
    let lease = match (get(row, 15)?, optional_time(row, 16)?) {
        (Some(owner), Some(until)) => Some((owner, until)),
        _ => None,
    };
    Ok(DeliveryRecord {
        id: DeliveryId::from_bytes(id(row, 0)?),
        goal_event: GoalEventId::from_bytes(id(row, 1)?),
        conversion: ConversionId::from_bytes(id(row, 2)?),
        destination: get(row, 3)?,
        event_name: get(row, 4)?,
        event_id: get(row, 5)?,
        state: word(row, 6, DeliveryState::from_word)?,
        reason: optional(row, 7, Reason::from_code)?,
        detail: get(row, 8)?,
        attempts: number(row, 9)?,
        failures: number(row, 10)?,
        due_at: time(row, 11)?,
        deadline_at: time(row, 12)?,
        created_at: time(row, 13)?,
        finished_at: optional_time(row, 14)?,
        arrived_at: optional_time(row, 17)?,
        by_job: get(row, 18)?,
        lease,
    })
}

/// Of `attempts AS a JOIN calls AS c`.
pub(super) const ATTEMPT: &str = "a.number, a.call, c.batch, c.method, c.url, CASE WHEN a.payload = '' AND c.method = 'GET' \
    AND c.batch = 1 THEN c.url ELSE a.payload END, c.started_at, c.finished_at, c.status, c.response, a.outcome, a.reason, c.detail";

pub(super) fn attempt(row: &Row) -> Result<AttemptRecord> {
    Ok(AttemptRecord {
        number: number(row, 0)?,
        call: CallId::from_bytes(id(row, 1)?),
        batch: number(row, 2)?,
        method: get(row, 3)?,
        url: get(row, 4)?,
        payload: get(row, 5)?,
        started_at: time(row, 6)?,
        finished_at: optional_time(row, 7)?,
        status: get::<Option<i32>>(row, 8)?.map(u16::try_from).transpose().map_err(|_| unreadable(row, 8))?,
        response: get(row, 9)?,
        outcome: get(row, 10)?,
        reason: optional(row, 11, Reason::from_code)?,
        detail: get(row, 12)?,
    })
}

pub(super) const CONFIG: &str = "version, document, applied_at, author";

pub(super) fn config(row: &Row) -> Result<ConfigRecord> {
    Ok(ConfigRecord {
        version: get(row, 0)?,
        document: get(row, 1)?,
        applied_at: time(row, 2)?,
        author: get(row, 3)?,
    })
}

pub(super) const TOKEN: &str = "id, name, scopes, hash, created_at, revoked_at";

pub(super) fn token(row: &Row) -> Result<TokenRecord> {
    Ok(TokenRecord {
        id: TokenId::from_bytes(id(row, 0)?),
        name: get(row, 1)?,
        scopes: json(row, 2)?,
        hash: get(row, 3)?,
        created_at: time(row, 4)?,
        revoked_at: optional_time(row, 5)?,
    })
}

/// A column of any type that the driver knows.
pub(super) fn get<'row, T: FromSql<'row>>(row: &'row Row, column: usize) -> Result<T> {
    // The driver's own words may quote the value.
    row.try_get(column).map_err(|_| unreadable(row, column))
}

pub(super) fn id(row: &Row, column: usize) -> Result<[u8; 16]> {
    get::<Id>(row, column).map(|Id(bytes)| bytes)
}

pub(super) fn optional_id(row: &Row, column: usize) -> Result<Option<[u8; 16]>> {
    Ok(get::<Option<Id>>(row, column)?.map(|Id(bytes)| bytes))
}

pub(super) fn number(row: &Row, column: usize) -> Result<u32> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| unreadable(row, column))
}

pub(super) fn count(row: &Row, column: usize) -> Result<u64> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| unreadable(row, column))
}

pub(super) fn optional_number(row: &Row, column: usize) -> Result<Option<u32>> {
    let number = get::<Option<i64>>(row, column)?;
    number.map(u32::try_from).transpose().map_err(|_| unreadable(row, column))
}

pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp> {
    get(row, column).map(Timestamp::from_millis)
}

pub(super) fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_millis))
}

pub(super) fn currency(code: &str) -> Option<Currency> {
    code.parse().ok()
}

/// A word of a closed list.
pub(super) fn word<T>(row: &Row, column: usize, read: impl Fn(&str) -> Option<T>) -> Result<T> {
    read(get(row, column)?).ok_or_else(|| unreadable(row, column))
}

pub(super) fn optional<T>(row: &Row, column: usize, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    get::<Option<&str>>(row, column)?
        .map(|word| read(word).ok_or_else(|| unreadable(row, column)))
        .transpose()
}

pub(super) fn json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T> {
    serde_json::from_str(get(row, column)?).map_err(|_| unreadable(row, column))
}

/// Most rows have no labels, and nothing in their place.
pub(super) fn optional_labels(row: &Row, column: usize) -> Result<Vec<String>> {
    if get::<Option<&str>>(row, column)?.is_some() { json(row, column) } else { Ok(Vec::new()) }
}

/// The way of a click, which most clicks do not have.
fn optional_way(row: &Row, column: usize) -> Result<Option<Box<Way>>> {
    optional(row, column, |text| Way::from_stored(text).map(Box::new))
}

/// Labels as they are stored.
pub(super) fn labels(labels: &[String]) -> Result<Option<String>> {
    (!labels.is_empty()).then(|| to_json(&labels)).transpose()
}

fn unreadable(row: &Row, column: usize) -> StoreError {
    let name = row.columns().get(column).map_or("missing", |column| column.name());
    StoreError::Corrupt(format!("the value in column {name} cannot be read"))
}

/// A value as its JSON text. JSON writes the character NUL as an escape, so such a text always fits.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Many rows, column by column, to be unfolded with `UNNEST`. The first value of the statement is the workspace, the
/// columns follow.
pub(super) struct Columns<'rows, T> {
    rows: &'rows [T],
    columns: Vec<Box<dyn ToSql + Sync + Send + 'rows>>,
}

impl<'rows, T> Columns<'rows, T> {
    pub(super) const fn of(rows: &'rows [T]) -> Self {
        Self { rows, columns: Vec::new() }
    }

    pub(super) fn with<V>(mut self, value: impl Fn(&'rows T) -> V) -> Self
    where
        V: ToSql + Sync + Send + 'rows,
    {
        self.columns.push(Box::new(self.rows.iter().map(value).collect::<Vec<V>>()));
        self
    }

    /// A column of values as JSON texts.
    pub(super) fn with_json<V>(mut self, value: impl Fn(&'rows T) -> &'rows V) -> Result<Self>
    where
        V: serde::Serialize + 'rows,
    {
        let texts: Vec<String> = self.rows.iter().map(|row| to_json(value(row))).collect::<Result<_>>()?;
        self.columns.push(Box::new(texts));
        Ok(self)
    }

    /// A column that is made already, one value for each row.
    pub(super) fn with_values<V>(mut self, values: Vec<V>) -> Self
    where
        V: ToSql + Sync + Send + 'rows,
    {
        self.columns.push(Box::new(values));
        self
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn values(&self) -> Vec<&Value<'_>> {
        let workspace: &Value<'_> = &WORKSPACE;
        let columns = self.columns.iter().map(|column| {
            let column: &Value<'_> = &**column;
            column
        });
        std::iter::once(workspace).chain(columns).collect()
    }
}

/// The 16 bytes of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) [u8; 16]);

macro_rules! id_of {
    ($($name:ident)*) => {$(
        impl From<$name> for Id {
            fn from(id: $name) -> Self {
                Self(*id.as_bytes())
            }
        }
    )*};
}

id_of! { CallId ClickId ConversionId DeliveryId ErasureId GoalEventId JobId ReceiptId RunId TokenId }

impl ToSql for Id {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, BoxedError> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'row> FromSql<'row> for Id {
    fn from_sql(_: &Type, raw: &'row [u8]) -> std::result::Result<Self, BoxedError> {
        Ok(Self(raw.try_into()?))
    }

    accepts!(UUID);
}

/// A text that came from outside. A text of PostgreSQL holds every character but NUL, which is stored as U+FFFD, the
/// character for what cannot be shown. Where NUL matters it is kept: raw requests are bytes, and JSON escapes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'text>(pub(super) &'text str);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, BoxedError> {
        let mut pieces = self.0.split('\0');
        out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
        for piece in pieces {
            out.extend_from_slice("\u{fffd}".as_bytes());
            out.extend_from_slice(piece.as_bytes());
        }
        Ok(IsNull::No)
    }

    accepts!(TEXT);
    to_sql_checked!();
}

type BoxedError = Box<dyn std::error::Error + Sync + Send>;
