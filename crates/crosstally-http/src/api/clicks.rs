//! Clicks.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::visit::{Step, Way};
use crosstally_engine::trace::STEPS_MAX;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// A click as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClickOut {
    /// Its id.
    pub id: String,
    /// When it was captured.
    pub at: String,
    /// The campaign's slug.
    pub campaign: String,
    /// The source's slug.
    pub source: String,
    /// The query string as it came.
    pub query: String,
    /// Where the visitor was sent.
    pub target: String,
    /// The visitor's address.
    pub ip: Option<String>,
    /// The visitor's user agent.
    pub user_agent: String,
    /// The page the visitor came from.
    pub referrer: String,
    /// Ad click ids by parameter name.
    pub ad_click_ids: BTreeMap<String, String>,
    /// The click's cost.
    pub cost: Option<String>,
    /// Whether the browser sent `Sec-GPC: 1`.
    pub gpc: bool,
    /// Whether the campaign is a test.
    pub test: bool,
    /// What is noteworthy about it, by code.
    pub labels: Vec<String>,
    /// The way it took, if its campaign has paths; `direct` if a page had it made for itself.
    pub way: Option<Way>,
    /// Its steps from landers to offers, oldest first; where a click is shown by itself.
    #[serde(default)]
    pub steps: Vec<StepOut>,
}

/// A step from a lander to an offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepOut {
    /// When.
    pub at: String,
    /// The offer that the visitor was sent to.
    pub offer: String,
    /// The offer that was asked for, if it was full.
    pub instead_of: Option<String>,
}

impl From<&Step> for StepOut {
    fn from(step: &Step) -> Self {
        let instead_of = Some(step.instead_of.clone()).filter(|offer| !offer.is_empty());
        Self { at: step.at.to_string(), offer: step.offer.clone(), instead_of }
    }
}

impl ClickOut {
    /// A click with its steps.
    #[must_use]
    pub fn with_steps(click: &Click, steps: &[Step]) -> Self {
        Self { steps: steps.iter().map(StepOut::from).collect(), ..Self::from(click) }
    }
}

impl From<&Click> for ClickOut {
    fn from(click: &Click) -> Self {
        Self {
            id: click.id.to_string(),
            at: click.at.to_string(),
            campaign: click.campaign.clone(),
            source: click.source.clone(),
            query: click.query.clone(),
            target: click.target.clone(),
            ip: click.ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: click.user_agent.clone(),
            referrer: click.referrer.clone(),
            ad_click_ids: click
                .ad_click_ids
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            cost: click.cost.map(|cost| cost.to_string()),
            gpc: click.gpc,
            test: click.test,
            labels: click.labels.clone(),
            way: click.way.as_deref().cloned(),
            steps: Vec::new(),
        }
    }
}

/// `GET /api/v1/clicks/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = ClickId::parse_unchecked(&id).map_err(|_| not_found())?;
    let click = state.engine.store.click(id).await?.ok_or_else(not_found)?;
    let steps = state.engine.store.steps(id, STEPS_MAX).await?;
    Ok(Json(ClickOut::with_steps(&click, &steps)).into_response())
}
