//! Receipts that are read again: repaired, or under the contract in force. Without `apply` nothing is changed.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::IntoResponse;
use crosstally_core::fields::FIELDS;
use crosstally_core::ids::ReceiptId;
use crosstally_core::money::Currency;
use crosstally_core::postback::replay::Repair;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_engine::Engine;
use crosstally_engine::replay::imagined::Imagined;
use crosstally_engine::replay::{How, ReplayError, ReplayOut};
use crosstally_store::ReceiptFilter;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Refused, Reply, bad};
use crate::auth;
use crate::state::State;

/// Most receipts of one request.
const PAGE_MAX: u32 = 200;

/// Which receipts, and what to do with them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayIn {
    /// These receipts; none means all that the filter finds.
    pub receipts: Vec<String>,
    /// Of this partner.
    pub partner: Option<String>,
    /// With this result.
    pub result: Option<String>,
    /// With this reason code.
    pub code: Option<String>,
    /// Received at or after, RFC 3339.
    pub from: Option<String>,
    /// Received before, RFC 3339.
    pub to: Option<String>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// Receipts of this page.
    pub limit: Option<u32>,
    /// Our fields, and the values they are to have; an empty value takes a field away.
    pub set: Map<String, Value>,
    /// Whether swallowed calls were real: each becomes a conversion of its own.
    pub real: bool,
    /// Whether it is done; else it is only shown.
    pub apply: bool,
}

/// What it comes to, a receipt each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayPage {
    /// The receipts.
    pub data: Vec<ReplayRow>,
    /// More of them.
    pub next_cursor: Option<String>,
}

/// What it comes to for one receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayRow {
    /// The receipt.
    pub receipt: String,
    /// Its result before, and the code.
    pub was: (String, Option<String>),
    /// Its result after, and the code.
    pub is: (String, Option<String>),
    /// About it.
    pub detail: String,
    /// Its conversion after.
    pub conversion: Option<String>,
    /// By how much money changes.
    pub money: Vec<MoneyRow>,
    /// Whether anything changes.
    pub changed: bool,
    /// Why it could not be done.
    pub problem: Option<String>,
}

/// By how much the value of one currency changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyRow {
    /// The currency.
    pub currency: String,
    /// Confirmed, as a decimal.
    pub confirmed: String,
    /// Open, as a decimal.
    pub pending: String,
}

impl From<&ReplayOut> for ReplayRow {
    fn from(out: &ReplayOut) -> Self {
        let said = |(verdict, reason): (Verdict, Option<Reason>)| {
            (verdict.as_str().to_owned(), reason.map(|reason| reason.code().to_owned()))
        };
        Self {
            receipt: out.receipt.to_string(),
            was: said(out.was),
            is: said(out.is),
            detail: out.detail.clone(),
            conversion: out.conversion.map(|id| id.to_string()),
            money: money_rows(&out.money),
            changed: out.changed,
            problem: None,
        }
    }
}

/// Changes of money as they are shown.
pub(super) fn money_rows(money: &[(Currency, i64, i64)]) -> Vec<MoneyRow> {
    let row = |(currency, confirmed, pending): &(Currency, i64, i64)| MoneyRow {
        currency: currency.code().to_owned(),
        confirmed: currency.format_minor(*confirmed),
        pending: currency.format_minor(*pending),
    };
    money.iter().map(row).collect()
}

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It cannot be read.
    #[error("{0}")]
    Bad(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] crosstally_store::StoreError),
}

/// One page of receipts that are read again.
///
/// # Errors
/// See [`PageError`]; a single receipt's problem stands in its row.
pub async fn page(engine: &Engine, wanted: &ReplayIn, author: &str) -> Result<ReplayPage, PageError> {
    let repair = repair(wanted)?;
    let cause = if repair.is_empty() { "replay" } else { "repair" };
    let how = How { cause, author: author.to_owned(), dry_run: !wanted.apply };
    let limit = wanted.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let (ids, next_cursor) = if wanted.receipts.is_empty() {
        let found = engine.store.receipts_matching(filter(wanted)?, limit).await?;
        let full = found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
        let next = found.last().filter(|_| full).map(|last| last.id.to_string());
        (found.iter().map(|receipt| receipt.id).collect(), next)
    } else {
        let ids: Result<Vec<ReceiptId>, _> = wanted.receipts.iter().map(|id| id.parse()).collect();
        (ids.map_err(|_| PageError::Bad("receipts are named like rcp_01..".into()))?, None)
    };
    let mut data = Vec::with_capacity(ids.len());
    // In a preview each is decided as if those before it had been done.
    let mut imagined = Imagined::default();
    for id in ids {
        data.push(match engine.replay_after(id, &repair, &how, &mut imagined).await {
            Ok(out) => ReplayRow::from(&out),
            Err(ReplayError::Store(error)) => return Err(error.into()),
            Err(error) => unchanged(id, error.to_string()),
        });
    }
    Ok(ReplayPage { data, next_cursor })
}

fn unchanged(id: ReceiptId, problem: String) -> ReplayRow {
    ReplayRow {
        receipt: id.to_string(),
        was: (String::new(), None),
        is: (String::new(), None),
        detail: String::new(),
        conversion: None,
        money: Vec::new(),
        changed: false,
        problem: Some(problem),
    }
}

fn repair(wanted: &ReplayIn) -> Result<Repair, PageError> {
    for (field, value) in &wanted.set {
        if !FIELDS.iter().any(|known| known.name == field) {
            let known: Vec<&str> = FIELDS.iter().map(|known| known.name).collect();
            return Err(PageError::Bad(format!("`{field}` is not a field; use one of {}", known.join(", "))));
        }
        if !value.is_string() {
            return Err(PageError::Bad(format!("the value of `{field}` must be a text")));
        }
    }
    Ok(Repair { set: wanted.set.clone(), real: wanted.real })
}

fn filter(wanted: &ReplayIn) -> Result<ReceiptFilter, PageError> {
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Timestamp::parse(text)
            .map(Some)
            .ok_or_else(|| PageError::Bad(format!("`{name}` is not a time such as 2026-11-21T00:00:00Z"))),
    };
    let verdict = wanted.result.as_deref().map(|word| {
        Verdict::from_word(word).ok_or_else(|| PageError::Bad(format!("`{word}` is not a result")))
    });
    let reason = wanted.code.as_deref().map(|code| {
        Reason::from_code(code).ok_or_else(|| PageError::Bad(format!("`{code}` is not a reason code")))
    });
    let after = wanted
        .cursor
        .as_deref()
        .map(|cursor| cursor.parse().map_err(|_| PageError::Bad("the cursor is not one of ours".into())));
    Ok(ReceiptFilter {
        partner: wanted.partner.clone(),
        verdict: verdict.transpose()?,
        reason: reason.transpose()?,
        from: time("from", &wanted.from)?,
        to: time("to", &wanted.to)?,
        after: after.transpose()?,
    })
}

/// `POST /api/v1/receipts/replay`.
pub async fn replay(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(wanted): Json<ReplayIn>,
) -> Reply {
    let scope = if wanted.apply { "receipts:write" } else { "read" };
    let author = auth::require(&state, &headers, scope).await?;
    match page(&state.engine, &wanted, &author).await {
        Ok(page) => Ok(Json(page).into_response()),
        Err(PageError::Bad(problem)) => Err(bad(problem)),
        Err(PageError::Store(error)) => Err(Refused::from(error)),
    }
}
