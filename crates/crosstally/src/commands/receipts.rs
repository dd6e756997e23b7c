//! `crosstally receipts list|show|balance|replay|repair`.

mod balance;
mod one;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use crosstally_http::api::receipts::ReceiptOut;
use crosstally_http::api::replays::{self, ReplayIn, ReplayPage, ReplayRow};
use crosstally_http::api::statuses::StatusesOut;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::{At, Receipts, Which};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

use super::ledger::asked;

/// Rows that are printed one by one; of more, the sums are what counts.
const ROWS_SHOWN_MAX: usize = 50;

#[derive(Deserialize)]
struct Page {
    data: Vec<ReceiptOut>,
}

/// Runs one of the receipts commands.
pub(crate) async fn run(command: Receipts, json: bool) -> Result<()> {
    match command {
        Receipts::List { partner, limit, at } => list(partner, limit, &at, json).await,
        Receipts::Statuses { partner, at } => statuses(partner, &at, json).await,
        Receipts::Show { id, at } => one::run(&id, &at, json).await,
        Receipts::Balance(wanted) => balance::run(wanted, json).await,
        Receipts::Replay { which } => again(&which, &[], false, json).await,
        Receipts::Repair { which, set, real } => {
            if set.is_empty() && !real {
                return Err(exit::with(
                    Code::Usage,
                    "say what to repair: --set status=approved, or --real".to_owned(),
                ));
            }
            again(&which, &set, real, json).await
        }
    }
}

async fn list(partner: Option<String>, limit: u32, at: &At, json: bool) -> Result<()> {
    let rows: Vec<ReceiptOut> = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(engine
                    .store
                    .list_receipts(partner, None, limit)
                    .await?
                    .iter()
                    .map(ReceiptOut::from)
                    .collect())
            })
            .await?
        }
        Where::There(server) => {
            let partner = partner.map(|slug| format!("&partner={}", escaped(&slug))).unwrap_or_default();
            server.get::<Page>(&format!("/api/v1/receipts?limit={limit}{partner}")).await?.data
        }
    };
    if json {
        return show::json(&rows);
    }
    let cells = rows.iter().map(|row| {
        vec![
            row.id.clone(),
            row.received_at.clone(),
            row.partner.clone(),
            row.result.clone(),
            row.code.clone().unwrap_or_default(),
            row.detail.clone(),
        ]
    });
    show::table(&["id", "received", "partner", "result", "code", "detail"], cells)
}

async fn statuses(partner: Option<String>, at: &At, json: bool) -> Result<()> {
    let found: StatusesOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                Ok(engine.unknown_statuses(partner.as_deref()).await?.into())
            })
            .await?
        }
        Where::There(server) => {
            let partner = partner.map(|slug| format!("?partner={}", escaped(&slug))).unwrap_or_default();
            server.get(&format!("/api/v1/receipts/statuses{partner}")).await?
        }
    };
    if json {
        return show::json(&found);
    }
    if found.data.is_empty() {
        return show::text("every status word of the last 30 days is in a map\n");
    }
    let cells = found.data.iter().map(|row| {
        let money: Vec<String> =
            row.money.iter().map(|stake| format!("{} {}", stake.amount, stake.currency)).collect();
        vec![
            row.partner.clone(),
            row.word.clone(),
            row.receipts.to_string(),
            money.join(", "),
            row.proposed.clone().unwrap_or_else(|| "?".to_owned()),
            row.why.clone().unwrap_or_else(|| "somebody has to say".to_owned()),
        ]
    });
    show::table(&["partner", "word", "calls", "at stake", "proposed", "because"], cells)?;
    let lines =
        found.data.iter().filter_map(|row| Some(format!("  {}: {}\n", row.partner, row.line.as_ref()?)));
    let capped = if found.capped { "There are more than are looked at.\n" } else { "" };
    show::text(&format!(
        "\n{capped}To take a proposal, add its line to the partner's section, look at `config plan`, apply it, and read the\n\
        calls again with `receipts replay --code status_unmapped`:\n{}",
        lines.collect::<String>()
    ))
}

