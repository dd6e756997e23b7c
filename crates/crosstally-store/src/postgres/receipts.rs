//! Receipts and their balance.

use crosstally_core::ids::{ClickId, ConversionId, ReceiptId};
use crosstally_core::postback::Receipt;
use crosstally_core::verdict::Verdict;

use super::fault::Fault;
use super::rows::{Columns, Id, Text};
use super::transact::{Database, Fate, Values};
use super::writer::{Waiting, Work};
use super::{Postgres, rows};
use crate::{ReceiptCount, StoreError, WORKSPACE};

/// Writes receipts and counts them. Counts are taken in the order of their key, so that no two transactions wait for each
/// other; the slot is any number that two connections seldom share.
pub(super) const INSERT: &str = "WITH new AS (
        INSERT INTO receipts (workspace, id, received_at, partner, method, query, body, content_type, peer, user_agent,
            verdict, reason, detail, conversion, sequence, click, read, goals, revision, headers, contact, sealed, labels)
        SELECT $1::bigint, * FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::uuid[], $15::bigint[], $16::uuid[],
            $17::text[], $18::text[], $19::bigint[], $20::text[], $21::text[], $22::bytea[], $23::text[])
        RETURNING
            CASE WHEN reason = 'unknown_partner' AND labels LIKE '%\"stranger\"%' THEN '(unknown)' ELSE partner END AS partner,
            received_at / 3600000 * 3600000 AS hour, verdict
    )
    INSERT INTO receipt_hours AS c (workspace, partner, hour, verdict, slot, count)
    SELECT $1, partner, hour, verdict, pg_backend_pid() % 32, count(*) FROM new GROUP BY partner, hour, verdict
    ORDER BY partner, hour, verdict
    ON CONFLICT (partner, hour, verdict, slot, workspace) DO UPDATE SET count = c.count + excluded.count";

const EXISTS: &str = "SELECT 1 FROM receipts WHERE workspace = $1 AND id = $2";

const COUNTS: &str = "SELECT partner, verdict, sum(count)::bigint FROM receipt_hours WHERE workspace = $1
    GROUP BY partner, verdict ORDER BY partner, verdict";

/// Past every id there can be.
const LAST: Id = Id([0xff; 16]);

/// A receipt on its way into a batch.
pub(super) struct NewReceipt(Receipt);

impl Work for NewReceipt {
    type Answer = ();

    const BATCHES_MAX: usize = 2;

    fn weight(&self) -> usize {
        weight(&self.0)
    }

    async fn record(database: &Database, batch: &mut [Waiting<Self>]) -> Result<(), Fault> {
        write(database, &batch.iter().map(|one| &one.work.0).collect::<Vec<_>>()).await?;
        batch.iter_mut().for_each(|one| one.answer = Some(Ok(())));
        Ok(())
    }
}

async fn write(database: &Database, receipts: &[&Receipt]) -> Result<(), Fault> {
    let transaction = database.transaction().await?;
    let insert = transaction.prepare_cached(INSERT).await?;
    let columns = columns(receipts)?;
    let values = columns.values();
    let (ticket, written) = tokio::join!(biased; transaction.begin(), transaction.execute(&insert, &values));
    let (ticket, _) = (ticket?, written?);
    super::replays::wait(&transaction, receipts).await?;
    let fate = database.commit(transaction, ticket).await?;
    happened(database, fate, receipts.first().map(|receipt| receipt.id)).await
}

/// How much room a receipt takes in a batch.
pub(super) fn weight(receipt: &Receipt) -> usize {
    1 + (receipt.query.len() + receipt.body.len()) / 2_048
}

/// Makes sure that a transaction happened which wrote this receipt among others.
pub(super) async fn happened(
    database: &Database,
    fate: Fate,
    receipt: Option<ReceiptId>,
) -> Result<(), Fault> {
    let there = match (fate, receipt) {
        (Fate::Committed, _) => true,
        (Fate::SeeRows, Some(id)) => {
            // The transaction is over: what is not there now will never be.
            let found = database.ask(EXISTS, &[&WORKSPACE, &Id::from(id)]).await;
            let found = found.map_err(|fault| Fault::Unknown(fault.into_text()))?;
            !found.is_empty()
        }
        (Fate::RolledBack | Fate::SeeRows, _) => false,
    };
    if there { Ok(()) } else { Err(Fault::Lost("the connection broke before the commit".into())) }
}

