//! Offers and landers of the configuration in force: where they lead, what leads to them, how many visitors they had.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::config::{Config, Leads};
use crosstally_core::offer::{Lander, Offer, Taken};
use crosstally_core::rotation::Kind;
use crosstally_core::word::Word as _;
use crosstally_engine::Engine;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::ask::AskError;
use super::hybrid::PartOut;
use super::page::{LIMIT_MAX, LIMIT_USUAL};
use crate::auth;
use crate::state::State;

/// Which of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListIn {
    /// How many.
    pub limit: Option<u32>,
    /// The last of the page before.
    pub cursor: Option<String>,
}

/// A path that leads to an offer or a lander.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathOut {
    /// Its slug.
    pub path: String,
    /// The weight there.
    pub weight: u64,
    /// The campaigns that have the path.
    pub campaigns: Vec<String>,
}

/// How many visitors an offer takes, and had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapOut {
    /// On one day of the workspace's time zone, at most.
    pub daily: Option<u64>,
    /// In all, at most.
    pub total: Option<u64>,
    /// The offer that those above are sent to.
    pub overflow: String,
    /// How many it had today, as of about a second ago.
    pub today: u64,
    /// How many in all.
    pub taken: u64,
    /// Whether there is no room.
    pub is_full: bool,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferOut {
    /// Its slug.
    pub slug: String,
    /// Where visitors are sent.
    pub target: String,
    /// How they come there from a lander.
    pub redirect: String,
    /// What leads to it.
    pub paths: Vec<PathOut>,
    /// Its cap; an offer without one is not counted.
    pub cap: Option<CapOut>,
}

/// A lander.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanderOut {
    /// Its slug.
    pub slug: String,
    /// Where visitors are sent.
    pub target: String,
    /// What leads to it.
    pub paths: Vec<PathOut>,
}

/// What leads where: by kind and slug.
type Ways = BTreeMap<(bool, String), Vec<PathOut>>;

fn ways(config: &Config) -> Ways {
    let mut of_path: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for campaign in &config.campaigns {
        if let Leads::Paths(paths) = &campaign.leads {
            for path in paths {
                of_path.entry(path).or_default().push(campaign.slug.clone());
            }
        }
    }
    let mut ways = Ways::new();
    for path in &config.paths {
        for member in &path.members {
            let campaigns = of_path.get(path.slug.as_str()).cloned().unwrap_or_default();
            let way = PathOut { path: path.slug.clone(), weight: u64::from(member.weight), campaigns };
            ways.entry((member.kind == Kind::Offer, member.slug.clone())).or_default().push(way);
        }
    }
    ways
}

/// The part of a list behind a cursor, and the cursor of the next.
fn page<'r, T>(
    rows: &'r [T],
    wanted: &ListIn,
    slug: impl Fn(&T) -> &str,
) -> Result<(&'r [T], Option<String>), AskError> {
    let limit = match wanted.limit.unwrap_or(LIMIT_USUAL) {
        limit @ 1..=LIMIT_MAX => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => return Err(AskError::Bad(format!("limit must be 1 to {LIMIT_MAX}"))),
    };
    let first = match &wanted.cursor {
        None => 0,
        Some(cursor) => {
            let at = rows.iter().position(|row| slug(row) == cursor);
            at.map(|at| at + 1).ok_or_else(|| AskError::Bad("the cursor is not one of ours".to_owned()))?
        }
    };
    let rest = rows.get(first..).unwrap_or_default();
    let part = rest.get(..limit).unwrap_or(rest);
    let next = if part.len() < rest.len() { part.last().map(|row| slug(row).to_owned()) } else { None };
    Ok((part, next))
}

/// The offers, in the configuration's order.
///
/// # Errors
/// See [`AskError`].
pub async fn offers(engine: &Engine, wanted: &ListIn) -> Result<PartOut<OfferOut>, AskError> {
    let snapshot = engine.snapshot.load_full();
    let (part, next_cursor) = page(&snapshot.config.offers, wanted, |offer| &offer.slug)?;
    let today = snapshot.zone.day(engine.clock.now());
    let counts = match part.iter().any(|offer| offer.cap.is_some()) {
        true => engine.store.visitors(today).await?,
        false => std::collections::HashMap::new(),
    };
    let ways = ways(&snapshot.config);
    let data = part.iter().map(|offer| {
        let taken = counts.get(&offer.slug).copied().unwrap_or_default();
        shown(offer, taken, ways.get(&(true, offer.slug.clone())).cloned().unwrap_or_default())
    });
    Ok(PartOut { data: data.collect(), next_cursor })
}

fn shown(offer: &Offer, taken: Taken, paths: Vec<PathOut>) -> OfferOut {
    OfferOut {
        slug: offer.slug.clone(),
        target: offer.target.to_string(),
        redirect: offer.redirect.word().to_owned(),
        paths,
        cap: offer.cap.as_ref().map(|cap| CapOut {
            daily: cap.daily,
            total: cap.total,
            overflow: cap.overflow.clone(),
            today: taken.today,
            taken: taken.total,
            is_full: cap.is_full(taken),
        }),
    }
}

/// The landers, in the configuration's order.
///
/// # Errors
/// See [`AskError`].
pub fn landers(engine: &Engine, wanted: &ListIn) -> Result<PartOut<LanderOut>, AskError> {
    let snapshot = engine.snapshot.load();
    let (part, next_cursor) = page(&snapshot.config.landers, wanted, |lander| &lander.slug)?;
    let ways = ways(&snapshot.config);
    let data = part.iter().map(|lander: &Lander| LanderOut {
        slug: lander.slug.clone(),
        target: lander.target.to_string(),
        paths: ways.get(&(false, lander.slug.clone())).cloned().unwrap_or_default(),
    });
    Ok(PartOut { data: data.collect(), next_cursor })
}

/// `GET /api/v1/offers`.
pub async fn list_offers(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<ListIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(offers(&state.engine, &wanted).await?).into_response())
}

/// `GET /api/v1/landers`.
pub async fn list_landers(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<ListIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(landers(&state.engine, &wanted)?).into_response())
}
