//! Receipts that are read again.

use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::{Awaited, Booking, ConversionChange, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::engine::InTransaction;
use super::fault::Fault;
use super::purges::{self, empty_receipts, empty_waited};
use super::rows::{Id, Text};
use super::transact::{Transaction, Value};
use super::{Postgres, nonces, postbacks, rows};
use crate::{PutOff, ReceiptFilter, Replay, ReplayAnswer, Revision, StoreError, WORKSPACE, Wait};

/// What was emptied since it was read stays empty.
const REVISE: &str =
    "UPDATE receipts SET verdict = $4, reason = $5, detail = $6, conversion = $7, sequence = $8, click = $9,
        read = $10, goals = $11, labels = $12, sealed = $13, revision = revision + 1
    WHERE workspace = $1 AND id = $2 AND revision = $3
        AND position('\"erased\"' IN labels) = 0 AND position('\"purged\"' IN labels) = 0";
const KEEP: &str =
    "INSERT INTO receipt_revisions (workspace, receipt, number, at, cause, author, repair, verdict, reason,
        detail, conversion, sequence, read)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const REVISIONS: &str = "SELECT number, at, cause, author, repair, verdict, reason, detail, conversion
    FROM receipt_revisions WHERE workspace = $1 AND receipt = $2 ORDER BY number";
const COUNT: &str = "INSERT INTO receipt_hours AS c (workspace, partner, hour, verdict, slot, count)
    VALUES ($1, $2, $3, $4, 0, -1), ($1, $2, $3, $5, 1, 1)
    ON CONFLICT (partner, hour, verdict, slot, workspace) DO UPDATE SET count = c.count + excluded.count";
/// Under another name it is not what was decided over: an erasure moves nothing.
const MOVEMENTS: &str = "SELECT movements FROM conversions
    WHERE workspace = $1 AND id = $2 AND partner = $3 AND dedupe_key = $4 FOR UPDATE";
const OF_KEY: &str = "SELECT 1 FROM conversions WHERE workspace = $1 AND partner = $2 AND dedupe_key = $3";
const FORGET: &str = "DELETE FROM receipt_waits WHERE workspace = $1 AND receipt = $2";
pub(super) const WAIT: &str = "INSERT INTO receipt_waits (workspace, receipt, awaited, since, next_at, looks)
    SELECT $1::bigint, receipt, awaited, since, since, 0
    FROM unnest($2::uuid[], $3::text[], $4::bigint[]) AS n (receipt, awaited, since) ON CONFLICT DO NOTHING";
const DUE: &str =
    "SELECT receipt, awaited, since, looks FROM receipt_waits WHERE workspace = $1 AND next_at <= $2
    ORDER BY next_at LIMIT $3";
const WAITS_FOR: &str =
    "SELECT receipt, awaited, since, looks FROM receipt_waits WHERE workspace = $1 AND awaited = $2
    ORDER BY receipt LIMIT $3";
const AWAITED_BY: &str = "SELECT awaited FROM receipt_waits WHERE workspace = $1 AND receipt = $2";
/// Before every other time: what waits for something that is there is looked at before what may wait in vain.
const WAKE: &str = "UPDATE receipt_waits SET next_at = 0 WHERE workspace = $1 AND awaited = ANY ($2::text[])";
const PUT_OFF: &str = concat!(
    "WITH n AS (
        SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::text[]) AS n (receipt, next_at, awaited)
    ), gone AS (
        DELETE FROM receipt_waits AS w USING n
        WHERE w.workspace = $1 AND w.receipt = n.receipt AND w.awaited = n.awaited AND n.next_at IS NULL
        RETURNING w.receipt
    ), emptied AS (
        ",
    empty_waited!(),
    " AND id IN (SELECT receipt FROM gone)
    )
    UPDATE receipt_waits AS w SET next_at = n.next_at, looks = w.looks + 1 FROM n
    WHERE w.workspace = $1 AND w.receipt = n.receipt AND w.awaited = n.awaited AND n.next_at IS NOT NULL"
);

