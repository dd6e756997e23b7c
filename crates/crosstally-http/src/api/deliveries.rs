//! Deliveries and their attempts.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::DeliveryId;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_engine::Engine;
use crosstally_engine::outbox::{Listed, Shown, nobody_knows};
use crosstally_store::{AttemptRecord, DeliveryFilter, DeliveryRecord};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ask::AskError;
use super::hybrid::PartOut;
use super::page::PageIn;
use super::{Reply, not_found};
use crate::auth;
use crate::state::State;

/// A delivery as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryOut {
    /// Its id.
    pub id: String,
    /// The goal event.
    pub event: String,
    /// The conversion.
    pub conversion: String,
    /// The destination's slug.
    pub destination: String,
    /// The event's name.
    pub event_name: String,
    /// The event's id.
    pub event_id: String,
    /// `pending`, `held`, `delivered`, `dead`, `expired`, `cancelled`.
    pub state: String,
    /// The last reason's code.
    pub code: Option<String>,
    /// The last reason's sentence.
    pub reason: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// About the last reason.
    pub detail: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is due.
    pub due_at: String,
    /// After this moment it is too late.
    pub deadline_at: String,
    /// When it was booked.
    pub created_at: String,
    /// When it reached its final state.
    pub finished_at: Option<String>,
}

impl DeliveryOut {
    /// A delivery, with why its destination holds it.
    #[must_use]
    pub fn new(delivery: &DeliveryRecord, held: Option<&(Reason, String)>) -> Self {
        let (state, reason, detail) = match held {
            Some((reason, detail)) => ("held", Some(*reason), detail.clone()),
            None => (delivery.state.as_str(), delivery.reason, delivery.detail.clone()),
        };
        Self {
            id: delivery.id.to_string(),
            event: delivery.goal_event.to_string(),
            conversion: delivery.conversion.to_string(),
            destination: delivery.destination.clone(),
            event_name: delivery.event_name.clone(),
            event_id: delivery.event_id.clone(),
            state: state.into(),
            code: reason.map(|reason| reason.code().into()),
            reason: reason.map(|reason| sentence(state, reason).into()),
            fix: reason.map(|reason| reason.about().fix.into()),
            detail,
            attempts: delivery.attempts,
            due_at: delivery.due_at.to_string(),
            deadline_at: delivery.deadline_at.to_string(),
            created_at: delivery.created_at.to_string(),
            finished_at: delivery.finished_at.map(|at| at.to_string()),
        }
    }
}

/// Why a delivery stands where it does. What may pass is asked for a few times before it is for good.
fn sentence(state: &str, reason: Reason) -> &'static str {
    match reason {
        Reason::DestRejected if state == "pending" => {
            "The destination refused the event; it is tried again, as that may pass."
        }
        reason => reason.about().sentence,
    }
}

/// An attempt as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptOut {
    /// 1 for the first.
    pub number: u32,
    /// The call.
    pub call: String,
    /// How many events the call carried.
    pub batch: u32,
    /// The method.
    pub method: String,
    /// The URL, secrets masked.
    pub url: String,
    /// The event as it stood in the request, secrets masked.
    pub payload: String,
    /// When the call started.
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The answer's status code.
    pub status: Option<u16>,
    /// The kept part of the answer's body.
    pub response: String,
    /// What it came to; absent while it is open.
    pub outcome: Option<String>,
    /// The reason code.
    pub code: Option<String>,
    /// The platform's code and words.
    pub detail: String,
}

impl From<&AttemptRecord> for AttemptOut {
    fn from(attempt: &AttemptRecord) -> Self {
        Self {
            number: attempt.number,
            call: attempt.call.to_string(),
            batch: attempt.batch,
            method: attempt.method.clone(),
            url: attempt.url.clone(),
            payload: attempt.payload.clone(),
            started_at: attempt.started_at.to_string(),
            finished_at: attempt.finished_at.map(|at| at.to_string()),
            duration_ms: attempt.finished_at.map(|at| at.millis_since(attempt.started_at)),
            status: attempt.status,
            response: attempt.response.clone(),
            outcome: attempt.outcome.clone(),
            code: attempt.reason.map(|reason| reason.code().into()),
            detail: attempt.detail.clone(),
        }
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    /// Of this destination.
    pub destination: Option<String>,
    /// `pending`, `held`, `delivered`, `dead`, `expired`, `cancelled`.
    pub state: Option<String>,
    /// How many.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Reads the word for a state.
///
/// # Errors
/// It is none.
pub fn shown(word: Option<&str>) -> Result<Option<Shown>, AskError> {
    let read = |word| {
        Shown::from_word(word).ok_or_else(|| {
            AskError::Bad("state must be pending, held, delivered, dead, expired or cancelled".into())
        })
    };
    word.map(read).transpose()
}

/// A slip in a name is no empty list.
async fn known(engine: &Engine, destination: Option<&str>) -> Result<(), AskError> {
    match destination {
        Some(slug) if !engine.knows_destination(slug).await? => Err(AskError::NotFound(nobody_knows(slug))),
        _ => Ok(()),
    }
}

/// A page of the deliveries, newest first.
///
/// # Errors
/// See [`AskError`].
pub async fn page(engine: &Engine, wanted: &ListIn) -> Result<PartOut<DeliveryOut>, AskError> {
    let page = PageIn { limit: wanted.limit, cursor: wanted.cursor.clone() };
    let (limit, before) = (page.limit_asked()?, page.cursor_asked::<DeliveryId>()?);
    let which = Listed { destination: wanted.destination.clone(), shown: shown(wanted.state.as_deref())? };
    let found = engine.list_deliveries(&which, before, limit).await?;
    if found.is_empty() {
        known(engine, wanted.destination.as_deref()).await?;
    }
    let full = u32::try_from(found.len()).is_ok_and(|rows| rows == limit);
    let next_cursor = found.last().filter(|_| full).map(|(last, _)| last.id.to_string());
    let data = found.iter().map(|(delivery, held)| DeliveryOut::new(delivery, held.as_ref())).collect();
    Ok(PartOut { data, next_cursor })
}

/// `GET /api/v1/deliveries`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<ListIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(page(&state.engine, &wanted).await?).into_response())
}

/// `GET /api/v1/deliveries/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let delivery = state.engine.store.delivery(id).await?.ok_or_else(not_found)?;
    let holds = state.engine.held_destinations().await?;
    let held = state.engine.hold_of(&delivery, &holds);
    Ok(Json(DeliveryOut::new(&holds.due(delivery), held.as_ref())).into_response())
}

