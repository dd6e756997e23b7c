//! `crosstally offers list` and `crosstally landers list`.

use anyhow::Result;
use crosstally_http::api::hybrid::PartOut;
use crosstally_http::api::offers::{LanderOut, ListIn, OfferOut, PathOut, landers, offers};

use super::hybrid::told;
use super::ledger::asked;
use crate::cli::Listed;
use crate::remote::{self, Where, query};

/// Lists the offers.
pub(crate) async fn list_offers(Listed::List { limit, cursor, at }: Listed, json: bool) -> Result<()> {
    let wanted = ListIn { limit: Some(limit), cursor };
    let found: PartOut<OfferOut> = match remote::find(&at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| offers(engine, &wanted).await.map_err(asked)).await?
        }
        Where::There(server) => server.get(&path("/api/v1/offers", &wanted)).await?,
    };
    told(&found, json, &["offer", "target", "led to by", "cap", "today", "in all"], |row| {
        let cap = row.cap.as_ref();
        let most = |most: Option<u64>, what| most.map(|most| format!("{most} {what}")).unwrap_or_default();
        let limits = cap.map(|cap| {
            let full = if cap.is_full { ", full" } else { "" };
            format!("{} {} then {}{full}", most(cap.daily, "a day"), most(cap.total, "in all"), cap.overflow)
        });
        let count = |count: fn(&crosstally_http::api::offers::CapOut) -> u64| {
            cap.map(|cap| count(cap).to_string()).unwrap_or_default()
        };
        vec![
            row.slug.clone(),
            row.target.clone(),
            ways(&row.paths),
            limits.unwrap_or_default(),
            count(|cap| cap.today),
            count(|cap| cap.taken),
        ]
    })
}

/// Lists the landers.
pub(crate) async fn list_landers(Listed::List { limit, cursor, at }: Listed, json: bool) -> Result<()> {
    let wanted = ListIn { limit: Some(limit), cursor };
    let found: PartOut<LanderOut> = match remote::find(&at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| landers(engine, &wanted).map_err(asked)).await?
        }
        Where::There(server) => server.get(&path("/api/v1/landers", &wanted)).await?,
    };
    told(&found, json, &["lander", "target", "led to by"], |row| {
        vec![row.slug.clone(), row.target.clone(), ways(&row.paths)]
    })
}

fn path(route: &str, wanted: &ListIn) -> String {
    let limit = wanted.limit.map(|limit| limit.to_string());
    query(route, &[("limit", &limit), ("cursor", &wanted.cursor)])
}

fn ways(paths: &[PathOut]) -> String {
    let way = |way: &PathOut| format!("{} {} ({})", way.path, way.weight, way.campaigns.join(" "));
    paths.iter().map(way).collect::<Vec<_>>().join(", ")
}
