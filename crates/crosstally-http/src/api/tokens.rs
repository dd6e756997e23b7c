//! API tokens.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_engine::access::{SCOPES, is_token_name};
use crosstally_store::TokenRecord;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Reply, bad, not_found};
use crate::auth;
use crate::state::State;

/// A token as it is shown; the token itself only when it is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenOut {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// The token, shown once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
}

impl From<&TokenRecord> for TokenOut {
    fn from(record: &TokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            scopes: record.scopes.clone(),
            created_at: record.created_at.to_string(),
            revoked_at: record.revoked_at.map(|at| at.to_string()),
            token: None,
        }
    }
}

/// A token to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenIn {
    name: String,
    scopes: Vec<String>,
}

/// `GET /api/v1/tokens`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "admin").await?;
    let tokens: Vec<TokenOut> = state.engine.store.list_tokens().await?.iter().map(TokenOut::from).collect();
    Ok(Json(json!({ "data": tokens, "next_cursor": null })).into_response())
}

/// `POST /api/v1/tokens`.
pub async fn create(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<TokenIn>,
) -> Reply {
    auth::require(&state, &headers, "admin").await?;
    if !is_token_name(&wanted.name) {
        return Err(bad("name must have 1 to 64 characters that can be printed"));
    }
    if let Some(unknown) = wanted.scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        return Err(bad(format!("scope `{unknown}` is not known; known are {}", SCOPES.join(", "))));
    }
    let new = state.engine.create_token(&wanted.name, &wanted.scopes).await?;
    let out = TokenOut { token: Some(new.token), ..TokenOut::from(&new.record) };
    Ok((StatusCode::CREATED, Json(out)).into_response())
}

/// `DELETE /api/v1/tokens/{id}`.
pub async fn revoke(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "admin").await?;
    let id = id.parse().map_err(|_| not_found())?;
    if state.engine.store.revoke_token(id, state.engine.clock.now()).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(not_found())
    }
}
