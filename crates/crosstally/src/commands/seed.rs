//! `crosstally seed`: demo clicks, many of them, straight into the store.

use anyhow::Result;
use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::target::TargetValues;
use crosstally_engine::Engine;

use crate::cli::Place;
use crate::exit::{self, Code};
use crate::{local, settings, show};

const BATCH: u64 = 5_000;

/// Makes clicks.
pub(crate) async fn run(clicks: u64, campaign: &str, place: &Place, json: bool) -> Result<()> {
    let ground = settings::ground(place)?;
    let stored = local::with_engine(&ground, async |engine| {
        let mut stored = 0;
        while stored < clicks {
            let batch = BATCH.min(clicks - stored);
            let made: Vec<Click> = (0..batch).map(|_| click(engine, campaign)).collect::<Result<_>>()?;
            engine.store.append_clicks(made).await?;
            stored += batch;
        }
        Ok(stored)
    })
    .await?;
    if json {
        return show::json(&serde_json::json!({ "stored": stored }));
    }
    show::text(&format!("{stored} clicks stored\n"))
}

fn click(engine: &Engine, slug: &str) -> Result<Click> {
    let snapshot = engine.snapshot.load();
    let campaign = snapshot.campaign(slug).ok_or_else(|| {
        exit::with(Code::NotFound, format!("no campaign is called `{}`", show::clean(slug)))
    })?;
    let now = engine.clock.now();
    let id = ClickId::new(&engine.click_id_key, now, engine.random.bytes());
    let query = format!("fbclid=demo{id}&sub1=seed");
    let params = Params::parse(query.as_bytes()).unwrap_or_default();
    let values = TargetValues {
        click_id: &id.to_string(),
        campaign: &campaign.slug,
        source: &campaign.source,
        params: &params,
    };
    Ok(Click {
        id,
        at: now,
        campaign: campaign.slug.clone(),
        source: campaign.source.clone(),
        target: campaign.target.fill(values),
        ad_click_ids: AdClickIds::from_params(&params),
        query,
        ip: Some(std::net::Ipv4Addr::new(192, 0, 2, 1).into()),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) demo".into(),
        referrer: String::new(),
        language: "en".into(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        cost: None,
        gpc: false,
        test: campaign.test,
        labels: Vec::new(),
    })
}
