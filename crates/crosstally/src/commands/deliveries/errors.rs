//! `crosstally deliveries errors|days|overstated`.

use anyhow::Result;
use crosstally_http::api::delivery_errors::{DayOut, ErrorOut, span};
use crosstally_http::api::overstated::OverstatedOut;
use serde::Deserialize;

use crate::cli::At;
use crate::remote::{self, Where, query};
use crate::show;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

/// Shows what did not arrive, and what to do about it.
pub(super) async fn groups(destination: Option<&str>, at: &At, json: bool) -> Result<()> {
    let rows: Vec<ErrorOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let found = engine.delivery_errors(destination).await.map_err(super::jobs::told)?;
                Ok(found.iter().map(ErrorOut::from).collect())
            })
            .await?
        }
        Where::There(server) => {
            let path =
                query("/api/v1/deliveries/errors", &[("destination", &destination.map(str::to_owned))]);
            server.get::<Page<ErrorOut>>(&path).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.destination.clone(),
            row.state.clone(),
            row.event_name.clone(),
            row.count.to_string(),
            row.code.clone().unwrap_or_default(),
            row.newest.clone(),
            row.fix.clone().unwrap_or_default(),
        ]
    });
    show::table(&["destination", "state", "event", "deliveries", "code", "newest", "what to do"], cells)?;
    match rows.is_empty() {
        true => show::aside("everything that has ended arrived"),
        false => {
            show::aside("what was sent and answered: crosstally trace, with the id under `newest`")?;
            show::aside("once it is mended: crosstally deliveries replay --destination .. --code .. --apply")
        }
    }
}

/// Shows what arrived, day by day.
pub(super) async fn days(days: u32, at: &At, json: bool) -> Result<()> {
    let rows: Vec<DayOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let (from, to) = span(engine.clock.now(), days);
                Ok(engine.store.delivery_days(from, to).await?.iter().map(DayOut::from).collect())
            })
            .await?
        }
        Where::There(server) => {
            server.get::<Page<DayOut>>(&format!("/api/v1/deliveries/days?days={days}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        let percent = row.failed_percent.as_ref().map(|percent| format!("{percent} %"));
        vec![
            row.day.clone(),
            row.destination.clone(),
            row.event_name.clone(),
            row.delivered.to_string(),
            row.failed.to_string(),
            row.open.to_string(),
            row.attempts.to_string(),
            percent.unwrap_or_default(),
        ]
    });
    let heads =
        ["day (UTC)", "destination", "event", "arrived", "failed", "open", "attempts", "failed share"];
    show::table(&heads, cells)
}

/// Shows what was told and is not left.
pub(super) async fn overstated(at: &At, json: bool) -> Result<()> {
    let rows: Vec<OverstatedOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(engine.store.overstated().await?.iter().map(OverstatedOut::from).collect())
            })
            .await?
        }
        Where::There(server) => server.get::<Page<OverstatedOut>>("/api/v1/overstated").await?.data,
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.campaign.clone(),
            row.destination.clone(),
            format!("{} {}", row.amount, row.currency),
            row.deliveries.to_string(),
        ]
    });
    show::table(&["campaign", "destination", "over-stated", "deliveries"], cells)
}
