//! `crosstally receipts balance`.

use anyhow::Result;
use crosstally_http::api::balance::{self, BalanceIn, BalanceLine, BalanceOut};

use crate::cli::{Balance, BalanceBy};
use crate::remote::{self, Where, query};
use crate::show;

/// Pages that are fetched at most; a page has 500 periods.
const PAGES_MAX: usize = 40;

/// Shows how many calls there were and what became of them.
pub(super) async fn run(wanted: Balance, json: bool) -> Result<()> {
    let Balance { partner, from, to, by, at } = wanted;
    let asked =
        BalanceIn { partner, from, to, by: by.map(|by| by.as_str().to_owned()), ..BalanceIn::default() };
    let found = match remote::find(&at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                all(asked, async |page| balance::balance(engine, &page).await.map_err(super::asked)).await
            })
            .await?
        }
        Where::There(server) => all(asked, async |page| server.get(&path(&page)).await).await?,
    };
    if json {
        return show::json(&found);
    }
    let heads =
        ["received", "recorded", "updated", "duplicate", "quarantined", "refused", "test"].map(str::to_owned);
    let first = by.map_or("partner", |by| match by {
        BalanceBy::Hour => "hour (UTC)",
        BalanceBy::Day => "day (UTC)",
    });
    let mut heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    heads.insert(0, first);
    if by.is_some() {
        heads.insert(1, "partner");
    }
    let total = "all";
    let totals = found.totals.iter().flatten().map(|line| cells(line, Some(total)));
    let rows = found.data.iter().map(|line| {
        let start = line.start.as_deref().map(|start| moment(start, by));
        cells(line, start.as_deref())
    });
    show::table(&heads, rows.chain(totals))?;
    match found.next_cursor {
        Some(_) => show::aside("there are more periods; narrow --from and --to"),
        None => Ok(()),
    }
}

/// Page after page.
async fn all(mut asked: BalanceIn, ask: impl AsyncFn(BalanceIn) -> Result<BalanceOut>) -> Result<BalanceOut> {
    let mut found = ask(asked.clone()).await?;
    for _ in 1..PAGES_MAX {
        let Some(cursor) = found.next_cursor.take() else { break };
        asked.cursor = Some(cursor);
        let page = ask(asked.clone()).await?;
        found.data.extend(page.data);
        found.next_cursor = page.next_cursor;
    }
    Ok(found)
}

fn path(asked: &BalanceIn) -> String {
    let values = [
        ("partner", &asked.partner),
        ("from", &asked.from),
        ("to", &asked.to),
        ("by", &asked.by),
        ("cursor", &asked.cursor),
    ];
    query("/api/v1/receipts/balance", &values)
}

/// When a period starts, as short as can be.
fn moment(start: &str, by: Option<BalanceBy>) -> String {
    let letters = if by == Some(BalanceBy::Day) { 10 } else { 16 };
    start.chars().take(letters).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}

fn cells(line: &BalanceLine, start: Option<&str>) -> Vec<String> {
    let counts = [
        line.received,
        line.recorded,
        line.updated,
        line.duplicate,
        line.quarantined,
        line.refused,
        line.test,
    ];
    let names = start.map(str::to_owned).into_iter().chain([line.partner.clone()]);
    names.chain(counts.map(|count| count.to_string())).collect()
}
