//! What platforms were told that is more than what is left.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use crosstally_core::money::Currency;
use crosstally_store::OverstatedSum;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Reply;
use crate::auth;
use crate::state::State;

/// By how much one destination was told more than is left, of one campaign and currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverstatedOut {
    /// The campaign, empty for conversions without a click.
    pub campaign: String,
    /// The destination.
    pub destination: String,
    /// The currency.
    pub currency: String,
    /// The amount as a decimal.
    pub amount: String,
    /// The same in minor units.
    pub minor: i64,
    /// Of how many deliveries.
    pub deliveries: u64,
}

impl From<&OverstatedSum> for OverstatedOut {
    fn from(sum: &OverstatedSum) -> Self {
        let decimal = sum.currency.parse::<Currency>().map(|currency| currency.format_minor(sum.minor));
        Self {
            campaign: sum.campaign.clone(),
            destination: sum.destination.clone(),
            currency: sum.currency.clone(),
            amount: decimal.unwrap_or_default(),
            minor: sum.minor,
            deliveries: sum.deliveries,
        }
    }
}

/// `GET /api/v1/overstated`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let rows: Vec<OverstatedOut> =
        state.engine.store.overstated().await?.iter().map(OverstatedOut::from).collect();
    Ok(Json(json!({ "data": rows, "next_cursor": null })).into_response())
}