/// `GET /api/v1/deliveries/{id}/attempts`.
pub async fn attempts(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    state.engine.store.delivery(id).await?.ok_or_else(not_found)?;
    let attempts: Vec<AttemptOut> =
        state.engine.store.attempts(id).await?.iter().map(AttemptOut::from).collect();
    Ok(Json(json!({ "data": attempts, "next_cursor": null })).into_response())
}

/// Which deliveries to try again at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryIn {
    /// Of this destination.
    pub destination: Option<String>,
    /// `pending`, `dead`, `expired`.
    pub state: Option<String>,
    /// This one.
    pub id: Option<String>,
}

/// What a retry came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RetriedOut {
    /// How many deliveries are due now.
    pub requeued: u64,
    /// Why the one that was named is not among them, and what to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<String>,
}

/// Makes deliveries due at once.
///
/// # Errors
/// See [`AskError`]: nothing is named, or something that nobody knows, or what a retry is not for.
pub async fn retried(engine: &Engine, wanted: &RetryIn) -> Result<RetriedOut, AskError> {
    let bad = |problem: &str| AskError::Bad(problem.to_owned());
    if wanted.id.is_none() && wanted.destination.is_none() && wanted.state.is_none() {
        return Err(bad("name an id, a destination or a state"));
    }
    let id = wanted.id.as_deref().map(str::parse::<DeliveryId>).transpose();
    let id = id.map_err(|_| bad("id is not a delivery's id, dlv_..."))?;
    let shown = shown(wanted.state.as_deref())?;
    if matches!(shown.map(Shown::state), Some(DeliveryState::Delivered | DeliveryState::Cancelled)) {
        return Err(bad("a retry is for what is pending, dead or expired; a replay sends others once more"));
    }
    known(engine, wanted.destination.as_deref()).await?;
    if let Some(id) = id
        && engine.store.delivery(id).await?.is_none()
    {
        return Err(AskError::NotFound(format!("there is no delivery `{id}`")));
    }
    let filter =
        DeliveryFilter { destination: wanted.destination.clone(), state: shown.map(Shown::state), id };
    let requeued = engine.retry_deliveries(filter).await?;
    let left_alone = match id.filter(|_| requeued == 0) {
        Some(id) => match engine.store.delivery(id).await? {
            Some(one) => {
                let held = engine.held_destinations().await?;
                let hold = engine.hold_of(&one, &held).map(|(reason, _)| reason);
                Some(why_left_alone(&one, hold, wanted, engine.clock.now()))
            }
            None => None,
        },
        None => None,
    };
    Ok(RetriedOut { requeued, left_alone })
}

/// Why a delivery is not made due, and what to do instead.
fn why_left_alone(one: &DeliveryRecord, hold: Option<Reason>, wanted: &RetryIn, now: Timestamp) -> String {
    let DeliveryRecord { id, destination, state, .. } = one;
    let word = state.as_str();
    let is_another = wanted.destination.as_ref().is_some_and(|wanted| wanted != destination)
        || shown(wanted.state.as_deref()).ok().flatten().is_some_and(|shown| shown.state() != *state);
    if is_another {
        return format!("{id} is {word} and for {destination}, which is not what was asked for");
    }
    let replay = format!("crosstally deliveries replay --destination {destination} --id {id}");
    let is_leased = one.lease.as_ref().is_some_and(|(_, until)| *until > now);
    match (state, hold) {
        (DeliveryState::Pending, _) if is_leased => format!("{id} is being sent at this moment"),
        (DeliveryState::Pending, Some(reason)) => {
            let about = reason.about();
            format!("{id} waits, as {destination} holds it ({}); {}", about.code, about.fix)
        }
        (DeliveryState::Pending, None) if one.due_at <= now => {
            format!("{id} is due already; it is sent when {destination} takes more")
        }
        (DeliveryState::Delivered | DeliveryState::Cancelled, _) => {
            format!(
                "{id} is {word}, which a retry leaves alone; to send it once more: {replay} --state {word} --apply"
            )
        }
        (DeliveryState::Pending, None) => format!(
            "the conversion of {id} was rejected or reversed since; it was sent before, and is tried again by itself at {}, \
            or called off: crosstally deliveries cancel --destination {destination} --id {id} --apply",
            one.due_at
        ),
        (DeliveryState::Dead | DeliveryState::Expired, _) => format!(
            "the conversion of {id} was rejected or reversed since; to send it all the same: \
            {replay} --taken-back --apply"
        ),
    }
}

/// `POST /api/v1/deliveries/retry`.
pub async fn retry(Extract(state): Extract<State>, headers: HeaderMap, Json(wanted): Json<RetryIn>) -> Reply {
    auth::require(&state, &headers, "deliveries:write").await?;
    Ok(Json(retried(&state.engine, &wanted).await?).into_response())
}
