//! The balance: received = recorded + updated + duplicate + quarantined + refused + test, by partner, hour and day.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::time::{DAY_MS, HOUR_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use crosstally_engine::Engine;
use crosstally_store::{BalanceFilter, Period, ReceiptCount};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::ask::{AskError, range, time};
use crate::auth;
use crate::state::State;

/// Periods of one page.
const PAGE: u32 = 500;

/// Which receipts are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BalanceIn {
    /// Received in the hour of this time or later, RFC 3339.
    pub from: Option<String>,
    /// Received before the end of the hour of this time, RFC 3339; a full hour ends before itself.
    pub to: Option<String>,
    /// `hour` or `day` (UTC): rows beside the totals.
    pub by: Option<String>,
    /// Of this partner.
    pub partner: Option<String>,
    /// Periods of this page.
    pub limit: Option<u32>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
}

/// The balance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BalanceOut {
    /// A line for each partner; with `by`, one for each period and partner, by time.
    pub data: Vec<BalanceLine>,
    /// With `by`: a line for each partner over the whole range, whatever the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Vec<BalanceLine>>,
    /// From this hour on, if a start was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Before this hour, if an end was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// More periods.
    pub next_cursor: Option<String>,
}

/// How many calls a partner made, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceLine {
    /// When the period starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The partner's slug as it stood in the path.
    pub partner: String,
    /// All calls: the sum of what follows.
    pub received: u64,
    /// New conversions.
    pub recorded: u64,
    /// New movements of known conversions.
    pub updated: u64,
    /// What was booked before.
    pub duplicate: u64,
    /// What waits for something or somebody.
    pub quarantined: u64,
    /// What broke a rule.
    pub refused: u64,
    /// Marked tests.
    pub test: u64,
}

impl BalanceLine {
    fn add(&mut self, verdict: Verdict, count: u64) {
        let part = match verdict {
            Verdict::Recorded => &mut self.recorded,
            Verdict::Updated => &mut self.updated,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Quarantined => &mut self.quarantined,
            Verdict::Refused => &mut self.refused,
            Verdict::Test => &mut self.test,
        };
        *part += count;
        self.received += count;
    }
}

fn lines(counts: Vec<ReceiptCount>) -> Vec<BalanceLine> {
    let mut partners: BTreeMap<String, BalanceLine> = BTreeMap::new();
    for count in counts {
        let line = partners.entry(count.partner.clone()).or_default();
        line.partner = count.partner;
        line.add(count.verdict, count.count);
    }
    partners.into_values().collect()
}

/// The balance, a page of it if it is asked by periods.
///
/// # Errors
/// See [`AskError`].
pub async fn balance(engine: &Engine, wanted: &BalanceIn) -> Result<BalanceOut, AskError> {
    if *wanted == BalanceIn::default() {
        let data = lines(engine.store.count_receipts().await?);
        return Ok(BalanceOut { data, totals: None, from: None, to: None, next_cursor: None });
    }
    let filter = filter(wanted)?;
    let (from, to) = (filter.from.map(|at| at.to_string()), filter.to.map(|at| at.to_string()));
    let totals = lines(engine.store.count_receipts_within(filter.clone()).await?);
    let length_ms = match wanted.by.as_deref() {
        None if wanted.limit.is_some() || wanted.cursor.is_some() => {
            return Err(AskError::Bad("only a balance `by` hour or day has pages".into()));
        }
        None => return Ok(BalanceOut { data: totals, totals: None, from, to, next_cursor: None }),
        Some("hour") => HOUR_MS,
        Some("day") => DAY_MS,
        Some(other) => return Err(AskError::Bad(format!("`by` is `hour` or `day`, not `{other}`"))),
    };
    let limit = match wanted.limit.unwrap_or(PAGE) {
        limit @ 1..=PAGE => limit,
        _ => return Err(AskError::Bad(format!("limit must be 1 to {PAGE}"))),
    };
    let after = wanted.cursor.as_deref().map(period).transpose()?;
    let mut data: Vec<BalanceLine> = Vec::new();
    let mut last: Option<Period> = None;
    for count in engine.store.receipt_periods(filter, length_ms, after, limit).await? {
        if last.as_ref() != Some(&count.period) {
            data.push(BalanceLine {
                start: Some(count.period.start.to_string()),
                partner: count.period.partner.clone(),
                ..BalanceLine::default()
            });
            last = Some(count.period);
        }
        if let Some(line) = data.last_mut() {
            line.add(count.verdict, count.count);
        }
    }
    let full = u32::try_from(data.len()).is_ok_and(|lines| lines == limit);
    let next_cursor =
        last.filter(|_| full).map(|last| format!("{}.{}", last.start.as_millis(), last.partner));
    Ok(BalanceOut { data, totals: Some(totals), from, to, next_cursor })
}

/// Counts are kept by the hour, so a range is one of whole hours: wide enough to hold what was asked for.
fn filter(wanted: &BalanceIn) -> Result<BalanceFilter, AskError> {
    let (from, to) = (time("from", wanted.from.as_deref())?, time("to", wanted.to.as_deref())?);
    range(from, to)?;
    let up = |at: Timestamp| if at == at.hour() { at } else { at.hour().plus_millis(HOUR_MS) };
    Ok(BalanceFilter { partner: wanted.partner.clone(), from: from.map(Timestamp::hour), to: to.map(up) })
}

fn period(cursor: &str) -> Result<Period, AskError> {
    let parts = cursor.split_once('.').and_then(|(start, partner)| {
        Some(Period { start: Timestamp::from_millis(start.parse().ok()?), partner: partner.to_owned() })
    });
    parts.ok_or_else(|| AskError::Bad("the cursor is not one of ours".into()))
}

/// `GET /api/v1/receipts/balance`.
pub async fn show(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<BalanceIn>,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    Ok(Json(balance(&state.engine, &wanted).await?).into_response())
}
