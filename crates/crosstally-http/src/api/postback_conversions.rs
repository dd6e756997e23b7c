//! `GET /api/v1/postback/conversions`: what came in through the sheet receiver, newest last, as its users know it.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use crosstally_core::ids::ReceiptId;
use crosstally_core::params::Params;
use crosstally_core::postback::Receipt;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use crosstally_store::ReceiptFilter;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reply, bad};
use crate::auth;
use crate::state::State;

/// Receipts that are looked at per request; the cursor goes on from there.
const LOOKED_AT_MAX: u32 = 5_000;
const PAGE: u32 = 500;

/// Which conversions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    sheet_id: Option<String>,
    campaign_id: Option<String>,
    adset_id: Option<String>,
    ad_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// One conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RowOut {
    receipt: String,
    conversion: Option<String>,
    sheet_id: String,
    transaction_id: String,
    payout: String,
    currency: String,
    campaign_id: String,
    adset_id: String,
    ad_id: String,
    received_at: String,
}

/// Lists them.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<ListIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let time = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Timestamp::parse(text)
            .map(Some)
            .ok_or_else(|| bad(format!("`{name}` is not a time such as 2026-11-21T00:00:00Z"))),
    };
    let after = match &wanted.cursor {
        None => None,
        Some(cursor) => Some(cursor.parse::<ReceiptId>().map_err(|_| bad("the cursor is not one of ours"))?),
    };
    let mut filter = ReceiptFilter {
        partner: wanted.sheet_id.clone(),
        from: time("from", &wanted.from)?,
        to: time("to", &wanted.to)?,
        after,
        ..ReceiptFilter::default()
    };
    let limit = usize::try_from(wanted.limit.unwrap_or(100).clamp(1, PAGE)).unwrap_or(100);
    let (mut rows, mut looked_at, mut next) = (Vec::new(), 0, None);
    'pages: while looked_at < LOOKED_AT_MAX {
        let page = state.engine.store.receipts_matching(filter.clone(), PAGE).await?;
        let full = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        for receipt in &page {
            rows.extend(row(receipt).filter(|row| fits(row, &wanted)));
            if rows.len() == limit {
                next = Some(receipt.id.to_string());
                break 'pages;
            }
        }
        filter.after = page.last().map(|last| last.id);
        if !full {
            break;
        }
        looked_at += PAGE;
        next = filter.after.map(|id| id.to_string()).filter(|_| looked_at >= LOOKED_AT_MAX);
    }
    let data = serde_json::to_value(rows).unwrap_or(Value::Null);
    Ok(Json(json!({ "data": data, "next_cursor": next })).into_response())
}

/// The conversion that a receipt of the sheet receiver recorded.
fn row(receipt: &Receipt) -> Option<RowOut> {
    if receipt.verdict != Verdict::Recorded {
        return None;
    }
    let params = Params::parse(&receipt.query).ok()?;
    // Only the sheet receiver's calls name their sheet.
    let sheet_id = params.get("sheet_id")?.to_owned();
    let given = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let read = |name: &str| receipt.read.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(RowOut {
        receipt: receipt.id.to_string(),
        conversion: receipt.conversion.map(|id| id.to_string()),
        sheet_id,
        transaction_id: read("transaction_id"),
        payout: read("payout"),
        currency: read("currency"),
        campaign_id: given("campaign_id"),
        adset_id: given("adset_id"),
        ad_id: given("ad_id"),
        received_at: receipt.received_at.to_string(),
    })
}

fn fits(row: &RowOut, wanted: &ListIn) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    is(&wanted.campaign_id, &row.campaign_id)
        && is(&wanted.adset_id, &row.adset_id)
        && is(&wanted.ad_id, &row.ad_id)
}
