//! What did not arrive, in groups, and what share of each day that is.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::share::percent;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_store::{DayCount, JobGroup};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Reply, bad};
use crate::auth;
use crate::state::State;

/// Days that one answer covers at most.
pub const DAYS_MAX: u32 = 92;
/// Days without any wish.
pub const DAYS_USUAL: u32 = 7;

/// Deliveries of one destination that did not arrive, or of which some do not count, alike in state, reason and name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorOut {
    /// The destination.
    pub destination: String,
    /// `dead`, `expired`, `cancelled`; `delivered` for what was refused in part later.
    pub state: String,
    /// The reason code.
    pub code: Option<String>,
    /// The reason's sentence.
    pub reason: Option<String>,
    /// What to do about it.
    pub fix: Option<String>,
    /// The event's name.
    pub event_name: String,
    /// How many.
    pub count: u64,
    /// The newest of them, whose trace shows what was sent and answered.
    #[serde(default)]
    pub newest: String,
}

impl From<&(String, JobGroup)> for ErrorOut {
    fn from((destination, group): &(String, JobGroup)) -> Self {
        Self {
            destination: destination.clone(),
            state: group.state.as_str().to_owned(),
            code: group.reason.map(|reason| reason.code().to_owned()),
            reason: group.reason.map(|reason| reason.about().sentence.to_owned()),
            fix: group.reason.map(|reason| reason.about().fix.to_owned()),
            event_name: group.event_name.clone(),
            count: group.count,
            newest: group.newest.to_string(),
        }
    }
}

/// How the deliveries of one day stand that go to one destination under one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DayOut {
    /// The day, UTC.
    pub day: String,
    /// The destination.
    pub destination: String,
    /// The event's name.
    pub event_name: String,
    /// Those that arrived.
    pub delivered: u64,
    /// Those that will not.
    pub failed: u64,
    /// Those that wait still.
    pub open: u64,
    /// Attempts that were made with them.
    pub attempts: u64,
    /// Of those that have ended, how many of a hundred failed, with one decimal; absent while none has ended.
    pub failed_percent: Option<String>,
}

impl From<&DayCount> for DayOut {
    fn from(day: &DayCount) -> Self {
        Self {
            day: day.day.to_string().chars().take(10).collect(),
            destination: day.destination.clone(),
            event_name: day.event_name.clone(),
            delivered: day.delivered,
            failed: day.failed,
            open: day.open,
            attempts: day.attempts,
            failed_percent: percent(day.failed, day.delivered + day.failed),
        }
    }
}

/// Whose errors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorsIn {
    destination: Option<String>,
}

/// `GET /api/v1/deliveries/errors`.
pub async fn errors(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<ErrorsIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let found = state.engine.delivery_errors(wanted.destination.as_deref()).await?;
    let rows: Vec<ErrorOut> = found.iter().map(ErrorOut::from).collect();
    Ok(Json(json!({ "data": rows, "next_cursor": null })).into_response())
}

/// How many days.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaysIn {
    days: Option<u32>,
}

/// `GET /api/v1/deliveries/days`.
pub async fn days(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<DaysIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let days = wanted.days.unwrap_or(DAYS_USUAL);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(bad(format!("days must be 1 to {DAYS_MAX}")));
    }
    let (from, to) = span(state.engine.clock.now(), days);
    let rows: Vec<DayOut> =
        state.engine.store.delivery_days(from, to).await?.iter().map(DayOut::from).collect();
    Ok(Json(json!({ "data": rows, "next_cursor": null })).into_response())
}

/// The last whole days with today.
#[must_use]
pub fn span(now: Timestamp, days: u32) -> (Timestamp, Timestamp) {
    let today = now.as_millis().div_euclid(DAY_MS) * DAY_MS;
    let from = today.saturating_sub((i64::from(days) - 1) * DAY_MS);
    (Timestamp::from_millis(from), Timestamp::from_millis(today.saturating_add(DAY_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_a_tenth_of_a_percent() {
        let share = |delivered, failed| {
            let day = DayCount {
                day: Timestamp::from_millis(DAY_MS),
                destination: "meta".into(),
                event_name: "Purchase".into(),
                delivered,
                failed,
                open: 3,
                attempts: 9,
            };
            DayOut::from(&day).failed_percent
        };
        assert_eq!(share(0, 0), None);
        assert_eq!(share(9, 0).as_deref(), Some("0.0"));
        assert_eq!(share(2, 1).as_deref(), Some("33.3"));
        assert_eq!(share(1, 2).as_deref(), Some("66.7"));
        assert_eq!(share(0, 5).as_deref(), Some("100.0"));
        assert_eq!(share(1_999, 1).as_deref(), Some("0.1"));
    }

    #[test]
    fn a_span_of_days_ends_with_today() {
        let now = Timestamp::from_millis(10 * DAY_MS + 5);
        assert_eq!(span(now, 1), (Timestamp::from_millis(10 * DAY_MS), Timestamp::from_millis(11 * DAY_MS)));
        assert_eq!(span(now, 7).0, Timestamp::from_millis(4 * DAY_MS));
    }
}
