//! `crosstally ledger [ID]`.

use anyhow::Result;
use crosstally_core::ids::ConversionId;
use crosstally_http::api::ask::{AskError, WindowIn};
use crosstally_http::api::conversions::ConversionOut;
use crosstally_http::api::ledger::{self, LedgerIn, LedgerOut, MovementsOut};

use crate::cli::{At, Ledger};
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped, query};
use crate::show;

/// Shows sums of movements, or the movements of one conversion.
pub(crate) async fn run(wanted: Ledger, json: bool) -> Result<()> {
    let Ledger { id, as_of, from, to, by, partner, campaign, source, at } = wanted;
    let by = by.map(|by| by.as_str().to_owned());
    match id {
        Some(id) => movements(&id, WindowIn { as_of, from, to, by }, &at, json).await,
        None => sums(LedgerIn { as_of, from, to, by, partner, campaign, source }, &at, json).await,
    }
}

/// A question that is not answered, as the shell is told.
pub(crate) fn asked(error: AskError) -> anyhow::Error {
    match error {
        AskError::Bad(problem) => exit::with(Code::Usage, problem),
        AskError::NotFound(problem) => exit::with(Code::NotFound, problem),
        AskError::Store(error) => error.into(),
    }
}

async fn sums(wanted: LedgerIn, at: &At, json: bool) -> Result<()> {
    let found: LedgerOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| ledger::sums(engine, wanted).await.map_err(asked)).await?
        }
        Where::There(server) => {
            let values = [
                ("as_of", &wanted.as_of),
                ("from", &wanted.from),
                ("to", &wanted.to),
                ("by", &wanted.by),
                ("partner", &wanted.partner),
                ("campaign", &wanted.campaign),
                ("source", &wanted.source),
            ];
            server.get(&query("/api/v1/ledger", &values)).await?
        }
    };
    if json {
        return show::json(&found);
    }
    let heads =
        ["currency", "confirmed", "pending", "base confirmed", "base pending", "movements", "conversions"];
    let rows = found.data.iter().map(|sum| {
        let base = |of: fn(&ledger::BaseSumOut) -> &str| {
            let parts: Vec<String> =
                sum.base.iter().map(|base| format!("{} {}", of(base), base.currency)).collect();
            parts.join(" + ")
        };
        vec![
            sum.currency.clone(),
            sum.confirmed.clone(),
            sum.pending.clone(),
            base(|base| &base.confirmed),
            base(|base| &base.pending),
            sum.movements.to_string(),
            sum.conversions.to_string(),
        ]
    });
    show::table(&heads, rows)?;
    let unpriced: u64 = found.data.iter().map(|sum| sum.fx_pending).sum();
    if unpriced > 0 {
        show::aside(&format!(
            "{unpriced} movements had no rate when they were booked: they are not in the base sums"
        ))?;
    }
    Ok(())
}

async fn movements(id: &str, wanted: WindowIn, at: &At, json: bool) -> Result<()> {
    let unknown = || exit::with(Code::NotFound, format!("there is no conversion `{}`", show::clean(id)));
    let known: ConversionId = id.parse().map_err(|_| unknown())?;
    let found: MovementsOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                ledger::movements(engine, known, &wanted).await.map_err(asked)?.ok_or_else(unknown)
            })
            .await?
        }
        Where::There(server) => {
            // The usual window is asked for by name, so that the answer also says where the conversion stands.
            let by = Some(wanted.by.clone().unwrap_or_else(|| "recorded".to_owned()));
            let values = [("as_of", &wanted.as_of), ("from", &wanted.from), ("to", &wanted.to), ("by", &by)];
            server.get(&query(&format!("/api/v1/conversions/{}/ledger", escaped(id)), &values)).await?
        }
    };
    if json {
        return show::json(&found);
    }
    let heads = ["", "recorded", "happened", "status", "value", "confirmed", "pending", "why"];
    let rows = found.data.iter().map(|entry| {
        let value = entry.amounts.value.as_deref();
        vec![
            entry.sequence.to_string(),
            short(&entry.recorded_at),
            short(&entry.event_time),
            entry.status.clone(),
            value.map(|value| format!("{value} {}", entry.amounts.currency)).unwrap_or_default(),
            show::signed(&entry.confirmed_delta),
            show::signed(&entry.pending_delta),
            entry.kind.clone(),
        ]
    });
    show::table(&heads, rows)?;
    match &found.state {
        Some(state) => show::text(&stood(state)),
        None => show::text("= nothing was known of it then\n"),
    }
}

/// A time without its thousandths.
fn short(time: &str) -> String {
    time.split('.').next().unwrap_or(time).replace('T', " ")
}

fn stood(state: &ConversionOut) -> String {
    let currency = &state.amounts.currency;
    let mut text = format!(
        "= {}, confirmed {} {currency}, pending {}; {} movement(s)",
        state.status, state.confirmed, state.pending, state.movements
    );
    for (name, amount) in [("payout", &state.amounts.payout), ("revenue", &state.amounts.revenue)] {
        if let Some(amount) = amount {
            text.push_str(&format!("; {name} {amount}"));
        }
    }
    text.push('\n');
    if let (Some(fx), Some(confirmed), Some(pending)) =
        (&state.fx, &state.base_confirmed, &state.base_pending)
    {
        text.push_str(&format!(
            "= in the base currency: confirmed {confirmed} {}, pending {pending}\n",
            fx.base
        ));
    } else if state.fx_pending {
        text.push_str("= in the base currency: waits for a rate (fx_pending)\n");
    }
    show::clean_lines(&text)
}
