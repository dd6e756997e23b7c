//! Destinations and their state of health.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_engine::outbox::nobody_knows;
use crosstally_store::{OutboxCount, StoreError};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Reply;
use super::ask::AskError;
use crate::auth;
use crate::state::State;

/// A destination and how it stands.
#[derive(Debug, Serialize, Deserialize)]
pub struct DestinationOut {
    /// Its slug.
    pub slug: String,
    /// Its kind; absent if it is gone from the configuration.
    pub kind: Option<String>,
    /// `active`, `paused`, `failing`: its calls come to nothing one after the other and are made again by themselves, or
    /// `removed`: gone from the configuration, with deliveries that are stored.
    pub state: String,
    /// Why it is paused or failing, or holds events without being there.
    pub code: Option<String>,
    /// The same in a sentence.
    pub reason: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The platform's own words.
    pub detail: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Until when nothing is sent because it asked for a wait; `detail` has its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many deliveries there are, by state; what is pending where nothing goes on is `held`.
    pub deliveries: BTreeMap<String, u64>,
}

/// All destinations of the configuration, in its order, and behind them those that are gone from it and have deliveries.
///
/// # Errors
/// The store failed.
pub async fn all(engine: &Engine) -> Result<Vec<DestinationOut>, StoreError> {
    let states = engine.store.destination_states().await?;
    let outages = engine.store.outages().await?;
    let counts = engine.store.count_deliveries().await?;
    let snapshot = engine.snapshot.load();
    let now = engine.clock.now();
    // Other settings may have another quota, so that they do not wait.
    let is_same =
        |slug: &str, digest: &str| snapshot.destination(slug).is_some_and(|ready| ready.may_be(digest));
    let configured = snapshot.config.destinations.iter().map(|destination| {
        let slug = destination.slug.as_str();
        let health = states.iter().find(|known| known.destination == slug);
        let waits = health.filter(|state| {
            state.paused.is_none() && state.not_before > now && is_same(slug, &state.settings_digest)
        });
        let fails = outages.iter().find(|one| one.destination == slug && is_same(slug, &one.settings_digest));
        let paused = health.and_then(|state| Some((state.paused?, state)));
        let (word, told) = match (paused, fails) {
            (Some((reason, state)), _) => ("paused", Some((reason, &state.detail, state.since))),
            (None, Some(outage)) => ("failing", Some((outage.reason, &outage.detail, outage.since))),
            (None, None) => ("active", None),
        };
        // Whoever asked for a wait is asked again when it is over: its own words come first.
        let detail = waits.map(|state| &state.detail).or(told.map(|(_, detail, _)| detail));
        let row = DestinationOut {
            kind: Some(destination.kind.clone()),
            state: word.to_owned(),
            detail: detail.cloned(),
            until: waits.map(|state| state.not_before),
            since: told.map(|(_, _, since)| since),
            ..DestinationOut::named(slug, counted(&counts, slug, word != "paused"))
        };
        row.because(told.map(|(reason, _, _)| reason))
    });
    let gone = counts.iter().map(|row| row.destination.as_str());
    let gone: BTreeSet<&str> = gone.filter(|slug| snapshot.destination(slug).is_none()).collect();
    let removed = gone.into_iter().map(|slug| {
        let row = DestinationOut::named(slug, counted(&counts, slug, false));
        let holds = row.holds();
        row.because(holds.then_some(Reason::DestinationRemoved))
    });
    Ok(configured.chain(removed).collect())
}

/// How many deliveries a destination has, by the words under which they are listed.
fn counted(counts: &[OutboxCount], slug: &str, goes_on: bool) -> BTreeMap<String, u64> {
    let word = |state| match state {
        DeliveryState::Pending if !goes_on => "held",
        state => state.as_str(),
    };
    let here = counts.iter().filter(|row| row.destination == slug);
    here.map(|row| (word(row.state).to_owned(), row.count)).collect()
}

impl DestinationOut {
    /// One of which nothing is known but what was booked for it.
    fn named(slug: &str, deliveries: BTreeMap<String, u64>) -> Self {
        Self {
            slug: slug.to_owned(),
            kind: None,
            state: "removed".to_owned(),
            code: None,
            reason: None,
            fix: None,
            detail: None,
            since: None,
            until: None,
            deliveries,
        }
    }

    fn because(self, reason: Option<Reason>) -> Self {
        let about = reason.map(Reason::about);
        Self {
            code: about.map(|about| about.code.to_owned()),
            reason: about.map(|about| about.sentence.to_owned()),
            fix: about.map(|about| about.fix.to_owned()),
            ..self
        }
    }

    /// Whether events wait for somebody to do something about it.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.deliveries.get("held").is_some_and(|count| *count > 0)
    }
}

/// `GET /api/v1/destinations`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let data = all(&state.engine).await?;
    Ok(Json(json!({ "data": data, "next_cursor": null })).into_response())
}

/// Where somebody wants a destination to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Paused.
    Paused,
    /// Going on.
    Active,
}

/// What a destination is now.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetOut {
    /// Its slug.
    pub slug: String,
    /// `paused`, `active`; `removed` if it is gone from the configuration, and takes this up when it is there again.
    pub state: String,
}

/// Pauses a destination, or lets it go on.
///
/// # Errors
/// See [`AskError`]; one that nobody knows is not found.
pub async fn set(engine: &Engine, slug: &str, wanted: Wanted, who: &str) -> Result<SetOut, AskError> {
    if !engine.knows_destination(slug).await? {
        return Err(AskError::NotFound(nobody_knows(slug)));
    }
    match wanted {
        Wanted::Paused => engine.pause_destination(slug, who).await?,
        Wanted::Active => engine.resume_destination(slug).await?,
    }
    let state = match (engine.snapshot.load().destination(slug), wanted) {
        (None, _) => "removed",
        (Some(_), Wanted::Paused) => "paused",
        (Some(_), Wanted::Active) => "active",
    };
    Ok(SetOut { slug: slug.to_owned(), state: state.to_owned() })
}

/// `POST /api/v1/destinations/{slug}/pause`.
pub async fn pause(Extract(state): Extract<State>, headers: HeaderMap, Path(slug): Path<String>) -> Reply {
    let who = auth::require(&state, &headers, "deliveries:write").await?;
    Ok(Json(set(&state.engine, &slug, Wanted::Paused, &who).await?).into_response())
}

/// `POST /api/v1/destinations/{slug}/resume`.
pub async fn resume(Extract(state): Extract<State>, headers: HeaderMap, Path(slug): Path<String>) -> Reply {
    let who = auth::require(&state, &headers, "deliveries:write").await?;
    Ok(Json(set(&state.engine, &slug, Wanted::Active, &who).await?).into_response())
}
