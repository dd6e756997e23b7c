//! Click ids of other trackers that stand for clicks of ours.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use crosstally_engine::aliases::{AliasIn, ROWS_MAX};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{Reply, bad};
use crate::auth;
use crate::state::State;

/// Aliases to add.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasesIn {
    /// The rows.
    pub aliases: Vec<RowIn>,
    /// Whether they are only looked at.
    #[serde(default)]
    pub dry_run: bool,
}

/// One alias.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowIn {
    /// The other tracker's click id.
    pub alias: String,
    /// Our click id.
    pub click_id: String,
}

/// What became of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AliasesOut {
    /// How many are new.
    pub added: u64,
    /// How many were there before.
    pub known: u64,
    /// Those that were not taken.
    pub rejected: Vec<RejectedOut>,
}

/// A row that was not taken.
#[derive(Debug, Serialize, Deserialize)]
pub struct RejectedOut {
    /// Its number, from 0.
    pub row: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl From<crosstally_engine::aliases::AliasesAdded> for AliasesOut {
    fn from(added: crosstally_engine::aliases::AliasesAdded) -> Self {
        let rejected = added.rejected.into_iter();
        Self {
            added: added.new,
            known: added.known,
            rejected: rejected.map(|(row, problem)| RejectedOut { row, problem: problem.into() }).collect(),
        }
    }
}

/// `POST /api/v1/aliases`.
pub async fn add(Extract(state): Extract<State>, headers: HeaderMap, Json(wanted): Json<AliasesIn>) -> Reply {
    auth::require(&state, &headers, "events:write").await?;
    if wanted.aliases.len() > ROWS_MAX {
        return Err(bad(format!("send at most {ROWS_MAX} aliases at once")));
    }
    let rows =
        wanted.aliases.into_iter().map(|row| AliasIn { alias: row.alias, click_id: row.click_id }).collect();
    let added = state.engine.add_aliases(rows, wanted.dry_run).await?;
    Ok(Json(AliasesOut::from(added)).into_response())
}
