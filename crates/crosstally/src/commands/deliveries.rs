//! `crosstally deliveries list|retry|errors|days|reconcile|overstated|replay|cancel|jobs`.

use anyhow::Result;
use crosstally_http::api::deliveries::{self, DeliveryOut, ListIn, RetriedOut, RetryIn};
use crosstally_http::api::hybrid::PartOut;
use crosstally_http::api::reconcile::ReconcileIn;
use serde_json::Value;

use super::ledger::asked;
use crate::cli::{At, Deliveries};
use crate::remote::{self, Where, escaped, query};
use crate::show;

mod errors;
mod jobs;
mod reconcile;

/// Rows that are asked for at once.
const PAGE: u32 = 500;

/// Runs one of the deliveries commands.
pub(crate) async fn run(command: Deliveries, json: bool) -> Result<()> {
    match command {
        Deliveries::List { destination, state, limit, cursor, at } => {
            let wanted = ListIn { destination, state, limit: None, cursor };
            list(&find(wanted, limit, &at).await?, json)
        }
        Deliveries::Retry { id, destination, state, at } => {
            let wanted = RetryIn { destination, state, id };
            let retried = retry(&wanted, &at).await?;
            if let Some(why) = &retried.left_alone {
                show::aside(why)?;
            }
            if json {
                return show::json(&retried);
            }
            let resumed = wanted.destination.as_ref();
            let resumed = resumed.map(|slug| format!("; {slug} goes on, if it was paused"));
            let count = retried.requeued;
            show::text(&format!("{count} deliveries are due now{}\n", resumed.unwrap_or_default()))
        }
        Deliveries::Errors { destination, at } => errors::groups(destination.as_deref(), &at, json).await,
        Deliveries::Days { days, at } => errors::days(days, &at, json).await,
        Deliveries::Reconcile { destination, from, to, at } => {
            reconcile::run(ReconcileIn { destination, from, to }, &at, json).await
        }
        Deliveries::Overstated { at } => errors::overstated(&at, json).await,
        Deliveries::Replay { which, at } => jobs::replay(*which, &at, json).await,
        Deliveries::Cancel { which, at } => jobs::cancel(*which, &at, json).await,
        Deliveries::Jobs { id: None, limit, at, .. } => jobs::list(limit, &at, json).await,
        Deliveries::Jobs { id: Some(id), action, at, .. } => {
            jobs::one(&id, action.as_deref(), &at, json).await
        }
    }
}

/// As many as are wanted, in as many pages as it takes.
async fn find(mut wanted: ListIn, limit: u32, at: &At) -> Result<PartOut<DeliveryOut>> {
    let mut found = PartOut { data: Vec::new(), next_cursor: wanted.cursor.take() };
    let left = |found: &PartOut<DeliveryOut>| {
        let rows = u32::try_from(found.data.len()).unwrap_or(u32::MAX);
        limit.saturating_sub(rows).min(PAGE)
    };
    let ground = remote::find(at)?;
    loop {
        wanted.limit = Some(left(&found));
        wanted.cursor = found.next_cursor.take();
        let page = one_page(&ground, &wanted).await?;
        found.data.extend(page.data);
        found.next_cursor = page.next_cursor;
        if found.next_cursor.is_none() || left(&found) == 0 {
            return Ok(found);
        }
    }
}

async fn one_page(ground: &Where, wanted: &ListIn) -> Result<PartOut<DeliveryOut>> {
    match ground {
        Where::Here(ground) => {
            remote::here(ground, async |engine| deliveries::page(engine, wanted).await.map_err(asked)).await
        }
        Where::There(server) => {
            let limit = wanted.limit.map(|limit| limit.to_string());
            let values = [
                ("destination", &wanted.destination),
                ("state", &wanted.state),
                ("limit", &limit),
                ("cursor", &wanted.cursor),
            ];
            server.get(&query("/api/v1/deliveries", &values)).await
        }
    }
}

/// Makes deliveries due; a destination that is named goes on if it is paused.
async fn retry(wanted: &RetryIn, at: &At) -> Result<RetriedOut> {
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let retried = deliveries::retried(engine, wanted).await.map_err(asked)?;
                if let Some(slug) = &wanted.destination {
                    engine.resume_destination(slug).await?;
                }
                Ok(retried)
            })
            .await
        }
        Where::There(server) => {
            let body = serde_json::to_vec(wanted)?;
            let retried = server.post("/api/v1/deliveries/retry", "application/json", body).await?;
            if let Some(slug) = &wanted.destination {
                let path = format!("/api/v1/destinations/{}/resume", escaped(slug));
                server.post::<Value>(&path, "application/json", Vec::new()).await?;
            }
            Ok(retried)
        }
    }
}

fn list(found: &PartOut<DeliveryOut>, json: bool) -> Result<()> {
    if json {
        show::json(&found.data)?;
        return more(found);
    }
    let cells = found.data.iter().map(|row| {
        vec![
            row.id.clone(),
            row.destination.clone(),
            row.event_name.clone(),
            row.state.clone(),
            row.attempts.to_string(),
            row.code.clone().unwrap_or_default(),
            row.due_at.clone(),
        ]
    });
    show::table(&["id", "destination", "event", "state", "attempts", "code", "due"], cells)?;
    more(found)
}

/// Says how to go on, if this is not all.
fn more(found: &PartOut<DeliveryOut>) -> Result<()> {
    match &found.next_cursor {
        Some(cursor) => show::aside(&format!("there is more: --cursor {cursor}")),
        None => Ok(()),
    }
}
