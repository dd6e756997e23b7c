//! Each time that a receipt was read again: when, by whom, why, and what it said before and after.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::Receipt;
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Verdict;
use crosstally_store::Revision;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// One time that a receipt was read again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevisionOut {
    /// 1 for the first time.
    pub number: u32,
    /// When.
    pub at: String,
    /// Why: `matched`, `replay`, `repair`.
    pub cause: String,
    /// Who had it read.
    pub author: String,
    /// The repair, if there was one: the fields that were set, and whether a swallowed call was real.
    pub repair: Value,
    /// What it said before.
    pub was: SaidOut,
    /// What it said after.
    pub is: SaidOut,
}

/// What a receipt said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidOut {
    /// What became of the call.
    pub result: String,
    /// Why.
    pub code: Option<String>,
    /// About this call.
    pub detail: String,
    /// The conversion.
    pub conversion: Option<String>,
}

impl SaidOut {
    fn new(verdict: Verdict, reason: Option<Reason>, detail: &str, conversion: Option<ConversionId>) -> Self {
        Self {
            result: verdict.as_str().into(),
            code: reason.map(|reason| reason.code().into()),
            detail: detail.into(),
            conversion: conversion.map(|id| id.to_string()),
        }
    }
}

/// What a receipt said each time. A revision keeps what stood before it: what came of it is what stood before the next one,
/// and of the last one the receipt itself.
pub(super) fn told(receipt: &Receipt, revisions: &[Revision]) -> Vec<RevisionOut> {
    let before = |one: &Revision| SaidOut::new(one.verdict, one.reason, &one.detail, one.conversion);
    let now = SaidOut::new(receipt.verdict, receipt.reason, &receipt.detail, receipt.conversion);
    let after = revisions.iter().skip(1).map(before).chain([now]);
    revisions
        .iter()
        .zip(after)
        .map(|(revision, is)| RevisionOut {
            number: revision.number,
            at: revision.at.to_string(),
            cause: revision.cause.clone(),
            author: revision.author.clone(),
            repair: serde_json::from_str(&revision.repair).unwrap_or(Value::Null),
            was: before(revision),
            is,
        })
        .collect()
}

/// `GET /api/v1/receipts/{id}/revisions`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id: ReceiptId = id.parse().map_err(|_| not_found())?;
    let receipt = state.engine.store.receipt(id).await?.ok_or_else(not_found)?;
    let data = told(&receipt, &state.engine.store.revisions(id).await?);
    Ok(Json(json!({ "data": data, "next_cursor": null })).into_response())
}
