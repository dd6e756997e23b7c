//! What arrived, hour by hour, as a count and a digest: whoever receives the events computes the same and sees whether
//! anything is missing on either side.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::time::{DAY_MS, HOUR_MS, Timestamp};
use crosstally_engine::Engine;
use crosstally_engine::outbox::nobody_knows;
use crosstally_store::DeliveredHour;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::ask::{AskError, range, time};
use crate::auth;
use crate::state::State;

/// The longest span for one destination.
const SPAN_MS_MAX: i64 = 31 * DAY_MS;
/// The longest for all of them.
const SPAN_OF_ALL_MS_MAX: i64 = DAY_MS;
/// How far back a span may begin.
const BACK_MS_MAX: i64 = 92 * DAY_MS;
/// The span without any wish.
const SPAN_MS_USUAL: i64 = DAY_MS;

/// Which events are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileIn {
    /// Those of this destination; all without it.
    pub destination: Option<String>,
    /// That happened at or after this whole hour, RFC 3339; a day before `to` without it.
    pub from: Option<String>,
    /// That happened before this whole hour; the last full hour ends with it without it.
    pub to: Option<String>,
}

/// The events of one hour that arrived at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourOut {
    /// The destination.
    pub destination: String,
    /// The start of the hour in which they happened, UTC.
    pub hour: String,
    /// How many distinct event ids they have.
    pub events: u64,
    /// SHA-256 over those ids, sorted by their bytes, with a line feed between each two.
    pub sha256: String,
}

impl From<DeliveredHour> for HourOut {
    fn from(hour: DeliveredHour) -> Self {
        Self {
            destination: hour.destination,
            hour: hour.hour.to_string(),
            events: hour.events,
            sha256: hour.sha256,
        }
    }
}

/// What arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReconcileOut {
    /// Hours in which events happened that arrived, by destination and hour.
    pub data: Vec<HourOut>,
    /// At or after.
    pub from: String,
    /// Before.
    pub to: String,
    /// There are no pages.
    pub next_cursor: Option<String>,
}

impl ReconcileIn {
    fn span(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), AskError> {
        let this_hour = Timestamp::from_millis(now.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
        let to = time("to", self.to.as_deref())?.unwrap_or(this_hour);
        let from = time("from", self.from.as_deref())?.unwrap_or(to.plus_millis(-SPAN_MS_USUAL));
        range(Some(from), Some(to))?;
        for (name, at) in [("from", from), ("to", to)] {
            if at.as_millis() % HOUR_MS != 0 {
                return Err(AskError::Bad(format!(
                    "`{name}` is not a whole hour such as 2026-11-21T10:00:00Z"
                )));
            }
        }
        let (most, told) = match self.destination {
            Some(_) => (SPAN_MS_MAX, "at most 31 days are told at once"),
            None => (
                SPAN_OF_ALL_MS_MAX,
                "at most one day of all destinations is told at once; name a `destination`",
            ),
        };
        if to.millis_since(from) > most {
            return Err(AskError::Bad(told.to_owned()));
        }
        if now.millis_since(from) > BACK_MS_MAX {
            return Err(AskError::Bad(format!("`from` lies more than {} days back", BACK_MS_MAX / DAY_MS)));
        }
        Ok((from, to))
    }
}

/// What arrived, hour by hour.
///
/// # Errors
/// See [`AskError`]; a destination that nobody knows is not found, so that a slip is no "nothing arrived".
pub async fn hours(engine: &Engine, wanted: ReconcileIn) -> Result<ReconcileOut, AskError> {
    let (from, to) = wanted.span(engine.clock.now())?;
    let found = engine.store.delivered_hours(wanted.destination.clone(), from, to).await?;
    if let Some(slug) = wanted.destination.filter(|_| found.is_empty())
        && !engine.knows_destination(&slug).await?
    {
        return Err(AskError::NotFound(nobody_knows(&slug)));
    }
    Ok(ReconcileOut {
        data: found.into_iter().map(HourOut::from).collect(),
        from: from.to_string(),
        to: to.to_string(),
        next_cursor: None,
    })
}

/// `GET /api/v1/deliveries/reconcile`.
pub async fn list(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<ReconcileIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(hours(&state.engine, wanted).await?).into_response())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_span_is_of_whole_hours_and_has_its_limits() {
        let now = Timestamp::parse("2026-11-21T10:20:30Z").unwrap();
        let asked = |destination: &str, from: &str, to: &str| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let wanted = ReconcileIn { destination: given(destination), from: given(from), to: given(to) };
            let span = wanted.span(now).map_err(|error| error.to_string())?;
            Ok::<_, String>(format!("{} {}", span.0, span.1))
        };
        for (destination, from, to, said) in [
            ("", "", "", "2026-11-20T10:00:00.000Z 2026-11-21T10:00:00.000Z"),
            ("a", "2026-10-21T10:00:00Z", "", "2026-10-21T10:00:00.000Z 2026-11-21T10:00:00.000Z"),
            ("a", "", "2026-11-01T02:00:00+02:00", "2026-10-31T00:00:00.000Z 2026-11-01T00:00:00.000Z"),
        ] {
            assert_eq!(asked(destination, from, to).unwrap(), said);
        }
        for (destination, from, to, says) in [
            ("a", "yesterday", "", "`from` is not a time"),
            ("a", "2026-11-21T09:30:00Z", "", "`from` is not a whole hour"),
            ("a", "", "2026-11-21T09:00:00.001Z", "`from` is not a whole hour"),
            ("a", "2026-11-21T10:00:00Z", "2026-11-21T09:00:00Z", "the range is empty"),
            ("a", "2026-10-21T09:00:00Z", "", "at most 31 days"),
            ("", "2026-11-20T09:00:00Z", "", "at most one day of all destinations"),
            ("a", "2026-08-21T00:00:00Z", "2026-08-22T00:00:00Z", "more than 92 days back"),
        ] {
            let problem = asked(destination, from, to).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
