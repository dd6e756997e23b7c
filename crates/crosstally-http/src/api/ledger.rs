//! The ledger: its sums, and one conversion's movements, as they were known at a time.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::conversion::Conversion;
use crosstally_core::ids::ConversionId;
use crosstally_core::ledger::{State as Standing, Window};
use crosstally_engine::Engine;
use crosstally_store::{LedgerFilter, LedgerSum};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::{AskError, WindowIn};
use super::conversions::{ConversionOut, EntryOut};
use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// Which movements are summed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerIn {
    /// What was recorded then or before, RFC 3339; nothing means now.
    pub as_of: Option<String>,
    /// At or after, RFC 3339.
    pub from: Option<String>,
    /// Before, RFC 3339.
    pub to: Option<String>,
    /// By which time `from` and `to` are meant: `recorded` or `event`.
    pub by: Option<String>,
    /// Of this partner.
    pub partner: Option<String>,
    /// Attributed to a click of this campaign.
    pub campaign: Option<String>,
    /// Attributed to a click of this source.
    pub source: Option<String>,
}

/// What movements come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerOut {
    /// A sum for each currency, by its code.
    pub data: Vec<LedgerSumOut>,
    /// What was recorded then or before; nothing means now.
    pub as_of: Option<String>,
    /// At or after.
    pub from: Option<String>,
    /// Before.
    pub to: Option<String>,
    /// By which time: `recorded` or `event`.
    pub by: String,
    /// There are no pages.
    pub next_cursor: Option<String>,
}

/// What the movements in one currency come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerSumOut {
    /// The currency.
    pub currency: String,
    /// By how much confirmed value changed.
    pub confirmed: String,
    /// By how much open value changed.
    pub pending: String,
    /// The same in the base currency; more than one row only if the workspace changed its own.
    pub base: Vec<BaseSumOut>,
    /// How many movements.
    pub movements: u64,
    /// How many conversions they belong to.
    pub conversions: u64,
    /// How many of the movements had no rate when they were booked: they are not in `base`.
    pub fx_pending: u64,
}

/// What movements come to in a base currency.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BaseSumOut {
    /// The base currency.
    pub currency: String,
    /// By how much confirmed value changed.
    pub confirmed: String,
    /// By how much open value changed.
    pub pending: String,
}

impl From<&LedgerSum> for LedgerSumOut {
    fn from(sum: &LedgerSum) -> Self {
        Self {
            currency: sum.currency.code().into(),
            confirmed: sum.currency.format_minor(sum.confirmed),
            pending: sum.currency.format_minor(sum.pending),
            base: sum
                .base
                .iter()
                .map(|base| BaseSumOut {
                    currency: base.currency.code().into(),
                    confirmed: base.currency.format_minor(base.confirmed),
                    pending: base.currency.format_minor(base.pending),
                })
                .collect(),
            movements: sum.movements,
            conversions: sum.conversions,
            fx_pending: sum.fx_pending,
        }
    }
}

/// What movements come to.
///
/// # Errors
/// See [`AskError`].
pub async fn sums(engine: &Engine, wanted: LedgerIn) -> Result<LedgerOut, AskError> {
    let LedgerIn { as_of, from, to, by, partner, campaign, source } = wanted;
    let window = WindowIn { as_of, from, to, by }.window()?;
    let found = engine.store.ledger_sums(LedgerFilter { window, partner, campaign, source }).await?;
    Ok(LedgerOut {
        data: found.iter().map(LedgerSumOut::from).collect(),
        as_of: window.as_of.map(|at| at.to_string()),
        from: window.from.map(|at| at.to_string()),
        to: window.to.map(|at| at.to_string()),
        by: window.by.as_str().into(),
        next_cursor: None,
    })
}

/// A conversion's movements and where they had brought it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MovementsOut {
    /// The movements that were known and lie in the range, in order.
    pub data: Vec<EntryOut>,
    /// Where the conversion stood after all that was known before the end of the range; nothing if it was not there yet.
    pub state: Option<ConversionOut>,
    /// There are no pages.
    pub next_cursor: Option<String>,
}

/// A conversion's movements as they were known. Nothing if there is no such conversion at all.
///
/// # Errors
/// See [`AskError`].
pub async fn movements(
    engine: &Engine,
    id: ConversionId,
    wanted: &WindowIn,
) -> Result<Option<MovementsOut>, AskError> {
    let window = wanted.window()?;
    let entries = engine.store.entries(id).await?;
    let Some(present) = engine.store.conversion(id).await? else { return Ok(None) };
    let state = match window.state(&entries) {
        Some(state) => Some(was(engine, present, state, &window).await?),
        None => None,
    };
    let data = window.entries(&entries).map(EntryOut::from).collect();
    Ok(Some(MovementsOut { data, state, next_cursor: None }))
}

/// A conversion as it was. Nothing if there is no such conversion at all.
///
/// # Errors
/// It was not there yet; and see [`AskError`].
pub(super) async fn conversion(
    engine: &Engine,
    id: ConversionId,
    wanted: &WindowIn,
) -> Result<Option<ConversionOut>, AskError> {
    if wanted.from.is_some() {
        let problem = "a conversion stands somewhere at a time; only its ledger has a `from`";
        return Err(AskError::Bad(problem.into()));
    }
    let window = wanted.window()?;
    let Some(present) = engine.store.conversion(id).await? else { return Ok(None) };
    let state = window.state(&engine.store.entries(id).await?).ok_or_else(|| {
        AskError::NotFound(format!(
            "nothing of this conversion was known then: it was first recorded at {}, and happened at {}",
            present.created_at, present.event_time
        ))
    })?;
    Ok(Some(was(engine, present, state, &window).await?))
}

/// What changes with every movement is as it was; what only names the conversion is as it is known now.
async fn was(
    engine: &Engine,
    present: Conversion,
    state: Standing,
    window: &Window,
) -> Result<ConversionOut, AskError> {
    let events = engine.store.goal_events_of_conversion(present.id).await?;
    let met_by_then = |event| events.iter().any(|one| one.id == event && one.sequence <= state.movements);
    let mut conversion = Conversion {
        status: state.status,
        currency: state.currency,
        amounts: state.amounts,
        balance: state.balance,
        fx: state.fx,
        base: state.base,
        movements: state.movements,
        click: state.click,
        campaign: state.campaign,
        source: state.source,
        event_time: state.event_time,
        created_at: state.created_at,
        updated_at: state.updated_at,
        ..present
    };
    conversion.goals_met.retain(|met| met_by_then(met.event));
    let mut out = ConversionOut::from(&conversion);
    out.as_of = window.as_of.map(|at| at.to_string());
    Ok(out)
}

/// `GET /api/v1/ledger`: sums of movements by currency.
pub async fn list(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<LedgerIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(sums(&state.engine, wanted).await?).into_response())
}

/// `GET /api/v1/conversions/{id}/ledger`: its movements, in order; with a time or a range also where they had brought it.
pub async fn show(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(wanted): Query<WindowIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id: ConversionId = id.parse().map_err(|_| not_found())?;
    if wanted.is_empty() {
        let entries: Vec<EntryOut> =
            state.engine.store.entries(id).await?.iter().map(EntryOut::from).collect();
        if entries.is_empty() {
            return Err(not_found());
        }
        return Ok(Json(json!({ "data": entries, "next_cursor": null })).into_response());
    }
    let found = movements(&state.engine, id, &wanted).await?.ok_or_else(not_found)?;
    Ok(Json(found).into_response())
}
