//! `crosstally seed`: demo clicks, many of them, straight into the store; and leads, each through all steps of a server
//! event.

use anyhow::Result;
use crosstally_core::click::{AdClickIds, Click};
use crosstally_core::ids::ClickId;
use crosstally_core::params::Params;
use crosstally_core::postback::{Inbound, SERVER_EVENT};
use crosstally_core::target::TargetValues;
use crosstally_core::verdict::Verdict;
use crosstally_engine::Engine;
use futures_util::StreamExt as _;

use crate::cli::{Place, SeedAmount};
use crate::exit::{self, Code};
use crate::{local, settings, show};

const BATCH: u64 = 5_000;
/// What the store says of an installation that was empty when it was first filled with demo data.
const DEMO: &[u8] = b"demo";

/// Clicks that the leads are attributed to, in turn.
const CLICKS_KEPT: usize = 10_000;
/// Leads on their way at once: so many fill the store's transactions.
const LEADS_AT_ONCE: usize = 512;

/// Makes clicks, then leads.
pub(crate) async fn run(amount: &SeedAmount, place: &Place, json: bool) -> Result<()> {
    if amount.leads > 0 && amount.clicks == 0 {
        let message =
            "leads are attributed to the clicks that are made: ask for clicks too, such as --clicks 100";
        return Err(exit::with(Code::Usage, message));
    }
    let ground = settings::ground(place)?;
    let (clicks, leads) = local::with_engine(&ground, async |engine| {
        if !is_for_demos(engine).await? && !amount.force {
            let message = "there are clicks or receipts here that no demo made, and demo data would stand among them for \
                           good: name an empty directory with --data, or add --force if that is meant";
            return Err(exit::with(Code::CheckFailed, message));
        }
        let mut kept = Vec::new();
        let mut stored = 0;
        while stored < amount.clicks {
            let batch = BATCH.min(amount.clicks - stored);
            let made: Vec<Click> =
                (0..batch).map(|_| click(engine, &amount.campaign)).collect::<Result<_>>()?;
            kept.extend(made.iter().map(|click| click.id).take(CLICKS_KEPT.saturating_sub(kept.len())));
            engine.store.append_clicks(made).await?;
            stored += batch;
        }
        let leads = match &amount.partner {
            Some(partner) => leads(engine, partner, amount.leads, &kept).await?,
            None => 0,
        };
        Ok((stored, leads))
    })
    .await?;
    if json {
        return show::json(&serde_json::json!({ "stored": clicks, "leads": leads }));
    }
    let booked = if amount.leads > 0 { format!(", {leads} leads booked") } else { String::new() };
    show::text(&format!("{clicks} clicks stored{booked}\n"))
}

/// Whether the installation holds nothing but demo data: what it was when it was first asked stands for good.
async fn is_for_demos(engine: &Engine) -> Result<bool> {
    let is_empty =
        !engine.store.has_clicks().await? && engine.store.list_receipts(None, None, 1).await?.is_empty();
    let is: &[u8] = if is_empty { DEMO } else { b"real" };
    Ok(engine.store.installation_value("filled_with".into(), is.to_vec()).await? == DEMO)
}

/// Reports leads; how many of them were new.
async fn leads(engine: &Engine, partner: &str, count: u64, clicks: &[ClickId]) -> Result<u64> {
    if engine.snapshot.load().partner(partner).is_none() {
        return Err(exit::with(Code::NotFound, format!("no partner is called `{}`", show::clean(partner))));
    }
    let mut booked = 0;
    let reported = (1..=count).zip(clicks.iter().cycle()).map(|(number, click)| {
        let lead = serde_json::json!({
            "event": "Lead", "status": "lead", "transaction_id": format!("demo-{number}"), "click_id": click.to_string(),
        });
        engine.receive_events(Inbound {
            method: SERVER_EVENT.to_owned(),
            partner: partner.to_owned(),
            body: lead.to_string().into_bytes(),
            content_type: "application/json".into(),
            ..Inbound::default()
        })
    });
    let mut answers = futures_util::stream::iter(reported).buffer_unordered(LEADS_AT_ONCE);
    while let Some(answer) = answers.next().await {
        for row in answer.rows {
            match row.verdict {
                Verdict::Recorded => booked += 1,
                Verdict::Duplicate => {}
                other => anyhow::bail!("a lead was {other}: {}", row.detail),
            }
        }
    }
    Ok(booked)
}

fn click(engine: &Engine, slug: &str) -> Result<Click> {
    let snapshot = engine.snapshot.load();
    let campaign = snapshot.campaign(slug).ok_or_else(|| {
        exit::with(Code::NotFound, format!("no campaign is called `{}`", show::clean(slug)))
    })?;
    let target = campaign.target().ok_or_else(|| {
        exit::with(Code::Usage, format!("`{}` has paths; name a campaign with one target", show::clean(slug)))
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
        target: target.fill(values),
        ad_click_ids: AdClickIds::from_params(&params),
        query,
        ip: Some(std::net::Ipv4Addr::new(192, 0, 2, 1).into()),
        in_europe: None,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) demo".into(),
        referrer: String::new(),
        language: "en".into(),
        fbc_cookie: String::new(),
        fbp_cookie: String::new(),
        cost: None,
        gpc: false,
        test: campaign.test,
        labels: Vec::new(),
        way: None,
    })
}
