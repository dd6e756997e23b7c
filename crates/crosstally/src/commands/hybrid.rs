//! `crosstally hybrid list|counts` and `crosstally redirect loss`.

use anyhow::Result;
use crosstally_http::api::hybrid::{
    HopOut, LossIn, LossOut, PairCountOut, PairOut, PairsIn, PartOut, pair_counts, pairs, redirect_losses,
};
use serde::Serialize;

use super::ledger::asked;
use crate::cli::{At, Days, Hybrid, Pairs};
use crate::remote::{self, Where, query};
use crate::show;

/// Runs one of the hybrid commands.
pub(crate) async fn run(command: Hybrid, json: bool) -> Result<()> {
    match command {
        Hybrid::List { limit, which, at } => {
            let wanted = PairsIn { limit: Some(limit), ..wanted(which) };
            let found: PartOut<PairOut> = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| pairs(engine, &wanted).await.map_err(asked)).await?
                }
                Where::There(server) => server.get(&path("/api/v1/hybrid", &wanted)).await?,
            };
            let heads = ["verdict", "at", "campaign", "event", "destination", "server's id", "browser's"];
            told(&found, json, &heads, cells)
        }
        Hybrid::Counts { which, at } => {
            let wanted = wanted(which);
            let found: PartOut<PairCountOut> = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| pair_counts(engine, &wanted).await.map_err(asked))
                        .await?
                }
                Where::There(server) => server.get(&path("/api/v1/hybrid/counts", &wanted)).await?,
            };
            told(&found, json, &["day (UTC)", "event", "destination", "verdict", "count"], |row| {
                let PairCountOut { day, event_name, destination, verdict, count } = row.clone();
                vec![day, event_name, destination, verdict, count.to_string()]
            })
        }
    }
}

/// Shows redirects hop by hop.
pub(super) async fn loss(
    campaign: Option<String>,
    offer: Option<String>,
    when: Days,
    at: &At,
    json: bool,
) -> Result<()> {
    let Days { day, days, cursor } = when;
    let wanted = LossIn { campaign, offer, day, days, cursor };
    let found: PartOut<LossOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| redirect_losses(engine, &wanted).await.map_err(asked))
                .await?
        }
        Where::There(server) => {
            let days = wanted.days.map(|days| days.to_string());
            let values = [
                ("campaign", &wanted.campaign),
                ("offer", &wanted.offer),
                ("day", &wanted.day),
                ("days", &days),
                ("cursor", &wanted.cursor),
            ];
            server.get(&query("/api/v1/redirects/loss", &values)).await?
        }
    };
    told(&found, json, &["campaign", "day (UTC)", "lander", "offer", "hop by hop", "not counted"], |row| {
        let hops: Vec<String> = row.hops.iter().map(hop).collect();
        let left_out = format!("{} direct, {} labelled", row.direct, row.labelled);
        let LossOut { campaign, day, lander, offer, .. } = row.clone();
        vec![campaign, day, lander, offer, hops.join(" > "), left_out]
    })?;
    if !json {
        let notes = found.data.iter().flat_map(|row| {
            row.hops.iter().filter_map(move |hop| {
                let note = hop.note.as_ref()?;
                Some(format!("{} {}, {}: {note}", row.campaign, row.day, hop.hop))
            })
        });
        for note in notes {
            show::aside(&note)?;
        }
    }
    Ok(())
}

fn hop(hop: &HopOut) -> String {
    let count = hop.count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let lost = hop.lost_percent.as_ref().map(|lost| format!(" (-{lost} %)")).unwrap_or_default();
    format!("{} {count}{lost}", hop.hop)
}

fn wanted(which: Pairs) -> PairsIn {
    let Pairs { campaign, verdict, when: Days { day, days, cursor } } = which;
    PairsIn { campaign, verdict, day, days, limit: None, cursor }
}

fn path(route: &str, wanted: &PairsIn) -> String {
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let (days, limit) = (number(wanted.days), number(wanted.limit));
    let values = [
        ("campaign", &wanted.campaign),
        ("verdict", &wanted.verdict),
        ("day", &wanted.day),
        ("days", &days),
        ("limit", &limit),
        ("cursor", &wanted.cursor),
    ];
    query(route, &values)
}

fn cells(row: &PairOut) -> Vec<String> {
    let server = row.server.as_ref();
    let told = row.browser.as_ref().map(|told| format!("{} {}", told.name, told.event_id));
    vec![
        row.verdict.clone(),
        row.at.clone(),
        row.campaign.clone(),
        row.event_name.clone(),
        server.map(|server| server.destination.clone()).unwrap_or_default(),
        server.map(|server| server.event_id.clone()).unwrap_or_default(),
        told.unwrap_or_default(),
    ]
}

/// Prints an answer, and how to go on.
pub(super) fn told<T: Serialize>(
    found: &PartOut<T>,
    json: bool,
    heads: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> Result<()> {
    if json {
        return show::json(found);
    }
    show::table(heads, found.data.iter().map(cells))?;
    match &found.next_cursor {
        Some(cursor) => show::aside(&format!("there is more: --cursor {cursor}")),
        None => Ok(()),
    }
}
