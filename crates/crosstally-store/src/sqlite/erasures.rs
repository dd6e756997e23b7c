//! Requests to erase a person.

use std::collections::HashSet;

use crosstally_core::click::Click;
use crosstally_core::ids::{ClickId, ErasureId, RunId};
use crosstally_core::postback::{Awaited, Receipt};
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{Sqlite, clicks, conversions, rows};
use crate::{ErasedClick, ErasedConversion, Erasure, StoreError, Tombstone, WORKSPACE};
use deliveries::erase_event;

pub(super) mod deliveries;

const COLUMNS: &str = "id, at, author, subject, wanted, done_to, finished_at";
const BEGIN: &str = "INSERT INTO erasures (id, workspace, at, author, subject, wanted, done_to)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const TAKE: &str = "UPDATE erasures SET lease_owner = ?2, lease_until = ?4 WHERE id = (
        SELECT id FROM erasures WHERE workspace = ?1 AND finished_at IS NULL
            AND (lease_owner IS NULL OR lease_owner = ?2 OR lease_until <= ?3)
        ORDER BY id LIMIT 1)
    RETURNING id";
const ADVANCE: &str = "UPDATE erasures SET done_to = ?3, lease_until = ?4, wanted = coalesce(?5, wanted)
    WHERE id = ?1 AND lease_owner = ?2 AND finished_at IS NULL";
const FINISH: &str =
    "UPDATE erasures SET finished_at = ?2, wanted = x'', lease_owner = NULL, lease_until = NULL
    WHERE id = ?1 AND finished_at IS NULL";
const COUNTS: &str = "SELECT what, count FROM erasure_counts WHERE erasure = ?1 ORDER BY what";
const COUNT: &str = "INSERT INTO erasure_counts (erasure, what, workspace, count) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (erasure, what) DO UPDATE SET count = count + excluded.count";

const NEXT_VERSION: &str = "INSERT INTO tombstone_versions (workspace, version) VALUES (?1, 1)
    ON CONFLICT (workspace) DO UPDATE SET version = version + 1 RETURNING version";
const BURY: &str = "INSERT INTO tombstones (workspace, key, version, erased_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (workspace, key) DO UPDATE SET version = excluded.version, erased_at = excluded.erased_at";
const BURIED_AFTER: &str =
    "SELECT key, version, erased_at FROM tombstones WHERE workspace = ?1 AND version > ?2
    ORDER BY version, key LIMIT ?3";
const IS_BURIED: &str = "SELECT EXISTS (SELECT 1 FROM tombstones WHERE workspace = ?1 AND key = ?2)";

const LEAVE_RECEIPT: &str =
    "UPDATE receipts SET query = ?2, body = ?3, content_type = ?4, peer = ?5, user_agent = ?6,
        detail = ?7, click = NULL, read = ?8, headers = ?9, contact = ?10, sealed = NULL, labels = ?11
    WHERE id = ?1 AND instr(labels, '\"erased\"') = 0";
const UNLINK_RECEIPT: &str =
    "DELETE FROM click_links WHERE click = (SELECT click FROM receipts WHERE id = ?1) AND receipt = ?1";
const LEAVE_REVISIONS: &str = "UPDATE receipt_revisions SET repair = '', detail = '', read = '{}'
    WHERE receipt = ?1 AND (repair <> '' OR detail <> '' OR read <> '{}')";
const FORGET_WAIT: &str = "DELETE FROM receipt_waits WHERE receipt = ?1";
const FORGET_WAITS_FOR: &str = "DELETE FROM receipt_waits WHERE workspace = ?1 AND awaited = ?2";

const LEAVE_CONVERSION: &str = "UPDATE conversions SET dedupe_key = ?2, transaction_id = NULL, click = NULL,
        event_id = NULL, external_id = NULL, contact = ?3, labels = ?4
    WHERE id = ?1 AND movements = ?5 AND instr(coalesce(labels, ''), '\"erased\"') = 0";
const HAS_MOVED: &str = "SELECT 1 FROM conversions
    WHERE id = ?1 AND (movements <> ?2 OR ?3) AND instr(coalesce(labels, ''), '\"erased\"') = 0";
const UNLINK_CONVERSION: &str = "DELETE FROM click_links
    WHERE click = (SELECT click FROM conversions WHERE id = ?1) AND conversion = ?1";
