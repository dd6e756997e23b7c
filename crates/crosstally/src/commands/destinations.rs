//! `crosstally destinations list|resume`.

use anyhow::Result;
use crosstally_http::api::destinations::{DestinationOut, all};
use serde::Deserialize;
use serde_json::{Value, json};

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
        Destinations::Resume { slug, at } => resume(&slug, &at, json).await,
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
    let paused: Vec<&str> =
        rows.iter().filter(|row| row.state == "paused").map(|row| row.slug.as_str()).collect();
    if paused.is_empty() {
        return Ok(());
    }
    Err(exit::with(Code::CheckFailed, format!("paused: {}; their events wait", paused.join(", "))))
}

fn cells(row: &DestinationOut) -> Vec<String> {
    let count = |state: &str| row.deliveries.get(state).copied().unwrap_or(0).to_string();
    vec![
        row.slug.clone(),
        row.kind.clone(),
        row.state.clone(),
        row.code.clone().unwrap_or_default(),
        count("pending"),
        count("delivered"),
        row.fix.clone().unwrap_or_default(),
    ]
}

async fn resume(slug: &str, at: &At, json: bool) -> Result<()> {
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                if engine.snapshot.load().destination(slug).is_none() {
                    return Err(exit::with(Code::NotFound, format!("no destination is called `{slug}`")));
                }
                Ok(engine.resume_destination(slug).await?)
            })
            .await?;
        }
        Where::There(server) => {
            let path = format!("/api/v1/destinations/{}/resume", escaped(slug));
            server.post::<Value>(&path, "application/json", Vec::new()).await?;
        }
    }
    if json {
        return show::json(&json!({ "slug": slug, "state": "active" }));
    }
    show::text(&format!("{slug} is tried again\n"))
}
