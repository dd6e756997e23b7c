//! Evidence packs, and the key that they are checked with.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_engine::evidence::{EvidenceError, Pack, PublicKey, Wanted};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::ask::{self, AskError};
use super::{Refused, Reply, bad, not_found};
use crate::auth;
use crate::problem::{Fault, fault};
use crate::state::State;

/// The public half of the signing key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyOut {
    /// Always `ed25519`.
    pub algorithm: String,
    /// Its 32 bytes as hex.
    pub key: String,
    /// A short name of it.
    pub fingerprint: String,
}

impl From<PublicKey> for KeyOut {
    fn from(key: PublicKey) -> Self {
        Self { algorithm: "ed25519".to_owned(), key: key.key, fingerprint: key.fingerprint }
    }
}

/// Which calls a pack is about.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedIn {
    /// Of this partner.
    pub partner: Option<String>,
    /// With this verdict.
    pub verdict: Option<String>,
    /// From then on, RFC 3339.
    pub from: Option<String>,
    /// Before, RFC 3339.
    pub to: Option<String>,
}

impl WantedIn {
    /// Reads it.
    ///
    /// # Errors
    /// A time that is none, a verdict that is none, nothing that narrows it.
    pub fn wanted(&self) -> Result<Wanted, AskError> {
        let verdict = match self.verdict.as_deref() {
            None => None,
            Some(word) => Some(
                Verdict::from_word(word).ok_or_else(|| AskError::Bad(format!("`{word}` is no verdict")))?,
            ),
        };
        let time = |name: &str, text: &Option<String>| -> Result<Option<Timestamp>, AskError> {
            ask::time(name, text.as_deref())
        };
        let wanted = Wanted {
            partner: self.partner.clone(),
            verdict,
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
        };
        ask::range(wanted.from, wanted.to)?;
        if wanted == Wanted::default() {
            return Err(AskError::Bad("name an id, or a partner, a verdict or a time".to_owned()));
        }
        Ok(wanted)
    }
}

impl From<EvidenceError> for Refused {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Nothing => not_found(),
            EvidenceError::TooMuch => bad(error.to_string()),
            EvidenceError::Store(error) => error.into(),
            EvidenceError::Key => {
                tracing::error!("the key of evidence packs cannot be opened");
                fault(Fault::Internal, "").into()
            }
        }
    }
}

fn file(pack: Pack) -> axum::response::Response {
    let mut answer = pack.file.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", pack.name)) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    answer
}

/// `GET /api/v1/evidence/key`.
pub async fn key(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(KeyOut::from(state.engine.evidence_public_key().await?)).into_response())
}

/// `GET /api/v1/evidence/{id}`.
pub async fn of(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(file(state.engine.evidence_of(&id).await?))
}

/// `GET /api/v1/evidence`.
pub async fn matching(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<WantedIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(file(state.engine.evidence_matching(&wanted.wanted()?).await?))
}