const LEAVE_MOVEMENTS: &str =
    "UPDATE ledger_entries SET click = NULL, content = zeroblob(16) WHERE conversion = ?1";
const FORGET_SIGHTINGS: &str = "DELETE FROM sightings WHERE workspace = ?1 AND conversion = ?2";
const FORGET_REVERSAL: &str = "DELETE FROM open_reversals WHERE conversion = ?1";

const FORGET_CLICK: &str = "DELETE FROM clicks WHERE id = ?1";
const FORGET_TOLD: &str = "DELETE FROM browser_events WHERE click = ?1";
const FORGET_STEPS: &str = "DELETE FROM click_steps WHERE workspace = ?1 AND click = ?2";
const FORGET_ALIASES: &str = "DELETE FROM click_aliases WHERE workspace = ?1 AND click = ?2";
const FORGET_LINKS: &str = "DELETE FROM click_links WHERE click = ?1";
const FORGET_RUN: &str = "DELETE FROM tool_runs WHERE id = ?1";

/// Before every id there can be.
const PAST_THE_LAST: &[u8] = &[0xff; 17];
/// About how many rows go with one record.
const WEIGHT: usize = 20;

/// Overwrites what is deleted, as long as it lives: pages that are free keep no bytes of it.
pub(super) struct Overwriting<'c>(&'c Connection);

impl<'c> Overwriting<'c> {
    pub(super) fn on(connection: &'c Connection) -> Result<Self, StoreError> {
        connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
        Ok(Self(connection))
    }
}

impl Drop for Overwriting<'_> {
    fn drop(&mut self) {
        // Left on, it costs time and nothing else.
        self.0.query_row("PRAGMA secure_delete = OFF", [], |_| Ok(())).ok();
    }
}

