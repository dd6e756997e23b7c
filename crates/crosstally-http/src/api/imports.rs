//! `POST /api/v1/imports/conversions`: conversions from a file, some rows at a time.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use crosstally_core::reason::Reason;
use crosstally_engine::imports::{ImportedRow, ROWS_MAX};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{Reply, bad, not_found};
use crate::auth;
use crate::state::State;

/// Rows to import.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportIn {
    /// The partner that they belong to.
    pub partner: String,
    /// Each row as names and values.
    pub rows: Vec<Vec<(String, String)>>,
    /// Whether they are only looked at.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of them, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportOut {
    /// The rows.
    pub data: Vec<ImportedOut>,
}

/// What became of one row, or would.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportedOut {
    /// The result.
    pub result: String,
    /// Why.
    pub code: Option<String>,
    /// About this row.
    pub detail: String,
    /// Its receipt; none in a dry run.
    pub receipt: Option<String>,
}

impl From<&ImportedRow> for ImportedOut {
    fn from(row: &ImportedRow) -> Self {
        Self {
            result: row.verdict.as_str().to_owned(),
            code: row.reason.map(Reason::code).map(str::to_owned),
            detail: row.detail.clone(),
            receipt: row.receipt.map(|id| id.to_string()),
        }
    }
}

/// Imports them.
pub async fn conversions(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<ImportIn>,
) -> Reply {
    auth::require(&state, &headers, "events:write").await?;
    if wanted.rows.len() > ROWS_MAX {
        return Err(bad(format!("send at most {ROWS_MAX} rows at once")));
    }
    if state.engine.snapshot.load().partner(&wanted.partner).is_none() {
        return Err(not_found());
    }
    let done = state.engine.import_rows(&wanted.partner, wanted.rows, wanted.dry_run).await?;
    Ok(Json(ImportOut { data: done.iter().map(ImportedOut::from).collect() }).into_response())
}