pub(super) fn columns<'rows>(
    receipts: &'rows [&'rows Receipt],
) -> Result<Columns<'rows, &'rows Receipt>, StoreError> {
    Columns::of(receipts)
        .with(|receipt| Id::from(receipt.id))
        .with(|receipt| receipt.received_at.as_millis())
        .with(|receipt| Text(&receipt.partner))
        .with(|receipt| Text(&receipt.method))
        .with(|receipt| receipt.query.as_slice())
        .with(|receipt| receipt.body.as_slice())
        .with(|receipt| Text(&receipt.content_type))
        .with(|receipt| Text(&receipt.peer))
        .with(|receipt| Text(&receipt.user_agent))
        .with(|receipt| receipt.verdict.as_str())
        .with(|receipt| receipt.reason.map(|reason| reason.code()))
        .with(|receipt| Text(&receipt.detail))
        .with(|receipt| receipt.conversion.map(Id::from))
        .with(|receipt| receipt.sequence.map(i64::from))
        .with(|receipt| receipt.click.map(Id::from))
        .with_json(|receipt| &*receipt.read)?
        .with_json(|receipt| &receipt.goals)?
        .with(|receipt| i64::from(receipt.revision))
        .with_json(|receipt| &receipt.headers)?
        .with_json(|receipt| &receipt.contact)?
        .with(|receipt| receipt.sealed.as_deref())
        .with_json(|receipt| &receipt.labels)
}

impl Postgres {
    pub(crate) async fn record_receipt(&self, receipt: Receipt) -> Result<(), StoreError> {
        self.engine.join(&self.engine.receipts, NewReceipt(receipt)).await
    }

    pub(crate) async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.receipts("id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn receipts_of_conversion(
        &self,
        id: ConversionId,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        self.receipts_of(id, "", limit).await
    }

    pub(crate) async fn booked_receipts(
        &self,
        id: ConversionId,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let only = " AND conversion = $2 AND verdict IN ('recorded', 'updated')";
        self.receipts_of(id, only, limit).await
    }

    /// What moved a conversion is found by the ledger, all else by an index that holds nothing but that: its condition must
    /// stand here word for word.
    async fn receipts_of(
        &self,
        id: ConversionId,
        only: &str,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let condition = format!(
            "id IN (SELECT receipt FROM ledger_entries WHERE workspace = $1 AND conversion = $2
                UNION ALL
                SELECT id FROM receipts WHERE workspace = $1 AND conversion = $2
                    AND (revision > 0 OR verdict NOT IN ('recorded', 'updated'))){only}
            ORDER BY id LIMIT $3"
        );
        self.receipts(&condition, &[&WORKSPACE, &Id::from(id), &i64::from(limit)]).await
    }

    pub(crate) async fn receipts_of_click(
        &self,
        id: ClickId,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let condition = "click = $2 ORDER BY id LIMIT $3";
        self.receipts(condition, &[&WORKSPACE, &Id::from(id), &i64::from(limit)]).await
    }

    pub(crate) async fn list_receipts(
        &self,
        partner: Option<String>,
        before: Option<ReceiptId>,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let (before, limit) = (before.map(Id::from), i64::from(limit));
        // The last id itself is possible, and it is before nothing.
        let order = if before.is_some() { "id < $2" } else { "id <= $2" };
        let before = before.unwrap_or(LAST);
        match &partner {
            Some(partner) => {
                let condition = format!("{order} AND partner = $4 ORDER BY id DESC LIMIT $3");
                self.receipts(&condition, &[&WORKSPACE, &before, &limit, &Text(partner)]).await
            }
            None => {
                let condition = format!("{order} ORDER BY id DESC LIMIT $3");
                self.receipts(&condition, &[&WORKSPACE, &before, &limit]).await
            }
        }
    }

    pub(crate) async fn count_receipts(&self) -> Result<Vec<ReceiptCount>, StoreError> {
        let counts = self.engine.read(COUNTS, &[&WORKSPACE]).await?;
        let read = |row| {
            Ok(ReceiptCount {
                partner: rows::get(row, 0)?,
                verdict: rows::word(row, 1, Verdict::from_word)?,
                count: rows::count(row, 2)?,
            })
        };
        counts.iter().map(read).collect()
    }

    pub(super) async fn receipts(
        &self,
        condition: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Receipt>, StoreError> {
        let ask = format!("SELECT {} FROM receipts WHERE workspace = $1 AND {condition}", rows::RECEIPT);
        self.engine.read(&ask, values).await?.iter().map(rows::receipt).collect()
    }
}