impl Sqlite {
    pub(crate) async fn begin_erasure(
        &self,
        erasure: Erasure,
        tombstones: Vec<[u8; 16]>,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(BEGIN)?.execute(params![
                erasure.id.as_bytes(),
                WORKSPACE,
                erasure.at.as_millis(),
                erasure.author,
                erasure.subject,
                erasure.wanted,
                erasure.done_to,
            ])?;
            bury(connection, &tombstones, erasure.at)
        };
        self.engine.write(2, work).await
    }

    pub(crate) async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let work = move |connection: &Connection| Ok(list(connection, "id = ?1", [id.as_bytes()])?.pop());
        self.engine.read(work).await
    }

    pub(crate) async fn list_erasures(
        &self,
        before: Option<ErasureId>,
        limit: u32,
    ) -> Result<Vec<Erasure>, StoreError> {
        let work = move |connection: &Connection| {
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            list(connection, "id < ?1 ORDER BY id DESC LIMIT ?2", params![before, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn take_erasure(
        &self,
        owner: String,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        let work = move |connection: &Connection| {
            let values = params![WORKSPACE, owner, now.as_millis(), until.as_millis()];
            let taken: Option<[u8; 16]> =
                connection.prepare_cached(TAKE)?.query_row(values, |row| row.get(0)).optional()?;
            let Some(id) = taken else { return Ok(None) };
            Ok(list(connection, "id = ?1", [id])?.pop())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn advance_erasure(
        &self,
        id: ErasureId,
        owner: String,
        done_to: String,
        wanted: Option<Vec<u8>>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            let values = params![id.as_bytes(), owner, done_to, until.as_millis(), wanted];
            Ok(connection.prepare_cached(ADVANCE)?.execute(values)? > 0)
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn finish_erasure(&self, id: ErasureId, now: Timestamp) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            connection.prepare_cached(FINISH)?.execute(params![id.as_bytes(), now.as_millis()])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn tombstones_after(
        &self,
        version: i64,
        limit: u32,
    ) -> Result<Vec<Tombstone>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(BURIED_AFTER)?;
            let found = ask.query_map(params![WORKSPACE, version, limit], |row| {
                Ok(Tombstone { key: row.get(0)?, version: row.get(1)?, erased_at: rows::time(row, 2)? })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn tombstone_version(&self) -> Result<i64, StoreError> {
        let work = |connection: &Connection| {
            let ask = "SELECT version FROM tombstone_versions WHERE workspace = ?1";
            let found = connection.prepare_cached(ask)?.query_row([WORKSPACE], |row| row.get(0));
            Ok(found.optional()?.unwrap_or(0))
        };
        self.engine.read(work).await
    }

    pub(crate) async fn erase_receipts(
        &self,
        erasure: ErasureId,
        left: Vec<Receipt>,
    ) -> Result<(), StoreError> {
        let weight = left.len() * 4;
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            for receipt in &left {
                erase_receipt(connection, erasure, receipt)?;
            }
            Ok(())
        };
        self.engine.write(weight, work).await
    }

    pub(crate) async fn erase_conversion(
        &self,
        erasure: ErasureId,
        erased: ErasedConversion,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            let left = &erased.left;
            let (id, movements) = (left.id.as_bytes(), left.movements);
            // What follows from a movement is booked without one.
            let mut adjusted = conversions::adjustments(connection, left.id)?.into_iter();
            let has_adjusted = adjusted.any(|event| !erased.events.iter().any(|(read, _)| *read == event));
            if connection.prepare_cached(HAS_MOVED)?.exists(params![id, movements, has_adjusted])? {
                return Ok(false);
            }
            run(connection, UNLINK_CONVERSION, params![id])?;
            let (contact, labels) = (rows::to_json(&left.contact)?, rows::labels(&left.labels)?);
            let values = params![id, left.key.key, contact, labels, movements];
            let changed = run(connection, LEAVE_CONVERSION, values)?;
            count(connection, erasure, "conversions", changed)?;
            // Whoever erased it before has erased and counted all that belongs to it.
            if changed == 0 {
                bury(connection, &erased.tombstones, erased.now)?;
                return Ok(true);
            }
            for (id, event) in &erased.events {
                erase_event(connection, erasure, (*id, event), erased.now)?;
            }
            count(connection, erasure, "movements", run(connection, LEAVE_MOVEMENTS, params![id])?)?;
            let seen = run(connection, FORGET_SIGHTINGS, params![WORKSPACE, id])?;
            count(connection, erasure, "sightings", seen)?;
            run(connection, FORGET_REVERSAL, params![id])?;
            bury(connection, &erased.tombstones, erased.now)?;
            Ok(true)
        };
        self.engine.write(WEIGHT, work).await
    }

    pub(crate) async fn erase_click(
        &self,
        erasure: ErasureId,
        erased: ErasedClick,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            let id = erased.id.as_bytes();
            let gone = run(connection, FORGET_CLICK, params![id])?;
            count(connection, erasure, "clicks", gone)?;
            // Two requests may be about one person: one rest stays of one click.
            if let Some(left) = erased.left.as_ref().filter(|_| gone > 0) {
                clicks::insert(connection, left, &clicks::Texts::of(left))?;
            }
            count(connection, erasure, "browser_events", run(connection, FORGET_TOLD, params![id])?)?;
            count(connection, erasure, "steps", run(connection, FORGET_STEPS, params![WORKSPACE, id])?)?;
            let aliases = run(connection, FORGET_ALIASES, params![WORKSPACE, id])?;
            count(connection, erasure, "aliases", aliases)?;
            run(connection, FORGET_LINKS, params![id])?;
            let awaited = Awaited::Click(erased.id).to_string();
            run(connection, FORGET_WAITS_FOR, params![WORKSPACE, awaited])?;
            bury(connection, &erased.tombstones, erased.now)
        };
        self.engine.write(WEIGHT, work).await
    }

    pub(crate) async fn erase_tool_runs(
        &self,
        erasure: ErasureId,
        runs: Vec<RunId>,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let _overwriting = Overwriting::on(connection)?;
            for id in &runs {
                count(connection, erasure, "tool_runs", run(connection, FORGET_RUN, [id.as_bytes()])?)?;
            }
            Ok(())
        };
        self.engine.write(WEIGHT, work).await
    }

    pub(crate) async fn aliases_of_click(&self, click: ClickId) -> Result<Vec<String>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = "SELECT alias FROM click_aliases WHERE workspace = ?1 AND click = ?2";
            let mut ask = connection.prepare_cached(ask)?;
            let found = ask.query_map(params![WORKSPACE, click.as_bytes()], |row| row.get(0))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn list_clicks(
        &self,
        before: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<Click>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = format!("SELECT {} FROM clicks WHERE id < ?1 ORDER BY id DESC LIMIT ?2", rows::CLICK);
            let mut ask = connection.prepare_cached(&ask)?;
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            let found = ask.query_map(params![before, limit], rows::click)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn list_browser_clicks(
        &self,
        before: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ClickId>, StoreError> {
        let work = move |connection: &Connection| {
            let ask =
                "SELECT DISTINCT click FROM browser_events WHERE click < ?1 ORDER BY click DESC LIMIT ?2";
            let mut ask = connection.prepare_cached(ask)?;
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            let found = ask.query_map(params![before, limit], |row| Ok(ClickId::from_bytes(row.get(0)?)))?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn append_spooled_clicks(
        &self,
        spooled: Vec<(Click, [u8; 16])>,
    ) -> Result<u64, StoreError> {
        let weight = spooled.len();
        let work = move |connection: &Connection| {
            let keys: HashSet<[u8; 16]> = spooled.iter().map(|(_, key)| *key).collect();
            let mut is_buried = connection.prepare_cached(IS_BURIED)?;
            let mut buried = HashSet::new();
            for key in keys {
                if is_buried.query_row(params![WORKSPACE, key], |row| row.get(0))? {
                    buried.insert(key);
                }
            }
            let fresh = spooled.iter().filter(|(_, key)| !buried.contains(key));
            clicks::append(connection, fresh.map(|(click, _)| click))
        };
        self.engine.write(weight, work).await
    }
}

fn list(connection: &Connection, condition: &str, values: impl Params) -> Result<Vec<Erasure>, StoreError> {
    let ask = format!("SELECT {COLUMNS} FROM erasures WHERE {condition}");
    let mut ask = connection.prepare_cached(&ask)?;
    let mut erasures: Vec<Erasure> = ask.query_map(values, read)?.collect::<rusqlite::Result<_>>()?;
    let mut ask = connection.prepare_cached(COUNTS)?;
    for erasure in &mut erasures {
        let counts =
            ask.query_map([erasure.id.as_bytes()], |row| Ok((row.get(0)?, rows::number(row, 1)?)))?;
        erasure.counts = counts.collect::<rusqlite::Result<_>>()?;
    }
    Ok(erasures)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Erasure> {
    Ok(Erasure {
        id: ErasureId::from_bytes(row.get(0)?),
        at: rows::time(row, 1)?,
        author: row.get(2)?,
        subject: row.get(3)?,
        wanted: row.get(4)?,
        done_to: row.get(5)?,
        finished_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        counts: Vec::new(),
    })
}

fn run(connection: &Connection, statement: &str, values: impl Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(statement)?.execute(values)?)
}

fn count(connection: &Connection, erasure: ErasureId, what: &str, rows: usize) -> Result<(), StoreError> {
    if rows > 0 {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        run(connection, COUNT, params![erasure.as_bytes(), what, WORKSPACE, rows])?;
    }
    Ok(())
}

fn bury(connection: &Connection, keys: &[[u8; 16]], now: Timestamp) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let version: i64 = connection.prepare_cached(NEXT_VERSION)?.query_row([WORKSPACE], |row| row.get(0))?;
    for key in keys {
        run(connection, BURY, params![WORKSPACE, key, version, now.as_millis()])?;
    }
    Ok(())
}

fn erase_receipt(connection: &Connection, erasure: ErasureId, left: &Receipt) -> Result<(), StoreError> {
    let id = left.id.as_bytes();
    run(connection, UNLINK_RECEIPT, params![id])?;
    let written = run(
        connection,
        LEAVE_RECEIPT,
        params![
            id,
            left.query,
            left.body,
            left.content_type,
            left.peer,
            left.user_agent,
            left.detail,
            rows::to_json(&*left.read)?,
            rows::to_json(&left.headers)?,
            rows::to_json(&left.contact)?,
            rows::to_json(&left.labels)?,
        ],
    )?;
    count(connection, erasure, "receipts", written)?;
    count(connection, erasure, "revisions", run(connection, LEAVE_REVISIONS, params![id])?)?;
    run(connection, FORGET_WAIT, params![id])?;
    Ok(())
}
