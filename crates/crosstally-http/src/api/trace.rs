//! The trace as JSON.

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::event::OutboundEvent;
use crosstally_core::route::GoalEvent;
use crosstally_engine::trace::Trace;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::browser_events::BrowserEventOut;
use super::clicks::ClickOut;
use super::conversions::{ConversionOut, EntryOut};
use super::deliveries::{AttemptOut, DeliveryOut};
use super::receipts::ReceiptOut;
use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// Everything around one id, hop by hop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceOut {
    /// What was asked for.
    pub id: String,
    /// What kind of thing that is.
    pub kind: String,
    /// The click.
    pub click: Option<ClickOut>,
    /// What the click's browser told, oldest first.
    #[serde(default)]
    pub browser_events: Vec<BrowserEventOut>,
    /// The receipts, oldest first.
    pub receipts: Vec<ReceiptOut>,
    /// The conversions.
    pub conversions: Vec<ConversionTraceOut>,
}

/// One conversion with its hops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConversionTraceOut {
    /// The conversion.
    pub conversion: ConversionOut,
    /// Its movements.
    pub ledger: Vec<EntryOut>,
    /// The events of the goals it met.
    pub events: Vec<EventOut>,
    /// Their deliveries.
    pub deliveries: Vec<DeliveryTraceOut>,
}

/// A goal event as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventOut {
    /// Its id.
    pub id: String,
    /// The goal's slug.
    pub goal: String,
    /// The movement that met it.
    pub sequence: u32,
    /// When it was made.
    pub created_at: String,
    /// The event itself, contact values as hashes.
    pub event: OutboundEvent,
}

impl From<&GoalEvent> for EventOut {
    fn from(event: &GoalEvent) -> Self {
        Self {
            id: event.id.to_string(),
            goal: event.goal.clone(),
            sequence: event.sequence,
            created_at: event.created_at.to_string(),
            event: event.event.clone(),
        }
    }
}

/// A delivery with its attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryTraceOut {
    /// The delivery.
    pub delivery: DeliveryOut,
    /// Its attempts.
    pub attempts: Vec<AttemptOut>,
    /// What the visitor's consent means for it by the policy in force, if it means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
}

impl From<&Trace> for TraceOut {
    fn from(trace: &Trace) -> Self {
        Self {
            id: trace.asked.clone(),
            kind: trace.kind.into(),
            click: trace.click.as_ref().map(|click| ClickOut::with_steps(click, &trace.steps)),
            browser_events: trace.browser_events.iter().map(BrowserEventOut::from).collect(),
            receipts: trace
                .receipts
                .iter()
                .map(|receipt| {
                    let revisions = trace.revisions.get(&receipt.id).map(Vec::as_slice).unwrap_or_default();
                    ReceiptOut::with_revisions(receipt, revisions)
                })
                .collect(),
            conversions: trace
                .conversions
                .iter()
                .map(|hops| ConversionTraceOut {
                    conversion: ConversionOut::from(&hops.conversion),
                    ledger: hops.entries.iter().map(EntryOut::from).collect(),
                    events: hops.events.iter().map(EventOut::from).collect(),
                    deliveries: hops
                        .deliveries
                        .iter()
                        .map(|hop| DeliveryTraceOut {
                            delivery: DeliveryOut::new(&hop.delivery, hop.held.as_ref()),
                            attempts: hop.attempts.iter().map(AttemptOut::from).collect(),
                            consent: hop.consent.clone(),
                        })
                        .collect(),
                })
                .collect(),
        }
    }
}

/// `GET /api/v1/trace/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let trace = state.engine.trace(&id).await?.ok_or_else(not_found)?;
    Ok(Json(TraceOut::from(&trace)).into_response())
}
