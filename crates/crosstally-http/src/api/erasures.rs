//! Requests to erase a person. Without `apply` nothing is changed. No answer repeats whom it is about.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::ids::ErasureId;
use crosstally_engine::Engine;
use crosstally_engine::erasures::{ErasureIn, ErasurePreview};
use crosstally_store::{Erasure, StoreError};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::page::{PageIn, PageOut};
use super::{Reply, bad, not_found};
use crate::auth;
use crate::state::State;

/// Who is to be erased.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EraseIn {
    /// Click ids, ours or other trackers'.
    pub click_ids: Vec<String>,
    /// E-mail addresses, or their SHA-256 in hexadecimal.
    pub emails: Vec<String>,
    /// The advertiser's own ids of the person.
    pub external_ids: Vec<String>,
    /// Whether it is begun; else it is only shown.
    pub apply: bool,
}

/// What it comes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EraseOut {
    /// How many records of what speak of the person.
    pub counts: BTreeMap<String, u64>,
    /// Whether all was looked at; of very many records a preview looks at the newest.
    pub complete: bool,
    /// The request, if it was begun.
    pub erasure: Option<ErasureOut>,
}

/// A request as it is shown: its receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErasureOut {
    /// Its id.
    pub id: String,
    /// `running` or `done`.
    pub state: String,
    /// Which kinds of marks were named.
    pub subject: String,
    /// Who asked.
    pub author: String,
    /// When it was asked.
    pub at: String,
    /// When it was done.
    pub finished_at: Option<String>,
    /// What is being looked at.
    pub place: Option<String>,
    /// How many rows of what were erased.
    pub counts: BTreeMap<String, u64>,
}

impl From<&Erasure> for ErasureOut {
    fn from(erasure: &Erasure) -> Self {
        let running = erasure.finished_at.is_none();
        let place = erasure.done_to.split(':').next().unwrap_or_default();
        Self {
            id: erasure.id.to_string(),
            state: if running { "running" } else { "done" }.to_owned(),
            subject: erasure.subject.clone(),
            author: erasure.author.clone(),
            at: erasure.at.to_string(),
            finished_at: erasure.finished_at.map(|at| at.to_string()),
            place: running.then(|| place.to_owned()),
            counts: erasure.counts.iter().cloned().collect(),
        }
    }
}

impl EraseOut {
    fn new(preview: ErasurePreview, erasure: Option<&Erasure>) -> Self {
        Self {
            counts: preview.counts.into_iter().collect(),
            complete: preview.complete,
            erasure: erasure.map(ErasureOut::from),
        }
    }
}

/// Why nothing was begun.
#[derive(Debug)]
pub enum EraseError {
    /// It cannot be meant.
    Bad(String),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Shows what an erasure would be about, or begins it.
///
/// # Errors
/// See [`EraseError`].
pub async fn begin(engine: &Engine, wanted: &EraseIn, author: &str) -> Result<EraseOut, EraseError> {
    let person = ErasureIn {
        click_ids: wanted.click_ids.clone(),
        emails: wanted.emails.clone(),
        external_ids: wanted.external_ids.clone(),
    };
    let person = person.person().map_err(EraseError::Bad)?;
    if !wanted.apply {
        return Ok(EraseOut::new(engine.preview_erasure(&person).await?, None));
    }
    let erasure = engine.begin_erasure(&person, author).await?;
    Ok(EraseOut::new(ErasurePreview::default(), Some(&erasure)))
}

/// `POST /api/v1/erasures`.
pub async fn erase(Extract(state): Extract<State>, headers: HeaderMap, Json(wanted): Json<EraseIn>) -> Reply {
    let author = auth::require(&state, &headers, "admin").await?;
    match begin(&state.engine, &wanted, &author).await {
        Ok(out) => Ok(Json(out).into_response()),
        Err(EraseError::Bad(problem)) => Err(bad(problem)),
        Err(EraseError::Store(error)) => Err(error.into()),
    }
}

/// `GET /api/v1/erasures`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(page): Query<PageIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let (limit, before) = (page.limit()?, page.before::<ErasureId>()?);
    let erasures = state.engine.store.list_erasures(before, limit).await?;
    let rows = erasures.iter().map(ErasureOut::from).collect();
    Ok(Json(PageOut::new(rows, limit, |row: &ErasureOut| row.id.clone())).into_response())
}

/// `GET /api/v1/erasures/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let erasure = state.engine.store.erasure(id).await?.ok_or_else(not_found)?;
    Ok(Json(ErasureOut::from(&erasure)).into_response())
}