async fn again(which: &Which, set: &[String], real: bool, json: bool) -> Result<()> {
    if which.receipts.is_empty() && which.partner.is_none() && which.code.is_none() && which.result.is_none()
    {
        return Err(exit::with(
            Code::Usage,
            "name receipts, or say which: --partner, --result or --code".to_owned(),
        ));
    }
    let mut wanted = ReplayIn {
        receipts: which.receipts.clone(),
        partner: which.partner.clone(),
        result: which.result.clone(),
        code: which.code.clone(),
        from: which.from.clone(),
        to: which.to.clone(),
        set: fields(set)?,
        real,
        apply: which.apply,
        ..ReplayIn::default()
    };
    let rows = match remote::find(&which.at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let mut rows = Vec::new();
                loop {
                    let page = replays::page(engine, &wanted, "command line").await?;
                    if !turn(&mut rows, page, &mut wanted) {
                        return Ok(rows);
                    }
                }
            })
            .await?
        }
        Where::There(server) => {
            let mut rows = Vec::new();
            loop {
                let body = serde_json::to_vec(&wanted)?;
                let page: ReplayPage =
                    server.post("/api/v1/receipts/replay", "application/json", body).await?;
                if !turn(&mut rows, page, &mut wanted) {
                    break rows;
                }
            }
        }
    };
    if json { show::json(&rows) } else { told(&rows, which.apply) }
}

/// Takes a page; says whether there is another one.
fn turn(rows: &mut Vec<ReplayRow>, page: ReplayPage, wanted: &mut ReplayIn) -> bool {
    rows.extend(page.data);
    if std::io::stderr().is_terminal() && page.next_cursor.is_some() {
        eprint!("\r{} receipts read", rows.len());
    }
    wanted.cursor = page.next_cursor;
    wanted.cursor.is_some()
}

fn fields(set: &[String]) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    for pair in set {
        let Some((field, value)) = pair.split_once('=') else {
            bail!("`{pair}` is not FIELD=VALUE");
        };
        fields.insert(field.trim().to_owned(), Value::String(value.to_owned()));
    }
    Ok(fields)
}

fn told(rows: &[ReplayRow], applied: bool) -> Result<()> {
    let said = |(result, code): &(String, Option<String>)| match code {
        Some(code) => format!("{result} ({code})"),
        None => result.clone(),
    };
    let money = |row: &ReplayRow| {
        let parts: Vec<String> = row
            .money
            .iter()
            .map(|money| format!("{} confirmed, {} open, {}", money.confirmed, money.pending, money.currency))
            .collect();
        parts.join("; ")
    };
    let cells =
        rows.iter().filter(|row| row.changed || row.problem.is_some()).take(ROWS_SHOWN_MAX).map(|row| {
            let about = row.problem.clone().unwrap_or_else(|| row.detail.clone());
            vec![row.receipt.clone(), said(&row.was), said(&row.is), money(row), about]
        });
    show::table(&["receipt", "was", "is", "money", "about"], cells)?;
    let changed = rows.iter().filter(|row| row.changed).count();
    let mut text = format!("{} receipts read, {changed} change", rows.len());
    let mut sums: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
    for money in rows.iter().flat_map(|row| &row.money) {
        let sum = sums.entry(money.currency.as_str()).or_default();
        sum.0 += digits(&money.confirmed);
        sum.1 += digits(&money.pending);
    }
    for (currency, (confirmed, pending)) in sums {
        let decimal = |minor: i128| match (
            currency.parse::<crosstally_core::money::Currency>(),
            i64::try_from(minor),
        ) {
            (Ok(currency), Ok(minor)) => currency.format_minor(minor),
            _ => minor.to_string(),
        };
        text.push_str(&format!(
            "; {currency}: {} confirmed, {} open",
            show::signed(&decimal(confirmed)),
            show::signed(&decimal(pending))
        ));
    }
    text.push('\n');
    if !applied && changed > 0 {
        text.push_str("nothing was changed; add --apply to do it\n");
    }
    show::text(&text)
}

/// The minor units of a decimal that the API wrote.
fn digits(decimal: &str) -> i128 {
    decimal.replace('.', "").parse().unwrap_or(0)
}
