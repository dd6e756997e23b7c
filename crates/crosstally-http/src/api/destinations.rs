//! Destinations and their state of health.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_store::StoreError;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// A destination and how it stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct DestinationOut {
    /// Its slug.
    pub slug: String,
    /// Its kind.
    pub kind: String,
    /// `active` or `paused`.
    pub state: String,
    /// Why it is paused.
    pub code: Option<String>,
    /// The same in a sentence.
    pub reason: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The platform's own words.
    pub detail: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How many deliveries there are, by state.
    pub deliveries: BTreeMap<String, u64>,
}

/// All destinations of the configuration, in its order.
///
/// # Errors
/// The store failed.
pub async fn all(engine: &Engine) -> Result<Vec<DestinationOut>, StoreError> {
    let states = engine.store.destination_states().await?;
    let counts = engine.store.count_deliveries().await?;
    let snapshot = engine.snapshot.load();
    let shown = snapshot.config.destinations.iter().map(|destination| {
        let health = states.iter().find(|known| known.destination == destination.slug);
        let paused = health.and_then(|health| health.paused.map(|reason| (reason, health)));
        let about = paused.map(|(reason, _)| reason.about());
        let counted = counts.iter().filter(|row| row.destination == destination.slug);
        DestinationOut {
            slug: destination.slug.clone(),
            kind: destination.kind.clone(),
            state: if paused.is_some() { "paused" } else { "active" }.to_owned(),
            code: about.map(|about| about.code.to_owned()),
            reason: about.map(|about| about.sentence.to_owned()),
            fix: about.map(|about| about.fix.to_owned()),
            detail: paused.map(|(_, health)| health.detail.clone()),
            since: paused.map(|(_, health)| health.since),
            deliveries: counted.map(|row| (row.state.as_str().to_owned(), row.count)).collect(),
        }
    });
    Ok(shown.collect())
}

/// `GET /api/v1/destinations`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let data = all(&state.engine).await?;
    Ok(Json(json!({ "data": data, "next_cursor": null })).into_response())
}

/// `POST /api/v1/destinations/{slug}/pause`.
pub async fn pause(Extract(state): Extract<State>, headers: HeaderMap, Path(slug): Path<String>) -> Reply {
    let who = auth::require(&state, &headers, "deliveries:write").await?;
    if state.engine.snapshot.load().destination(&slug).is_none() {
        return Err(not_found());
    }
    state.engine.pause_destination(&slug, &who).await?;
    Ok(Json(json!({ "slug": slug, "state": "paused" })).into_response())
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
