//! The page of field names.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use http::HeaderMap;

use super::Reply;
use crate::auth;
use crate::state::State;

/// `GET /api/v1/fields`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(state.engine.fields_page().await?).into_response())
}
