//! Receipts that are read again.

use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::ids::{ConversionId, ReceiptId};
use crosstally_core::postback::{Awaited, Booking, ConversionChange, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::tally::{COUNT_RECEIPTS, Tally};
use super::{Sqlite, nonces, postbacks, purges, receipts, rows};
use crate::{PutOff, ReceiptFilter, Replay, ReplayAnswer, Revision, StoreError, WORKSPACE, Wait};

/// What was emptied since it was read stays empty.
const REVISE: &str =
    "UPDATE receipts SET verdict = ?3, reason = ?4, detail = ?5, conversion = ?6, sequence = ?7, click = ?8,
        read = ?9, goals = ?10, labels = ?11, sealed = ?12, revision = revision + 1
    WHERE id = ?1 AND revision = ?2 AND instr(labels, '\"erased\"') = 0 AND instr(labels, '\"purged\"') = 0";
const KEEP: &str =
    "INSERT INTO receipt_revisions (receipt, number, workspace, at, cause, author, repair, verdict, reason,
        detail, conversion, sequence, read)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const REVISIONS: &str = "SELECT number, at, cause, author, repair, verdict, reason, detail, conversion
    FROM receipt_revisions WHERE receipt = ?1 ORDER BY number";
/// Under another name it is not what was decided over: an erasure moves nothing.
const MOVEMENTS: &str = "SELECT movements FROM conversions
    WHERE id = ?1 AND workspace = ?2 AND partner = ?3 AND dedupe_key = ?4";
const OF_KEY: &str = "SELECT id FROM conversions WHERE workspace = ?1 AND partner = ?2 AND dedupe_key = ?3";
const FORGET: &str = "DELETE FROM receipt_waits WHERE receipt = ?1";
const GIVE_UP: &str = "DELETE FROM receipt_waits WHERE receipt = ?1 AND awaited = ?2";
const WAIT: &str = "INSERT INTO receipt_waits (receipt, workspace, awaited, since, next_at, looks)
    VALUES (?1, ?2, ?3, ?4, ?4, 0) ON CONFLICT DO NOTHING";
const DUE: &str =
    "SELECT receipt, awaited, since, looks FROM receipt_waits WHERE workspace = ?1 AND next_at <= ?2
    ORDER BY next_at LIMIT ?3";
const WAITS_FOR: &str =
    "SELECT receipt, awaited, since, looks FROM receipt_waits WHERE workspace = ?1 AND awaited = ?2
    ORDER BY receipt LIMIT ?3";
const AWAITED_BY: &str = "SELECT awaited FROM receipt_waits WHERE receipt = ?1";
/// Before every other time: what waits for something that is there is looked at before what may wait in vain.
const WAKE: &str = "UPDATE receipt_waits SET next_at = 0 WHERE workspace = ?1 AND awaited = ?2";
const PUT_OFF: &str = "UPDATE receipt_waits SET next_at = ?2, looks = looks + 1
    WHERE receipt = ?1 AND awaited = ?3";

impl Sqlite {
    pub(crate) async fn receipts_matching(
        &self,
        filter: ReceiptFilter,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        self.engine
            .read(move |connection| {
                let mut conditions = vec!["workspace = ?".to_owned()];
                let mut values: Vec<Value> = vec![WORKSPACE.into()];
                let mut add = |condition: &str, value: Value| {
                    conditions.push(condition.to_owned());
                    values.push(value);
                };
                if let Some(partner) = &filter.partner {
                    add("partner = ?", partner.clone().into());
                }
                if let Some(verdict) = filter.verdict {
                    add("verdict = ?", verdict.as_str().to_owned().into());
                }
                if let Some(reason) = filter.reason {
                    add("reason = ?", reason.code().to_owned().into());
                }
                // Ids begin with the time: a range of times is a range of ids.
                if let Some(from) = filter.from {
                    add("id >= ?", ReceiptId::new(from, [0; 10]).as_bytes().to_vec().into());
                }
                if let Some(to) = filter.to {
                    add("id < ?", ReceiptId::new(to, [0; 10]).as_bytes().to_vec().into());
                }
                if let Some(after) = filter.after {
                    add("id > ?", after.as_bytes().to_vec().into());
                }
                values.push(i64::from(limit).into());
                let condition = format!("{} ORDER BY id LIMIT ?", conditions.join(" AND "));
                receipts::list(connection, &condition, params_from_iter(values))
            })
            .await
    }