impl Postgres {
    pub(crate) async fn receipts_matching(
        &self,
        filter: ReceiptFilter,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        let mut conditions = vec!["true".to_owned()];
        let mut given: Vec<Box<dyn ToSql + Sync + Send>> = Vec::new();
        let mut add = |condition: &str, value: Option<Box<dyn ToSql + Sync + Send>>| {
            if let Some(value) = value {
                given.push(value);
                conditions.push(condition.replace('?', &format!("${}", given.len() + 1)));
            }
        };
        // Ids begin with the time: a range of times is a range of ids.
        let id_at = |at: Timestamp| Id::from(ReceiptId::new(at, [0; 10]));
        add("partner = ?", filter.partner.map(|partner| Box::new(partner) as _));
        add("verdict = ?", filter.verdict.map(|verdict| Box::new(verdict.as_str()) as _));
        add("reason = ?", filter.reason.map(|reason| Box::new(reason.code()) as _));
        add("id >= ?", filter.from.map(|from| Box::new(id_at(from)) as _));
        add("id < ?", filter.to.map(|to| Box::new(id_at(to)) as _));
        add("id > ?", filter.after.map(|after| Box::new(Id::from(after)) as _));
        given.push(Box::new(i64::from(limit)));
        let condition = format!("{} ORDER BY id LIMIT ${}", conditions.join(" AND "), given.len() + 1);
        let mut values: Vec<&Value<'_>> = vec![&WORKSPACE];
        values.extend(given.iter().map(|value| &**value as &Value<'_>));
        self.receipts(&condition, &values).await
    }

    pub(crate) async fn conversion_of_key(&self, key: DedupeKey) -> Result<Option<Conversion>, StoreError> {
        let condition = "c.partner = $2 AND c.dedupe_key = $3";
        Ok(self.conversions(condition, &[&WORKSPACE, &Text(&key.partner), &Text(&key.key)]).await?.pop())
    }

    pub(crate) async fn record_replay(&self, replay: Replay) -> Result<ReplayAnswer, StoreError> {
        let done = self.engine.transact(&replay, recorded).await?;
        Ok(if done.is_some() { ReplayAnswer::Done } else { ReplayAnswer::Moved })
    }

    pub(crate) async fn revisions(&self, receipt: ReceiptId) -> Result<Vec<Revision>, StoreError> {
        let found = self.engine.read(REVISIONS, &[&WORKSPACE, &Id::from(receipt)]).await?;
        let read = |row| {
            Ok(Revision {
                number: rows::number(row, 0)?,
                at: rows::time(row, 1)?,
                cause: rows::get(row, 2)?,
                author: rows::get(row, 3)?,
                repair: rows::get(row, 4)?,
                verdict: rows::word(row, 5, Verdict::from_word)?,
                reason: rows::optional(row, 6, Reason::from_code)?,
                detail: rows::get(row, 7)?,
                conversion: rows::optional_id(row, 8)?.map(ConversionId::from_bytes),
            })
        };
        found.iter().map(read).collect()
    }

    pub(crate) async fn due_waits(&self, now: Timestamp, limit: u32) -> Result<Vec<Wait>, StoreError> {
        let found = self.engine.read(DUE, &[&WORKSPACE, &now.as_millis(), &i64::from(limit)]).await?;
        found.iter().map(waiting).collect()
    }

    pub(crate) async fn waits_for(&self, awaited: String, limit: u32) -> Result<Vec<Wait>, StoreError> {
        let values: [&Value<'_>; 3] = [&WORKSPACE, &Text(&awaited), &i64::from(limit)];
        self.engine.read(WAITS_FOR, &values).await?.iter().map(waiting).collect()
    }

    pub(crate) async fn awaited_by(&self, receipt: ReceiptId) -> Result<Option<String>, StoreError> {
        let found = self.engine.read(AWAITED_BY, &[&WORKSPACE, &Id::from(receipt)]).await?;
        found.first().map(|row| rows::get(row, 0)).transpose()
    }

    pub(crate) async fn put_off_waits(&self, waits: Vec<PutOff>) -> Result<(), StoreError> {
        let ids: Vec<Id> = waits.iter().map(|one| Id::from(one.receipt)).collect();
        let times: Vec<Option<i64>> = waits.iter().map(|one| one.next.map(Timestamp::as_millis)).collect();
        let awaited: Vec<Text<'_>> = waits.iter().map(|one| Text(&one.awaited)).collect();
        self.engine.write(PUT_OFF, &[&WORKSPACE, &ids, &times, &awaited]).await?;
        Ok(())
    }
}

fn waiting(row: &Row) -> Result<Wait, StoreError> {
    Ok(Wait {
        receipt: ReceiptId::from_bytes(rows::id(row, 0)?),
        awaited: rows::get(row, 1)?,
        since: rows::time(row, 2)?,
        looks: rows::number(row, 3)?,
    })
}

/// What waits for these is looked at first.
pub(super) async fn wake(transaction: &Transaction, awaited: &[Awaited]) -> Result<(), Fault> {
    if awaited.is_empty() {
        return Ok(());
    }
    let awaited: Vec<String> = awaited.iter().map(ToString::to_string).collect();
    let awaited: Vec<Text<'_>> = awaited.iter().map(|awaited| Text(awaited)).collect();
    let wake = transaction.prepare_cached(WAKE).await?;
    transaction.execute(&wake, &[&WORKSPACE, &awaited]).await?;
    Ok(())
}

fn recorded<'t>(transaction: &'t Transaction, replay: &'t Replay) -> InTransaction<'t, ()> {
    Box::pin(record(transaction, replay))
}

/// `None` if something has moved since it was decided: nothing must be committed then.
async fn record(transaction: &Transaction, replay: &Replay) -> Result<Option<()>, Fault> {
    let taken_out = replay.taken_out.as_ref().map(|(conversion, entry)| Booking {
        conversion: Some(ConversionChange::Update(conversion.clone())),
        entry: Some(entry.clone()),
        relabelled: true,
        ..Booking::receipt_only(replay.booking.receipt.clone())
    });
    let bookings: Vec<&Booking> = taken_out.iter().chain([&replay.booking]).collect();
    for booking in &bookings {
        if !stands(transaction, booking).await? {
            return Ok(None);
        }
    }
    if let Some(nonce) = &replay.booking.nonce {
        let partner = &replay.booking.receipt.partner;
        let used = [&WORKSPACE as &Value<'_>, &Text(partner), &Text(nonce)];
        if !transaction.query(nonces::USED_BY, &used).await?.is_empty() {
            return Ok(None);
        }
    }
    if !revise(transaction, replay).await? {
        return Ok(None);
    }
    let bookings: Vec<(usize, Booking)> = bookings.into_iter().cloned().enumerate().collect();
    postbacks::book(transaction, &bookings).await?;
    Ok(Some(()))
}

/// Whether a conversion stands where the decision found it.
async fn stands(transaction: &Transaction, booking: &Booking) -> Result<bool, Fault> {
    Ok(match &booking.conversion {
        None => true,
        Some(ConversionChange::Insert(new)) => {
            let key = (Text(&new.key.partner), Text(&new.key.key));
            transaction.query(OF_KEY, &[&WORKSPACE, &key.0, &key.1]).await?.is_empty()
        }
        Some(ConversionChange::Update(after)) => {
            let key = (Text(&after.key.partner), Text(&after.key.key));
            let values: [&Value<'_>; 4] = [&WORKSPACE, &Id::from(after.id), &key.0, &key.1];
            let found = transaction.query(MOVEMENTS, &values).await?;
            let movements = found.first().map(|row| rows::number(row, 0)).transpose()?;
            movements == Some(after.movements - 1)
        }
    })
}

/// Writes the receipt's new state over the old one, keeps the old one, and moves the counts. No if it was read again
/// meanwhile.
async fn revise(transaction: &Transaction, replay: &Replay) -> Result<bool, Fault> {
    let (before, after) = (&replay.before, &replay.booking.receipt);
    let (id, revision) = (Id::from(before.id), i64::from(before.revision));
    let json = |value: Result<String, StoreError>| value.map_err(|error| Fault::Data(error.to_string()));
    let (read, goals) = (json(rows::to_json(&*after.read))?, json(rows::to_json(&after.goals))?);
    let (labels, read_before) = (json(rows::to_json(&after.labels))?, json(rows::to_json(&*before.read))?);
    let revised = transaction
        .execute(
            REVISE,
            &[
                &WORKSPACE,
                &id,
                &revision,
                &after.verdict.as_str(),
                &after.reason.map(|reason| reason.code()),
                &Text(&after.detail),
                &after.conversion.map(Id::from),
                &after.sequence.map(i64::from),
                &after.click.map(Id::from),
                &read,
                &goals,
                &labels,
                &after.sealed,
            ],
        )
        .await?;
    if revised == 0 {
        return Ok(false);
    }
    transaction
        .execute(
            KEEP,
            &[
                &WORKSPACE,
                &id,
                &(revision + 1),
                &replay.at.as_millis(),
                &Text(&replay.cause),
                &Text(&replay.author),
                &Text(&replay.repair),
                &before.verdict.as_str(),
                &before.reason.map(|reason| reason.code()),
                &Text(&before.detail),
                &before.conversion.map(Id::from),
                &before.sequence.map(i64::from),
                &read_before,
            ],
        )
        .await?;
    if before.verdict != after.verdict {
        let hour = before.received_at.hour().as_millis();
        let (was, is) = (before.verdict.as_str(), after.verdict.as_str());
        transaction.execute(COUNT, &[&WORKSPACE, &Text(before.counted_under()), &hour, &was, &is]).await?;
    }
    transaction.execute(FORGET, &[&WORKSPACE, &id]).await?;
    let waiting: Vec<&Receipt> = replay.bereft.iter().chain([after]).collect();
    wait(transaction, &waiting).await?;
    purges::purge_waited(transaction, id).await?;
    Ok(true)
}

/// Notes what receipts wait for.
pub(super) async fn wait(transaction: &Transaction, receipts: &[&Receipt]) -> Result<(), Fault> {
    let waiting: Vec<(&Receipt, String)> = receipts
        .iter()
        .filter_map(|receipt| Some((*receipt, receipt.awaits.as_ref()?.to_string())))
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id> = waiting.iter().map(|(receipt, _)| Id::from(receipt.id)).collect();
    let awaited: Vec<Text<'_>> = waiting.iter().map(|(_, awaited)| Text(awaited)).collect();
    let since: Vec<i64> = waiting.iter().map(|(receipt, _)| receipt.received_at.as_millis()).collect();
    let insert = transaction.prepare_cached(WAIT).await?;
    transaction.execute(&insert, &[&WORKSPACE, &ids, &awaited, &since]).await?;
    Ok(())
}
