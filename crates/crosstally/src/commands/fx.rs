//! `crosstally fx import|set|list|rerate`.

use std::path::Path;

use anyhow::{Context, Result};
use crosstally_core::fx::Format;
use crosstally_engine::fx::ImportError;
use crosstally_http::api::fx::{ChangeOut, ImportedOut, RateOut, RerateIn, ReratedOut, SetIn};
use serde::Deserialize;

use crate::cli::{At, Fx, FxFormat};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

#[derive(Deserialize)]
struct Page {
    data: Vec<RateOut>,
}

/// Runs one of the fx commands.
pub(crate) async fn run(command: Fx, json: bool) -> Result<()> {
    match command {
        Fx::Import { file, format, at } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            told(&import(text, format, &file, &at).await?, json)
        }
        Fx::Set { date, base, quote, rate, at } => {
            told(&set(SetIn { date, base, quote, rate }, &at).await?, json)
        }
        Fx::List { currency, limit, at } => list(currency, limit, &at, json).await,
        Fx::Rerate { from, to, currency, dry_run, at } => {
            rerate(RerateIn { from, to, currency, dry_run: true }, dry_run, &at, json).await
        }
    }
}

async fn import(text: String, format: Option<FxFormat>, file: &Path, at: &At) -> Result<ImportedOut> {
    let format = format.map(|format| match format {
        FxFormat::EcbXml => Format::EcbXml,
        FxFormat::EcbCsv => Format::EcbCsv,
        FxFormat::Csv => Format::Csv,
    });
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| match engine.import_rates(text, format).await {
                Ok(done) => Ok(ImportedOut::from(&done)),
                Err(ImportError::Unreadable(problem)) => {
                    Err(exit::with(Code::CheckFailed, format!("{}: {problem}", file.display())))
                }
                Err(ImportError::Store(error)) => Err(error.into()),
            })
            .await
        }
        Where::There(server) => {
            let format = format.map(|format| format!("?format={}", format.as_str())).unwrap_or_default();
            server.post(&format!("/api/v1/fx{format}"), "text/plain", text.into_bytes()).await
        }
    }
}

async fn set(rate: SetIn, at: &At) -> Result<ImportedOut> {
    let quote = rate.quote().map_err(|problem| exit::with(Code::Usage, problem))?;
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| Ok(ImportedOut::from(&engine.add_rates(vec![quote]).await?)))
                .await
        }
        Where::There(server) => {
            server.post("/api/v1/fx", "application/json", serde_json::to_vec(&rate)?).await
        }
    }
}

fn told(done: &ImportedOut, json: bool) -> Result<()> {
    if json {
        return show::json(done);
    }
    let mut text = String::new();
    for one in &done.replacements {
        text.push_str(&format!(
            "{} {}/{} was {}, is {} ({})\n",
            one.date, one.base, one.quote, one.before, one.after, one.source
        ));
    }
    if !done.skipped.is_empty() {
        text.push_str(&format!("passed over, no currencies any more: {}\n", done.skipped.join(", ")));
    }
    text.push_str(&format!(
        "{} rates added, {} replaced, {} were there; {} conversions were priced\n",
        done.added, done.replaced, done.same, done.settled
    ));
    if done.replaced > 0 {
        text.push_str("what was priced before keeps its rate; `crosstally fx rerate` gives it the new one\n");
    }
    show::text(&text)
}

async fn list(currency: Option<String>, limit: u32, at: &At, json: bool) -> Result<()> {
    let rows: Vec<RateOut> = match remote::find(at)? {
        Where::Here(ground) => {
            let currency = currency.as_deref().map(str::parse).transpose();
            let currency =
                currency.map_err(|_| exit::with(Code::Usage, "--currency is a code of ISO 4217"))?;
            remote::here(&ground, async |engine| {
                Ok(engine.store.list_rates(currency, None, limit).await?.iter().map(RateOut::from).collect())
            })
            .await?
        }
        Where::There(server) => {
            let currency = currency.map(|code| format!("&currency={}", escaped(&code))).unwrap_or_default();
            server.get::<Page>(&format!("/api/v1/fx?limit={limit}{currency}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.date.clone(),
            format!("{}/{}", row.base, row.quote),
            row.rate.clone(),
            row.source.clone(),
            row.imported_at.clone(),
        ]
    });
    show::table(&["date", "pair", "rate", "source", "imported"], cells)
}

/// Tells what would change, then changes it.
async fn rerate(asked: RerateIn, dry_run: bool, at: &At, json: bool) -> Result<()> {
    let planned = ask_rerate(&asked, at).await?;
    if dry_run {
        return if json { show::json(&planned) } else { show::text(&sentence(&planned)) };
    }
    if !json {
        show::text(&sentence(&planned))?;
    }
    let done = ask_rerate(&RerateIn { dry_run: false, ..asked }, at).await?;
    if json { show::json(&done) } else { show::text(&sentence(&done)) }
}

async fn ask_rerate(asked: &RerateIn, at: &At) -> Result<ReratedOut> {
    let wanted = asked.wanted().map_err(|problem| exit::with(Code::Usage, problem))?;
    match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(ReratedOut::new(&engine.rerate(wanted, "command line").await?, wanted.dry_run))
            })
            .await
        }
        Where::There(server) => {
            server.post("/api/v1/fx/rerate", "application/json", serde_json::to_vec(asked)?).await
        }
    }
}

fn sentence(done: &ReratedOut) -> String {
    let sums: Vec<String> = done.sums.iter().map(change).collect();
    let sums = if sums.is_empty() { String::new() } else { format!(": {}", sums.join("; ")) };
    let verb = if done.dry_run { "would get another rate" } else { "have another rate now" };
    let kept = match done.without_rate {
        0 => String::new(),
        kept => format!("; {kept} would have none and keep theirs"),
    };
    format!("{} of {} conversions {verb}{sums}{kept}\n", done.changed, done.looked_at)
}

fn change(change: &ChangeOut) -> String {
    let signed =
        |amount: &str| if amount.starts_with('-') { amount.to_owned() } else { format!("+{amount}") };
    format!("confirmed {}, pending {} {}", signed(&change.confirmed), signed(&change.pending), change.base)
}
