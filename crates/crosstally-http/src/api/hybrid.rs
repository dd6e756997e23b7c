//! The hybrid check and the redirect-loss meter, as they are shown.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::hybrid::Verdict;
use crosstally_core::ids::ClickId;
use crosstally_core::time::{DAY_MS, Timestamp};
use crosstally_engine::Engine;
use crosstally_engine::hybrid::{Pair, Wanted};
use crosstally_engine::losses::{self, Hop, Loss};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::ask::AskError;
use super::delivery_errors::span;
use super::page::{LIMIT_MAX, LIMIT_USUAL};
use crate::auth;
use crate::state::State;

/// Days that one question is about without any wish, and at most.
const DAYS_USUAL: u32 = 7;
const DAYS_MAX: u32 = 31;

/// Which pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairsIn {
    /// Of this campaign.
    pub campaign: Option<String>,
    /// Of this verdict.
    pub verdict: Option<String>,
    /// Of this day, UTC, as 2026-11-21.
    pub day: Option<String>,
    /// Of so many days, today the last, where no `day` is given.
    pub days: Option<u32>,
    /// How many.
    pub limit: Option<u32>,
    /// Where the answer before ended.
    pub cursor: Option<String>,
}

/// Which clicks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossIn {
    /// Of this campaign.
    pub campaign: Option<String>,
    /// Of this offer.
    pub offer: Option<String>,
    /// Of this day, UTC, as 2026-11-21.
    pub day: Option<String>,
    /// Of so many days, today the last, where no `day` is given.
    pub days: Option<u32>,
    /// Where the answer before ended.
    pub cursor: Option<String>,
}

/// The server's half of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHalfOut {
    /// Its event id.
    pub event_id: String,
    /// The destination.
    pub destination: String,
    /// The delivery.
    pub delivery: String,
    /// Where that stands.
    pub state: String,
    /// Why it does not arrive.
    pub code: Option<String>,
    /// When it arrived.
    pub arrived_at: Option<String>,
    /// The conversion.
    pub conversion: String,
}

/// The browser's half of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowserHalfOut {
    /// Its name.
    pub name: String,
    /// Its event id.
    pub event_id: String,
    /// When it happened.
    pub at: String,
}

/// A pair, or one half that is alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairOut {
    /// How they stand.
    pub verdict: String,
    /// What that means.
    pub means: String,
    /// When the server booked it; of a browser's event that is alone, when its click was.
    pub at: String,
    /// The campaign; empty without a click.
    pub campaign: String,
    /// The click.
    pub click: Option<String>,
    /// The event's name: the server's, else the browser's.
    pub event_name: String,
    /// The server's half.
    pub server: Option<ServerHalfOut>,
    /// The browser's half.
    pub browser: Option<BrowserHalfOut>,
}

impl From<Pair> for PairOut {
    fn from(pair: Pair) -> Self {
        Self {
            verdict: pair.verdict.word().to_owned(),
            means: pair.verdict.sentence().to_owned(),
            at: pair.at.to_string(),
            campaign: pair.campaign,
            click: pair.click.map(|click| click.to_string()),
            event_name: pair.event_name,
            server: pair.server.map(|server| ServerHalfOut {
                event_id: server.event_id,
                destination: server.destination,
                delivery: server.delivery.to_string(),
                state: server.state.as_str().to_owned(),
                code: server.reason.map(|reason| reason.code().to_owned()),
                arrived_at: server.arrived_at.map(|at| at.to_string()),
                conversion: server.conversion.to_string(),
            }),
            browser: pair.browser.map(|told| BrowserHalfOut {
                name: told.name,
                event_id: told.event_id,
                at: told.at.to_string(),
            }),
        }
    }
}

/// How many events of a name stand how, of one day and destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCountOut {
    /// The day, UTC.
    pub day: String,
    /// The event's name.
    pub event_name: String,
    /// The destination; empty for browsers' events that are alone.
    pub destination: String,
    /// How they stand.
    pub verdict: String,
    /// How many.
    pub count: u64,
}

/// A hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopOut {
    /// `redirect`, `page_view`, `step`, `action` or `conversion`.
    pub hop: String,
    /// How many came to it; absent where it cannot be seen.
    pub count: Option<u64>,
    /// How many fewer than at the last hop that can be seen.
    pub lost: Option<u64>,
    /// The same of a hundred, with one decimal.
    pub lost_percent: Option<String>,
    /// Why it cannot be seen, or what its figures do not say.
    pub note: Option<String>,
}

impl From<Hop> for HopOut {
    fn from(hop: Hop) -> Self {
        let Hop { name, count, lost, lost_percent, note } = hop;
        Self { hop: name.to_owned(), count, lost, lost_percent, note }
    }
}

/// The clicks of one campaign and day that went the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossOut {
    /// The campaign.
    pub campaign: String,
    /// The day of the clicks, UTC.
    pub day: String,
    /// The lander that they were sent to.
    pub lander: String,
    /// The offer that they were sent to or stepped on to.
    pub offer: String,
    /// Clicks without a redirect, which a page made for itself; not among the hops.
    pub direct: u64,
    /// Clicks that bear a label, such as those of programs; not among the hops.
    pub labelled: u64,
    /// Hop by hop.
    pub hops: Vec<HopOut>,
}

