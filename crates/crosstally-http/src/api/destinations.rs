//! Destinations and their state of health.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// `GET /api/v1/destinations`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let states = state.engine.store.destination_states().await?;
    let counts = state.engine.store.count_deliveries().await?;
    let snapshot = state.engine.snapshot.load();
    let data: Vec<Value> = snapshot
        .config
        .destinations
        .iter()
        .map(|destination| {
            let health = states.iter().find(|known| known.destination == destination.slug);
            let paused = health.and_then(|health| health.paused.map(|reason| (reason, health)));
            let deliveries: serde_json::Map<String, Value> = counts
                .iter()
                .filter(|row| row.destination == destination.slug)
                .map(|row| (row.state.as_str().to_owned(), json!(row.count)))
                .collect();
            json!({
                "slug": destination.slug,
                "kind": destination.kind,
                "state": if paused.is_some() { "paused" } else { "active" },
                "code": paused.map(|(reason, _)| reason.code()),
                "reason": paused.map(|(reason, _)| reason.about().sentence),
                "fix": paused.map(|(reason, _)| reason.about().fix),
                "detail": paused.map(|(_, health)| health.detail.clone()),
                "since": paused.map(|(_, health)| health.since),
                "deliveries": deliveries,
            })
        })
        .collect();
    Ok(Json(json!({ "data": data, "next_cursor": null })).into_response())
}

/// `POST /api/v1/destinations/{slug}/resume`.
pub async fn resume(Extract(state): Extract<State>, headers: HeaderMap, Path(slug): Path<String>) -> Reply {
    auth::require(&state, &headers, "deliveries:write").await?;
    if state.engine.snapshot.load().destination(&slug).is_none() {
        return Err(not_found());
    }
    state.engine.resume_destination(&slug).await?;
    Ok(Json(json!({ "slug": slug, "state": "active" })).into_response())
}
