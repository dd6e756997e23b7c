//! Receipts: every inbound call with its verdict.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::Receipt;
use crosstally_core::reason::Reason;
use crosstally_store::Revision;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::page::{PageIn, PageOut};
use super::revisions::{self, RevisionOut};
use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// A receipt as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptOut {
    /// Its id.
    pub id: String,
    /// When it came.
    pub received_at: String,
    /// The partner's slug as it stood in the path.
    pub partner: String,
    /// The raw request.
    pub request: RequestOut,
    /// What became of it.
    pub result: String,
    /// Why.
    pub code: Option<String>,
    /// The reason's sentence.
    pub reason: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// About this call.
    pub detail: String,
    /// The conversion it booked or matched.
    pub conversion: Option<String>,
    /// The movement it booked, or the last one when it repeats what is known.
    pub sequence: Option<u32>,
    /// The click it names.
    pub click: Option<String>,
    /// What was read out of it.
    pub read: Map<String, Value>,
    /// What was decided about each goal.
    pub goals: Vec<GoalOut>,
    /// What is noteworthy about it, by code: fraud marks, late approvals.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How often it was read again.
    #[serde(default)]
    pub revision: u32,
    /// Each time that it was read again, where one receipt or a trace is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionOut>,
}

/// The raw request, secrets and personal data masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestOut {
    /// The method.
    pub method: String,
    /// The query string.
    pub query: String,
    /// The body.
    pub body: String,
    /// The body's content type.
    pub content_type: String,
    /// The sender's address.
    pub peer: String,
    /// The sender's user agent.
    pub user_agent: String,
}

/// A goal's decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GoalOut {
    /// The goal's slug.
    pub goal: String,
    /// Whether it is met now.
    pub met: bool,
    /// The reason code.
    pub code: String,
    /// The reason's sentence.
    pub reason: String,
    /// The condition, or what failed in it.
    pub detail: String,
    /// The event that followed.
    pub event: Option<String>,
}

impl From<&Receipt> for ReceiptOut {
    fn from(receipt: &Receipt) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            id: receipt.id.to_string(),
            received_at: receipt.received_at.to_string(),
            partner: receipt.partner.clone(),
            request: RequestOut {
                method: receipt.method.clone(),
                query: text(&receipt.query),
                body: text(&receipt.body),
                content_type: receipt.content_type.clone(),
                peer: receipt.peer.clone(),
                user_agent: receipt.user_agent.clone(),
            },
            result: receipt.verdict.as_str().into(),
            code: receipt.reason.map(|reason| reason.code().into()),
            reason: receipt.reason.map(|reason| reason.about().sentence.into()),
            fix: receipt.reason.map(|reason| reason.about().fix.into()),
            detail: receipt.detail.clone(),
            conversion: receipt.conversion.map(|id| id.to_string()),
            sequence: receipt.sequence,
            click: receipt.click.map(|id| id.to_string()),
            read: Map::clone(&receipt.read),
            goals: receipt
                .goals
                .iter()
                .map(|decision| GoalOut {
                    goal: decision.goal.clone(),
                    met: decision.reason == Reason::GoalMet,
                    code: decision.reason.code().into(),
                    reason: decision.reason.about().sentence.into(),
                    detail: decision.detail.clone(),
                    event: decision.event.map(|id| id.to_string()),
                })
                .collect(),
            labels: receipt.labels.clone(),
            revision: receipt.revision,
            revisions: Vec::new(),
        }
    }
}

impl ReceiptOut {
    /// A receipt with what it said before it was read again.
    #[must_use]
    pub fn with_revisions(receipt: &Receipt, revisions: &[Revision]) -> Self {
        Self { revisions: revisions::told(receipt, revisions), ..Self::from(receipt) }
    }
}

/// Which receipts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    partner: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/v1/receipts`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<ListIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let page = PageIn { limit: wanted.limit, cursor: wanted.cursor };
    let (limit, before) = (page.limit()?, page.before::<ReceiptId>()?);
    let receipts = state.engine.store.list_receipts(wanted.partner, before, limit).await?;
    let rows: Vec<ReceiptOut> = receipts.iter().map(ReceiptOut::from).collect();
    Ok(Json(PageOut::new(rows, limit, |row| row.id.clone())).into_response())
}

/// `GET /api/v1/receipts/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let receipt = state.engine.store.receipt(id).await?.ok_or_else(not_found)?;
    let revisions = match receipt.revision {
        0 => Vec::new(),
        _ => state.engine.store.revisions(id).await?,
    };
    Ok(Json(ReceiptOut::with_revisions(&receipt, &revisions)).into_response())
}