impl From<Loss> for LossOut {
    fn from(loss: Loss) -> Self {
        let Loss { count, hops } = loss;
        Self {
            campaign: count.campaign,
            day: day_of(count.day),
            lander: count.lander,
            offer: count.offer,
            direct: count.direct,
            labelled: count.labelled,
            hops: hops.into_iter().map(HopOut::from).collect(),
        }
    }
}

/// An answer with where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOut<T> {
    /// What was found.
    pub data: Vec<T>,
    /// Where to go on; absent if this is all. A page may be short of its limit and not be the last, as one question looks
    /// at so many rows; counts of the next answer add to these.
    pub next_cursor: Option<String>,
}

fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn times(now: Timestamp, day: Option<&str>, days: Option<u32>) -> Result<(Timestamp, Timestamp), AskError> {
    match (day, days) {
        (Some(_), Some(_)) => Err(AskError::Bad("give `day` or `days`, not both".to_owned())),
        (None, days) => match days.unwrap_or(DAYS_USUAL) {
            days @ 1..=DAYS_MAX => Ok(span(now, days)),
            _ => Err(AskError::Bad(format!("`days` must be 1 to {DAYS_MAX}"))),
        },
        (Some(day), None) => {
            let from = Timestamp::parse(&format!("{day}T00:00:00Z"));
            let from =
                from.ok_or_else(|| AskError::Bad("`day` is not a day such as 2026-11-21".to_owned()))?;
            Ok((from, from.plus_millis(DAY_MS)))
        }
    }
}

impl PairsIn {
    fn wanted(&self, now: Timestamp) -> Result<Wanted, AskError> {
        let verdict = match self.verdict.as_deref() {
            None => None,
            Some(word) => Some(Verdict::from_word(word).ok_or_else(|| {
                let known: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.word()).collect();
                AskError::Bad(format!("`verdict` is one of {}", known.join(", ")))
            })?),
        };
        let (from, to) = times(now, self.day.as_deref(), self.days)?;
        Ok(Wanted { campaign: self.campaign.clone(), verdict, from, to })
    }
}

fn cursor<T: std::str::FromStr>(text: Option<&String>) -> Result<Option<T>, AskError> {
    let none = |_| AskError::Bad("the cursor is not one of ours".to_owned());
    text.map(|text| text.parse().map_err(none)).transpose()
}

/// Pairs, newest first: those of the server's events, then browsers' events that are alone.
///
/// # Errors
/// See [`AskError`].
pub async fn pairs(engine: &Engine, wanted: &PairsIn) -> Result<PartOut<PairOut>, AskError> {
    let limit = match wanted.limit.unwrap_or(LIMIT_USUAL) {
        limit @ 1..=LIMIT_MAX => limit,
        _ => return Err(AskError::Bad(format!("limit must be 1 to {LIMIT_MAX}"))),
    };
    let cursor = cursor(wanted.cursor.as_ref())?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (rows, next) = engine.pairs(&wanted.wanted(engine.clock.now())?, cursor, limit).await?;
    let data = rows.into_iter().map(PairOut::from).collect();
    Ok(PartOut { data, next_cursor: next.map(|next| next.to_string()) })
}

/// The same, counted by day, name, destination and verdict.
///
/// # Errors
/// See [`AskError`].
pub async fn pair_counts(engine: &Engine, wanted: &PairsIn) -> Result<PartOut<PairCountOut>, AskError> {
    if wanted.limit.is_some() {
        return Err(AskError::Bad("counts have no `limit`".to_owned()));
    }
    let cursor = cursor(wanted.cursor.as_ref())?;
    let (counts, next) = engine.count_pairs(&wanted.wanted(engine.clock.now())?, cursor).await?;
    let row = |((day, event_name, destination, verdict), count): (_, u64)| {
        let verdict: Verdict = verdict;
        PairCountOut { day: day_of(day), event_name, destination, verdict: verdict.word().to_owned(), count }
    };
    Ok(PartOut {
        data: counts.into_iter().rev().map(row).collect(),
        next_cursor: next.map(|next| next.to_string()),
    })
}

/// Redirects hop by hop.
///
/// # Errors
/// See [`AskError`].
pub async fn redirect_losses(engine: &Engine, wanted: &LossIn) -> Result<PartOut<LossOut>, AskError> {
    let (from, to) = times(engine.clock.now(), wanted.day.as_deref(), wanted.days)?;
    let after = match &wanted.cursor {
        None => None,
        Some(text) => {
            let none = |_| AskError::Bad("the cursor is not one of ours".to_owned());
            Some(ClickId::parse_unchecked(text).map_err(none)?)
        }
    };
    let wanted = losses::Wanted { campaign: wanted.campaign.clone(), offer: wanted.offer.clone(), from, to };
    let (rows, next) = engine.redirect_losses(&wanted, after).await?;
    let data = rows.into_iter().map(LossOut::from).collect();
    Ok(PartOut { data, next_cursor: next.map(|next| next.to_string()) })
}

/// `GET /api/v1/hybrid`.
pub async fn list(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<PairsIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(pairs(&state.engine, &wanted).await?).into_response())
}

/// `GET /api/v1/hybrid/counts`.
pub async fn counts(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<PairsIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(pair_counts(&state.engine, &wanted).await?).into_response())
}

/// `GET /api/v1/redirects/loss`.
pub async fn loss(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<LossIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(redirect_losses(&state.engine, &wanted).await?).into_response())
}
