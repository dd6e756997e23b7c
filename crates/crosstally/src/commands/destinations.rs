//! `crosstally destinations list|pause|resume`.

use anyhow::Result;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_http::api::destinations::{self, DestinationOut, SetOut, Wanted, all};
use serde::Deserialize;

use super::ledger::asked;
use crate::cli::{At, Destinations};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

#[derive(Deserialize)]
struct Page {
    data: Vec<DestinationOut>,
}

/// Runs one of the destinations commands.
pub(crate) async fn run(command: Destinations, json: bool) -> Result<()> {
    match command {
        Destinations::List { at } => list(&at, json).await,
        Destinations::Pause { slug, at } => set(&slug, Wanted::Paused, &at, json).await,
        Destinations::Resume { slug, at } => set(&slug, Wanted::Active, &at, json).await,
    }
}

async fn list(at: &At, json: bool) -> Result<()> {
    let rows = match remote::find(at)? {
        Where::Here(ground) => remote::here(&ground, async |engine| Ok(all(engine).await?)).await?,
        Where::There(server) => server.get::<Page>("/api/v1/destinations").await?.data,
    };
    if json {
        show::json(&rows)?;
    } else {
        show::table(
            &["destination", "kind", "state", "code", "waiting", "delivered", "what to do"],
            rows.iter().map(cells),
        )?;
    }
    let named = |which: &dyn Fn(&DestinationOut) -> bool| {
        let slugs: Vec<&str> = rows.iter().filter(|row| which(row)).map(|row| row.slug.as_str()).collect();
        slugs.join(", ")
    };
    let paused = named(&|row| row.state == "paused");
    let failing = named(&|row| row.state == "failing");
    let removed = named(&|row| row.state == "removed" && row.holds());
    let told = [("paused", paused), ("failing", failing), ("removed", removed)];
    let told: Vec<String> = told
        .into_iter()
        .filter(|(_, slugs)| !slugs.is_empty())
        .map(|(state, slugs)| format!("{state}: {slugs}"))
        .collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(exit::with(Code::CheckFailed, format!("{}; their events wait", told.join("; "))))
}

fn cells(row: &DestinationOut) -> Vec<String> {
    let count = |state: &str| row.deliveries.get(state).copied().unwrap_or(0);
    vec![
        row.slug.clone(),
        row.kind.clone().unwrap_or_default(),
        row.state.clone(),
        row.code.clone().unwrap_or_default(),
        (count("pending") + count("held")).to_string(),
        count("delivered").to_string(),
        row.until.map_or_else(|| fix(row), |until| wait(row, until)),
    ]
}

/// What to do. Which secret is missing, and where it is looked for, nobody can guess.
fn fix(row: &DestinationOut) -> String {
    let fix = row.fix.clone().unwrap_or_default();
    match &row.detail {
        Some(detail) if row.code.as_deref() == Some(Reason::SecretMissing.about().code) => {
            format!("{fix} ({detail})")
        }
        _ => fix,
    }
}

fn wait(row: &DestinationOut, until: Timestamp) -> String {
    let detail = row.detail.as_deref().unwrap_or_default();
    format!("Nothing: it asked for a wait until {until} ({detail}); sending goes on by itself.")
}

/// Who paused a destination on the command line.
const AUTHOR: &str = "command line";

async fn set(slug: &str, wanted: Wanted, at: &At, json: bool) -> Result<()> {
    let verb = match wanted {
        Wanted::Paused => "pause",
        Wanted::Active => "resume",
    };
    let set: SetOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                destinations::set(engine, slug, wanted, AUTHOR).await.map_err(asked)
            })
            .await?
        }
        Where::There(server) => {
            let path = format!("/api/v1/destinations/{}/{verb}", escaped(slug));
            server.post(&path, "application/json", Vec::new()).await?
        }
    };
    if json {
        return show::json(&set);
    }
    let said = match (set.state.as_str(), wanted) {
        ("removed", Wanted::Active) => {
            "is gone from the configuration; when it is there again it goes on".to_owned()
        }
        ("removed", Wanted::Paused) => {
            "is gone from the configuration; when it is there again it is paused".to_owned()
        }
        (_, Wanted::Paused) => {
            format!("waits until it is resumed: crosstally destinations resume {}", show::clean(slug))
        }
        (_, Wanted::Active) => "goes on; what waits for it is tried again".to_owned(),
    };
    show::text(&format!("{slug} {said}\n"))
}
