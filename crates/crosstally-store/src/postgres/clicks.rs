//! Clicks.

use std::sync::Arc;

use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::postback::Awaited;

use super::fault::Fault;
use super::rows::{Columns, Id, Text};
use super::transact::{Database, Transaction};
use super::writer::{Waiting, Work};
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

/// A click that is there already stays as it is, so that to write one twice is harmless.
macro_rules! insert {
    ($column:literal, $values:literal) => {
        concat!("INSERT INTO clicks (workspace, id, at, campaign, source, query, target, ip, user_agent, referrer, language,
            fbc_cookie, fbp_cookie, ad_click_ids, cost_minor, cost_currency, gpc, test", $column, ")
        SELECT $1::bigint, * FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::inet[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::text[],
            $17::boolean[], $18::boolean[]", $values, ")
        ON CONFLICT DO NOTHING")
    };
}

const INSERT: &str = insert!("", "");
/// Few clicks have labels or took a way, and many an address that cannot be looked for: they do not pay for the columns.
const INSERT_LABELLED: &str =
    insert!(", labels, way, in_europe", ", $19::text[], $20::text[], $21::boolean[]");
/// They come late, and postbacks may have overtaken them.
const INSERT_AND_COUNT: &str = concat!(
    "WITH new AS (",
    insert!(", labels, way, in_europe", ", $19::text[], $20::text[], $21::boolean[]"),
    " RETURNING 1), woken AS (
        UPDATE receipt_waits SET next_at = 0 WHERE workspace = $1 AND awaited = ANY ($22::text[])
    ) SELECT count(*) FROM new"
);

/// A click on its way into a batch.
pub(super) struct NewClick(Arc<Click>);

impl Work for NewClick {
    type Answer = ();

    // One batch is encoded while the other is written.
    const BATCHES_MAX: usize = 2;

    fn weight(&self) -> usize {
        1 + (self.0.query.len() + self.0.target.len()) / 2_048
    }

    async fn record(database: &Database, batch: &mut [Waiting<Self>]) -> Result<(), Fault> {
        let connection = database.connection().await?;
        let clicks: Vec<&Click> = batch.iter().map(|one| &*one.work.0).collect();
        let has_more =
            |click: &&Click| !click.labels.is_empty() || click.way.is_some() || click.in_europe.is_some();
        let labelled = clicks.iter().any(has_more);
        let statement = connection.prepare_cached(if labelled { INSERT_LABELLED } else { INSERT }).await?;
        let columns = if labelled { labelled_columns(&clicks)? } else { columns(&clicks) };
        let written = connection.execute(&statement, &columns.values()).await;
        drop(columns);
        // The statement commits itself: whether a lost one did is not known, but the next try makes it so.
        written.map_err(|error| match Fault::from(error) {
            Fault::Lost(problem) => Fault::Perhaps(problem),
            other => other,
        })?;
        batch.iter_mut().for_each(|one| one.answer = Some(Ok(())));
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn append_click(&self, click: Arc<Click>) -> Result<(), StoreError> {
        self.engine.join(&self.engine.clicks, NewClick(click)).await
    }

    pub(crate) async fn append_clicks(&self, clicks: Vec<Click>) -> Result<u64, StoreError> {
        let clicks: Vec<&Click> = clicks.iter().collect();
        let awaited: Vec<String> = clicks.iter().map(|click| Awaited::Click(click.id).to_string()).collect();
        let columns = labelled_columns(&clicks)?;
        let mut values = columns.values();
        values.push(&awaited);
        let counted = self.engine.write(INSERT_AND_COUNT, &values).await?;
        let new = counted.first().map_or(Ok(0), |row| rows::get::<i64>(row, 0))?;
        Ok(u64::try_from(new).unwrap_or_default())
    }

    pub(crate) async fn click(&self, id: ClickId) -> Result<Option<Click>, StoreError> {
        let find = format!("SELECT {} FROM clicks WHERE workspace = $1 AND id = $2", rows::CLICK);
        let found = self.engine.read(&find, &[&WORKSPACE, &Id::from(id)]).await?;
        found.first().map(rows::click).transpose()
    }

    pub(crate) async fn has_clicks(&self) -> Result<bool, StoreError> {
        let find = "SELECT EXISTS (SELECT 1 FROM clicks WHERE workspace = $1)";
        let found = self.engine.read(find, &[&WORKSPACE]).await?;
        found.first().map_or(Ok(false), |row| rows::get(row, 0))
    }
}

/// Appends clicks inside a transaction; how many are new.
pub(super) async fn append(transaction: &Transaction, clicks: &[&Click]) -> Result<u64, Fault> {
    let awaited: Vec<String> = clicks.iter().map(|click| Awaited::Click(click.id).to_string()).collect();
    let columns = labelled_columns(clicks)?;
    let mut values = columns.values();
    values.push(&awaited);
    let insert = transaction.prepare_cached(INSERT_AND_COUNT).await?;
    let new: i64 = transaction.query_one(&insert, &values).await?.try_get(0)?;
    Ok(u64::try_from(new).unwrap_or_default())
}

fn labelled_columns<'rows>(
    clicks: &'rows [&'rows Click],
) -> Result<Columns<'rows, &'rows Click>, StoreError> {
    let labels: Vec<Option<String>> =
        clicks.iter().map(|click| rows::labels(&click.labels)).collect::<Result<_, _>>()?;
    let ways: Vec<Option<String>> =
        clicks.iter().map(|click| click.way.as_ref().map(|way| way.to_stored())).collect();
    Ok(columns(clicks).with_values(labels).with_values(ways).with(|click| click.in_europe))
}

fn columns<'rows>(clicks: &'rows [&'rows Click]) -> Columns<'rows, &'rows Click> {
    Columns::of(clicks)
        .with(|click| Id::from(click.id))
        .with(|click| click.at.as_millis())
        .with(|click| Text(&click.campaign))
        .with(|click| Text(&click.source))
        .with(|click| Text(&click.query))
        .with(|click| Text(&click.target))
        .with(|click| click.ip)
        .with(|click| Text(&click.user_agent))
        .with(|click| Text(&click.referrer))
        .with(|click| Text(&click.language))
        .with(|click| Text(&click.fbc_cookie))
        .with(|click| Text(&click.fbp_cookie))
        .with(|click| click.ad_click_ids.to_stored())
        .with(|click| click.cost.map(|cost| cost.minor))
        .with(|click| click.cost.map(|cost| cost.currency.code()))
        .with(|click| click.gpc)
        .with(|click| click.test)
}
