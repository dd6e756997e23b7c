//! Conversions and their movements.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::conversion::Conversion;
use crosstally_core::ids::ConversionId;
use crosstally_core::ledger::{Amounts, LedgerEntry};
use crosstally_core::money::Currency;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::ask::WindowIn;
use super::fx::FxOut;
use super::page::{PageIn, PageOut};
use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// Amounts as decimals.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AmountsOut {
    /// The commission.
    pub payout: Option<String>,
    /// The order's amount.
    pub revenue: Option<String>,
    /// What this workspace earns.
    pub value: Option<String>,
    /// The currency.
    pub currency: String,
}

impl AmountsOut {
    fn new(amounts: Amounts, currency: Currency) -> Self {
        let decimal = |minor: Option<i64>| minor.map(|minor| currency.format_minor(minor));
        Self {
            payout: decimal(amounts.payout),
            revenue: decimal(amounts.revenue),
            value: decimal(amounts.value),
            currency: currency.code().into(),
        }
    }
}

/// A conversion as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConversionOut {
    /// Its id.
    pub id: String,
    /// The partner.
    pub partner: String,
    /// The transaction id.
    pub transaction_id: Option<String>,
    /// The partner's name for what happened.
    pub event: Option<String>,
    /// The click it is attributed to.
    pub click: Option<String>,
    /// The campaign of that click.
    pub campaign: String,
    /// The source of that click.
    pub source: String,
    /// The status after the last movement.
    pub status: String,
    /// The amounts in force.
    pub amounts: AmountsOut,
    /// Confirmed value.
    pub confirmed: String,
    /// Open value.
    pub pending: String,
    /// The rate that it was priced with.
    pub fx: Option<FxOut>,
    /// Whether it waits for a rate.
    pub fx_pending: bool,
    /// The value in the base currency.
    pub base_value: Option<String>,
    /// Confirmed value in the base currency.
    pub base_confirmed: Option<String>,
    /// Open value in the base currency.
    pub base_pending: Option<String>,
    /// How many movements it has.
    pub movements: u32,
    /// When it happened.
    pub event_time: String,
    /// When it was first booked.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
    /// The id that the browser made.
    pub event_id: Option<String>,
    /// The durable key of the person or order.
    pub external_id: Option<String>,
    /// The goals met.
    pub goals_met: Vec<String>,
    /// What is noteworthy about it, by code: fraud marks, late approvals.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The time at which it was so, if it is not the present state; what only names it is as it is known now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

impl From<&Conversion> for ConversionOut {
    fn from(conversion: &Conversion) -> Self {
        let currency = conversion.currency;
        Self {
            id: conversion.id.to_string(),
            partner: conversion.key.partner.clone(),
            transaction_id: conversion.transaction_id.clone(),
            event: conversion.event.clone(),
            click: conversion.click.map(|id| id.to_string()),
            campaign: conversion.campaign.clone(),
            source: conversion.source.clone(),
            status: conversion.status.as_str().into(),
            amounts: AmountsOut::new(conversion.amounts, currency),
            confirmed: currency.format_minor(conversion.balance.confirmed),
            pending: currency.format_minor(conversion.balance.pending),
            fx: conversion.fx.map(FxOut::from),
            fx_pending: conversion.is_fx_pending(),
            base_value: conversion.fx.and_then(|fx| {
                let minor = fx.rate.convert(conversion.amounts.value?, currency, fx.base)?;
                Some(fx.base.format_minor(minor))
            }),
            base_confirmed: conversion.fx.map(|fx| fx.base.format_minor(conversion.base.confirmed)),
            base_pending: conversion.fx.map(|fx| fx.base.format_minor(conversion.base.pending)),
            movements: conversion.movements,
            event_time: conversion.event_time.to_string(),
            created_at: conversion.created_at.to_string(),
            updated_at: conversion.updated_at.to_string(),
            event_id: conversion.event_id.clone(),
            external_id: conversion.external_id.clone(),
            goals_met: conversion.goals_met.iter().map(|met| met.goal.clone()).collect(),
            labels: conversion.labels.clone(),
            as_of: None,
        }
    }
}

/// A movement as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryOut {
    /// 1 for the first movement.
    pub sequence: u32,
    /// The receipt that caused it.
    pub receipt: String,
    /// The status after it.
    pub status: String,
    /// The partner's own word.
    pub status_word: String,
    /// The amounts in force after it.
    pub amounts: AmountsOut,
    /// By how much the confirmed value changed.
    pub confirmed_delta: String,
    /// By how much the open value changed.
    pub pending_delta: String,
    /// Why it was written: `call`, `replay`, `rate`.
    pub kind: String,
    /// The rate after it.
    pub fx: Option<FxOut>,
    /// Whether it waited for a rate when it was booked.
    pub fx_pending: bool,
    /// By how much the confirmed value in the base currency changed.
    pub base_confirmed_delta: Option<String>,
    /// By how much the open value in the base currency changed.
    pub base_pending_delta: Option<String>,
    /// When it happened.
    pub event_time: String,
    /// When it was booked.
    pub recorded_at: String,
}

impl From<&LedgerEntry> for EntryOut {
    fn from(entry: &LedgerEntry) -> Self {
        Self {
            sequence: entry.sequence,
            receipt: entry.receipt.to_string(),
            status: entry.status.as_str().into(),
            status_word: entry.status_word.clone(),
            amounts: AmountsOut::new(entry.amounts, entry.currency),
            confirmed_delta: entry.currency.format_minor(entry.confirmed_delta),
            pending_delta: entry.currency.format_minor(entry.pending_delta),
            kind: entry.kind.as_str().into(),
            fx: entry.fx.map(FxOut::from),
            fx_pending: entry.base_delta().is_none(),
            base_confirmed_delta: entry
                .fx
                .and_then(|fx| Some(fx.base.format_minor(entry.base_confirmed_delta?))),
            base_pending_delta: entry.fx.and_then(|fx| Some(fx.base.format_minor(entry.base_pending_delta?))),
            event_time: entry.event_time.to_string(),
            recorded_at: entry.recorded_at.to_string(),
        }
    }
}

/// `GET /api/v1/conversions`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(page): Query<PageIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let (limit, before) = (page.limit()?, page.before::<ConversionId>()?);
    let found = state.engine.store.list_conversions(before, limit).await?;
    let rows: Vec<ConversionOut> = found.iter().map(ConversionOut::from).collect();
    Ok(Json(PageOut::new(rows, limit, |row| row.id.clone())).into_response())
}

/// `GET /api/v1/conversions/{id}`: as it is, or with a time as it was.
pub async fn show(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(wanted): Query<WindowIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    if !wanted.is_empty() {
        let was = super::ledger::conversion(&state.engine, id, &wanted).await?.ok_or_else(not_found)?;
        return Ok(Json(was).into_response());
    }
    let found = state.engine.store.conversion(id).await?.ok_or_else(not_found)?;
    Ok(Json(ConversionOut::from(&found)).into_response())
}