    pub(crate) async fn conversion_of_key(&self, key: DedupeKey) -> Result<Option<Conversion>, StoreError> {
        let work = move |connection: &Connection| {
            let find = format!(
                "SELECT {} FROM conversions WHERE workspace = ?1 AND partner = ?2 AND dedupe_key = ?3",
                rows::CONVERSION
            );
            let found = params![WORKSPACE, key.partner, key.key];
            Ok(connection.prepare_cached(&find)?.query_row(found, rows::conversion).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn record_replay(&self, replay: Replay) -> Result<ReplayAnswer, StoreError> {
        self.engine.write(12, move |connection| record(connection, &replay)).await
    }

    pub(crate) async fn revisions(&self, receipt: ReceiptId) -> Result<Vec<Revision>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(REVISIONS)?;
            let revisions = ask.query_map([receipt.as_bytes()], |row| {
                Ok(Revision {
                    number: rows::number(row, 0)?.try_into().unwrap_or(u32::MAX),
                    at: rows::time(row, 1)?,
                    cause: row.get(2)?,
                    author: row.get(3)?,
                    repair: row.get(4)?,
                    verdict: rows::word(row, 5, Verdict::from_word)?,
                    reason: rows::optional(row, 6, Reason::from_code)?,
                    detail: row.get(7)?,
                    conversion: row.get::<_, Option<_>>(8)?.map(ConversionId::from_bytes),
                })
            })?;
            Ok(revisions.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn due_waits(&self, now: Timestamp, limit: u32) -> Result<Vec<Wait>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(DUE)?;
            let waits = ask.query_map(params![WORKSPACE, now.as_millis(), limit], waiting)?;
            Ok(waits.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn waits_for(&self, awaited: String, limit: u32) -> Result<Vec<Wait>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(WAITS_FOR)?;
            let waits = ask.query_map(params![WORKSPACE, awaited, limit], waiting)?;
            Ok(waits.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn awaited_by(&self, receipt: ReceiptId) -> Result<Option<String>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(AWAITED_BY)?;
            Ok(ask.query_row([receipt.as_bytes()], |row| row.get(0)).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn put_off_waits(&self, waits: Vec<PutOff>) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            for PutOff { receipt, awaited, next } in &waits {
                match next {
                    Some(next) => connection.prepare_cached(PUT_OFF)?.execute(params![
                        receipt.as_bytes(),
                        next.as_millis(),
                        awaited
                    ])?,
                    None => {
                        connection.prepare_cached(GIVE_UP)?.execute(params![receipt.as_bytes(), awaited])?;
                        purges::purge_waited(connection, *receipt)?;
                        0
                    }
                };
            }
            Ok(())
        };
        self.engine.write(waits_weight(), work).await
    }
}

const fn waits_weight() -> usize {
    16
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Wait> {
    Ok(Wait {
        receipt: ReceiptId::from_bytes(row.get(0)?),
        awaited: row.get(1)?,
        since: rows::time(row, 2)?,
        looks: row.get(3)?,
    })
}

/// What waits for this is looked at first.
pub(super) fn wake(connection: &Connection, awaited: &Awaited) -> Result<(), StoreError> {
    connection.prepare_cached(WAKE)?.execute(params![WORKSPACE, awaited.to_string()])?;
    Ok(())
}

/// Notes what a receipt waits for.
pub(super) fn wait(connection: &Connection, receipt: &Receipt) -> Result<(), StoreError> {
    if let Some(awaited) = &receipt.awaits {
        let since = receipt.received_at.as_millis();
        let values = params![receipt.id.as_bytes(), WORKSPACE, awaited.to_string(), since];
        connection.prepare_cached(WAIT)?.execute(values)?;
    }
    Ok(())
}

fn record(connection: &Connection, replay: &Replay) -> Result<ReplayAnswer, StoreError> {
    let taken_out = replay.taken_out.as_ref().map(|(conversion, entry)| Booking {
        conversion: Some(ConversionChange::Update(conversion.clone())),
        entry: Some(entry.clone()),
        relabelled: true,
        ..Booking::receipt_only(replay.booking.receipt.clone())
    });
    let bookings: Vec<&Booking> = taken_out.iter().chain([&replay.booking]).collect();
    for booking in &bookings {
        if !stands(connection, booking)? {
            return Ok(ReplayAnswer::Moved);
        }
    }
    let (receipt, nonce) = (&replay.booking.receipt, replay.booking.nonce.as_deref());
    if let Some(nonce) = nonce
        && nonces::used_by(connection, &receipt.partner, nonce)?.is_some()
    {
        return Ok(ReplayAnswer::Moved);
    }
    if !revise(connection, replay)? {
        return Ok(ReplayAnswer::Moved);
    }
    if let Some(nonce) = nonce {
        nonces::claim(connection, receipt, nonce)?;
    }
    let mut tally = Tally::default();
    for booking in bookings {
        postbacks::book_changes(connection, booking)?;
        tally.add_deliveries(booking);
    }
    tally.write(connection)?;
    Ok(ReplayAnswer::Done)
}

/// Whether a conversion stands where the decision found it.
fn stands(connection: &Connection, booking: &Booking) -> Result<bool, StoreError> {
    Ok(match &booking.conversion {
        None => true,
        Some(ConversionChange::Insert(new)) => {
            let key = params![WORKSPACE, new.key.partner, new.key.key];
            !connection.prepare_cached(OF_KEY)?.exists(key)?
        }
        Some(ConversionChange::Update(after)) => {
            let as_read = params![after.id.as_bytes(), WORKSPACE, after.key.partner, after.key.key];
            let found: Option<u32> =
                connection.prepare_cached(MOVEMENTS)?.query_row(as_read, |row| row.get(0)).optional()?;
            found == Some(after.movements - 1)
        }
    })
}

/// Writes the receipt's new state over the old one, keeps the old one, and moves the counts. No if it was read again
/// meanwhile.
fn revise(connection: &Connection, replay: &Replay) -> Result<bool, StoreError> {
    let (before, after) = (&replay.before, &replay.booking.receipt);
    let revised = connection.prepare_cached(REVISE)?.execute(params![
        before.id.as_bytes(),
        before.revision,
        after.verdict.as_str(),
        after.reason.map(|reason| reason.code()),
        after.detail,
        after.conversion.as_ref().map(ConversionId::as_bytes),
        after.sequence,
        after.click.as_ref().map(|click| click.as_bytes()),
        rows::to_json(&*after.read)?,
        rows::to_json(&after.goals)?,
        rows::to_json(&after.labels)?,
        after.sealed,
    ])?;
    if revised == 0 {
        return Ok(false);
    }
    connection.prepare_cached(KEEP)?.execute(params![
        before.id.as_bytes(),
        before.revision + 1,
        WORKSPACE,
        replay.at.as_millis(),
        replay.cause,
        replay.author,
        replay.repair,
        before.verdict.as_str(),
        before.reason.map(|reason| reason.code()),
        before.detail,
        before.conversion.as_ref().map(ConversionId::as_bytes),
        before.sequence,
        rows::to_json(&*before.read)?,
    ])?;
    let hour = before.received_at.hour().as_millis();
    for (verdict, change) in [(before.verdict, -1), (after.verdict, 1)] {
        let counted = params![WORKSPACE, before.counted_under(), hour, verdict.as_str(), change];
        connection.prepare_cached(COUNT_RECEIPTS)?.execute(counted)?;
    }
    connection.prepare_cached(FORGET)?.execute([before.id.as_bytes()])?;
    for receipt in replay.bereft.iter().chain([after]) {
        wait(connection, receipt)?;
    }
    purges::purge_waited(connection, before.id)?;
    if let Some(click) = after.click {
        receipts::link(connection, click, after.id, after.conversion)?;
    }
    Ok(true)
}
