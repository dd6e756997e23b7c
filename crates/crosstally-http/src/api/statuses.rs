//! Status words that no contract knows, with what they probably mean and the money at stake.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_engine::replay::statuses::{UnknownStatus, UnknownStatuses};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Reply;
use crate::auth;
use crate::state::State;

/// Whose words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusesIn {
    partner: Option<String>,
}

/// The words of the last 30 days.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusesOut {
    /// A row per word, those with the most calls first.
    pub data: Vec<StatusOut>,
    /// Whether there are more calls or words than are looked at.
    pub capped: bool,
}

/// A status word that waits for its meaning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusOut {
    /// Whose word it is.
    pub partner: String,
    /// The word.
    pub word: String,
    /// Calls that wait because of it.
    pub receipts: u64,
    /// When the first of them came.
    pub first_at: String,
    /// When the last of them came.
    pub last_at: String,
    /// What it probably means; `null` if nobody knows.
    pub proposed: Option<String>,
    /// How that is known.
    pub why: Option<String>,
    /// What these calls say in all, per currency: what is at stake.
    pub money: Vec<StakeOut>,
    /// The line for the partner's section; `null` without a proposal.
    pub line: Option<String>,
}

/// Money at stake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StakeOut {
    /// ISO 4217.
    pub currency: String,
    /// A plain decimal.
    pub amount: String,
}

impl From<UnknownStatuses> for StatusesOut {
    fn from(found: UnknownStatuses) -> Self {
        Self { data: found.words.iter().map(StatusOut::from).collect(), capped: found.capped }
    }
}

impl From<&UnknownStatus> for StatusOut {
    fn from(word: &UnknownStatus) -> Self {
        let proposed = word.proposed.as_ref().map(|(status, _)| status.as_str().to_owned());
        let key = serde_json::Value::from(word.word.as_str());
        Self {
            partner: word.partner.clone(),
            word: word.word.clone(),
            receipts: word.receipts,
            first_at: word.first_at.to_string(),
            last_at: word.last_at.to_string(),
            line: proposed.as_ref().map(|status| format!("statuses = {{ {key} = \"{status}\" }}")),
            proposed,
            why: word.proposed.as_ref().map(|(_, why)| why.clone()),
            money: word
                .money
                .iter()
                .map(|(currency, minor)| StakeOut {
                    currency: currency.code().to_owned(),
                    amount: currency.format_minor(*minor),
                })
                .collect(),
        }
    }
}

/// `GET /api/v1/receipts/statuses`: words in no map, what they probably mean, what is at stake.
pub async fn list(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<StatusesIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let found = state.engine.unknown_statuses(wanted.partner.as_deref()).await?;
    Ok(Json(StatusesOut::from(found)).into_response())
}
