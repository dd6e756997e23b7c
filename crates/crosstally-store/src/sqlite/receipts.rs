//! Receipts and their balance.

use crosstally_core::ids::{ClickId, ConversionId, ReceiptId};
use crosstally_core::postback::Receipt;
use crosstally_core::verdict::Verdict;
use rusqlite::{Connection, Params, params};

use super::tally::COUNT_RECEIPTS;
use super::{Sqlite, rows};
use crate::{ReceiptCount, StoreError, WORKSPACE};

const INSERT: &str =
    "INSERT INTO receipts (id, workspace, received_at, partner, method, query, body, content_type, peer,
        user_agent, verdict, reason, detail, conversion, sequence, click, read, goals, revision, headers,
        contact, sealed, labels)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

/// Finds receipts and conversions by their click.
const LINK: &str =
    "INSERT INTO click_links (click, receipt, conversion) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

/// Before every id there can be.
const PAST_THE_LAST: &[u8] = &[0xff; 17];

impl Sqlite {
    pub(crate) async fn record_receipt(&self, receipt: Receipt) -> Result<(), StoreError> {
        self.engine.write(1, move |connection| insert(connection, &receipt)).await
    }

    pub(crate) async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, StoreError> {
        let work = move |connection: &Connection| {
            Ok(list(connection, "id = ?1 ORDER BY id LIMIT 1", [id.as_bytes()])?.pop())
        };
        self.engine.read(work).await
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
        let only = " AND conversion = ?1 AND verdict IN ('recorded', 'updated')";
        self.receipts_of(id, only, limit).await
    }

    async fn receipts_of(
        &self,
        id: ConversionId,
        only: &str,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let condition = of_conversion(only);
        self.engine.read(move |connection| list(connection, &condition, params![id.as_bytes(), limit])).await
    }

    pub(crate) async fn receipts_of_click(
        &self,
        id: ClickId,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let condition = "id IN (SELECT receipt FROM click_links WHERE click = ?1) AND click = ?1
            ORDER BY id LIMIT ?2";
        self.engine.read(move |connection| list(connection, condition, params![id.as_bytes(), limit])).await
    }

    pub(crate) async fn list_receipts(
        &self,
        partner: Option<String>,
        before: Option<ReceiptId>,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let work = move |connection: &Connection| {
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            match &partner {
                Some(partner) => {
                    let condition = "workspace = ?1 AND partner = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
                    list(connection, condition, params![WORKSPACE, partner, before, limit])
                }
                None => list(connection, "id < ?1 ORDER BY id DESC LIMIT ?2", params![before, limit]),
            }
        };
        self.engine.read(work).await
    }

    pub(crate) async fn count_receipts(&self) -> Result<Vec<ReceiptCount>, StoreError> {
        let work = |connection: &Connection| {
            let mut ask = connection.prepare_cached(
                "SELECT partner, verdict, sum(count) FROM receipt_hours WHERE workspace = ?1
                GROUP BY partner, verdict ORDER BY partner, verdict",
            )?;
            let counts = ask.query_map([WORKSPACE], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, rows::number(row, 2)?))
            })?;
            counts
                .map(|row| {
                    let (partner, verdict, count) = row?;
                    let verdict = Verdict::from_word(&verdict)
                        .ok_or_else(|| StoreError::Corrupt("receipt_counts.verdict".into()))?;
                    Ok(ReceiptCount { partner, verdict, count })
                })
                .collect()
        };
        self.engine.read(work).await
    }
}

/// What moved a conversion is found by the ledger, all else by an index that holds nothing but that: its condition must
/// stand here word for word.
pub(super) fn of_conversion(only: &str) -> String {
    format!(
        "id IN (SELECT receipt FROM ledger_entries WHERE conversion = ?1
            UNION ALL
            SELECT id FROM receipts WHERE conversion = ?1
                AND (revision > 0 OR verdict NOT IN ('recorded', 'updated'))){only}
        ORDER BY id LIMIT ?2"
    )
}

/// Writes a receipt and counts it.
fn insert(connection: &Connection, receipt: &Receipt) -> Result<(), StoreError> {
    insert_row(connection, receipt)?;
    let hour = receipt.received_at.hour().as_millis();
    let counted = params![WORKSPACE, receipt.counted_under(), hour, receipt.verdict.as_str(), 1];
    connection.prepare_cached(COUNT_RECEIPTS)?.execute(counted)?;
    Ok(())
}

/// Writes a receipt that its transaction counts.
pub(super) fn insert_row(connection: &Connection, receipt: &Receipt) -> Result<(), StoreError> {
    connection.prepare_cached(INSERT)?.execute(params![
        receipt.id.as_bytes(),
        WORKSPACE,
        receipt.received_at.as_millis(),
        receipt.partner,
        receipt.method,
        receipt.query,
        receipt.body,
        receipt.content_type,
        receipt.peer,
        receipt.user_agent,
        receipt.verdict.as_str(),
        receipt.reason.map(|reason| reason.code()),
        receipt.detail,
        receipt.conversion.as_ref().map(ConversionId::as_bytes),
        receipt.sequence,
        receipt.click.as_ref().map(ClickId::as_bytes),
        rows::to_json(&*receipt.read)?,
        rows::to_json(&receipt.goals)?,
        receipt.revision,
        rows::to_json(&receipt.headers)?,
        rows::to_json(&receipt.contact)?,
        receipt.sealed,
        rows::to_json(&receipt.labels)?,
    ])?;
    if let Some(click) = &receipt.click {
        link(connection, *click, receipt.id, receipt.conversion)?;
    }
    super::replays::wait(connection, receipt)
}

/// Has the page in memory on which a further receipt of this conversion will be noted.
pub(super) fn look_up_conversion(reader: &Connection, conversion: ConversionId) {
    let ask = "SELECT id FROM receipts
        WHERE conversion = ?1 AND (revision > 0 OR verdict NOT IN ('recorded', 'updated')) LIMIT 1";
    touch(reader, ask, params![conversion.as_bytes()]);
}

/// The same for a further receipt of this click.
pub(super) fn look_up_click(reader: &Connection, click: ClickId) {
    touch(reader, "SELECT receipt FROM click_links WHERE click = ?1 LIMIT 1", params![click.as_bytes()]);
}

fn touch(reader: &Connection, ask: &str, about: impl Params) {
    // What is wrong here will be found when it matters.
    reader.prepare_cached(ask).and_then(|mut ask| ask.query_row(about, |_| Ok(()))).ok();
}

/// Ties a receipt and the conversion that it is about to a click.
pub(super) fn link(
    connection: &Connection,
    click: ClickId,
    receipt: ReceiptId,
    conversion: Option<ConversionId>,
) -> Result<(), StoreError> {
    let conversion = conversion.as_ref().map_or(&[][..], |conversion| conversion.as_bytes());
    connection.prepare_cached(LINK)?.execute(params![click.as_bytes(), receipt.as_bytes(), conversion])?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<Receipt>, StoreError> {
    let ask = format!("SELECT {} FROM receipts WHERE {condition}", rows::RECEIPT);
    let mut ask = connection.prepare_cached(&ask)?;
    let receipts = ask.query_map(values, rows::receipt)?;
    Ok(receipts.collect::<rusqlite::Result<_>>()?)
}
