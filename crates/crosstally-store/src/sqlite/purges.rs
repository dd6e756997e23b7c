//! Purges.

use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::ReceiptId;
use crosstally_core::retention::Class;
use crosstally_core::word::Word;
use rusqlite::{Connection, OptionalExtension, params};

use super::erasures::Overwriting;
use super::{Sqlite, rows};
use crate::purges::{before_id, end_of};
use crate::{PurgeMark, PurgePlace, PurgeStep, Purged, StoreError, WORKSPACE};

const MARKS: &str = "SELECT class, place, done_to, purged, updated_at FROM purges WHERE workspace = ?1
    ORDER BY class, place";
const MARK: &str = "INSERT INTO purges (workspace, class, place, done_to, purged, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (workspace, class, place) DO UPDATE
    SET done_to = excluded.done_to, purged = purged + excluded.purged, updated_at = excluded.updated_at";

macro_rules! empty_receipts {
    () => {
        "UPDATE receipts SET query = x'', body = x'', headers = '[]', sealed = NULL,
            labels = CASE WHEN labels = '[]' THEN '[\"purged\"]'
                ELSE substr(labels, 1, length(labels) - 1) || ',\"purged\"]' END"
    };
}
/// Of a receipt that waits no more, if its kind has been gone through up to there meanwhile: nothing comes by again.
const WAITED: &str = concat!(
    empty_receipts!(),
    " WHERE id = ?1 AND instr(labels, '\"purged\"') = 0
        AND id <= (SELECT done_to FROM purges WHERE workspace = ?2 AND class = ?3 AND place = ?4)
        AND NOT EXISTS (SELECT 1 FROM receipt_waits AS w WHERE w.receipt = receipts.id)"
);

/// What was sent with calls that have their attempt in their row: the rest of the attempts. The index leads past all others.
pub(super) const EMPTY_CALLS_OF_ONE: &str = "UPDATE calls INDEXED BY calls_with_payload SET payload = ''
    WHERE id > ?1 AND id <= ?2 AND payload <> ''";

/// The last id of the next rows, and whether there are so many.
pub(super) const fn last_id(place: PurgePlace) -> &'static str {
    match place {
        PurgePlace::Clicks => "SELECT id FROM clicks WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3",
        PurgePlace::Receipts | PurgePlace::Waited => {
            "SELECT id FROM receipts WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3"
        }
        PurgePlace::BrowserEvents => {
            "SELECT click FROM browser_events WHERE click > ?1 AND click < ?2 ORDER BY click LIMIT 1 OFFSET ?3"
        }
        PurgePlace::Events => {
            "SELECT id FROM goal_events WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3"
        }
        PurgePlace::Attempts => {
            "SELECT call FROM attempts WHERE call > ?1 AND call < ?2 AND payload <> ''
            UNION ALL SELECT id FROM calls INDEXED BY calls_with_payload
            WHERE id > ?1 AND id < ?2 AND payload <> '' ORDER BY 1 LIMIT 1 OFFSET ?3"
        }
        PurgePlace::Calls => "SELECT id FROM calls WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3",
    }
}

/// What empties the rows behind ?1 up to ?2; `None` if the place has nothing of the class. ?3 is the time before which an
/// event of a browser must have come.
const fn empties(place: PurgePlace, class: Class) -> Option<&'static str> {
    Some(match (place, class) {
        (PurgePlace::Clicks, Class::Ip) => {
            "UPDATE clicks SET ip = NULL WHERE id > ?1 AND id <= ?2 AND ip IS NOT NULL AND ?3 > 0"
        }
        (PurgePlace::Clicks, Class::UserAgent) => {
            "UPDATE clicks SET user_agent = '' WHERE id > ?1 AND id <= ?2 AND user_agent <> '' AND ?3 > 0"
        }
        (PurgePlace::Receipts, Class::Ip) => {
            "UPDATE receipts SET peer = '' WHERE id > ?1 AND id <= ?2 AND peer <> '' AND ?3 > 0"
        }
        (PurgePlace::Receipts, Class::UserAgent) => {
            "UPDATE receipts SET user_agent = '' WHERE id > ?1 AND id <= ?2 AND user_agent <> '' AND ?3 > 0"
        }
        (PurgePlace::Receipts, Class::Raw) => {
            concat!(
                empty_receipts!(),
                " WHERE id > ?1 AND id <= ?2 AND ?3 > 0 AND instr(labels, '\"purged\"') = 0
                AND NOT EXISTS (SELECT 1 FROM receipt_waits AS w WHERE w.receipt = receipts.id)"
            )
        }
        (PurgePlace::Waited, Class::Raw) => {
            concat!(
                empty_receipts!(),
                " WHERE id > ?1 AND id <= ?2 AND ?3 > 0 AND instr(labels, '\"purged\"') = 0"
            )
        }
        (PurgePlace::BrowserEvents, Class::Ip) => {
            "UPDATE browser_events SET ip = NULL WHERE click > ?1 AND click <= ?2 AND received_at < ?3 AND ip IS NOT NULL"
        }
        (PurgePlace::BrowserEvents, Class::UserAgent) => {
            "UPDATE browser_events SET user_agent = ''
            WHERE click > ?1 AND click <= ?2 AND received_at < ?3 AND user_agent <> ''"
        }
        (PurgePlace::Attempts, Class::Raw) => {
            "UPDATE attempts SET payload = '' WHERE call > ?1 AND call <= ?2 AND payload <> '' AND ?3 > 0"
        }
        (PurgePlace::Calls, Class::Raw) => {
            "UPDATE calls SET response = '', url = CASE WHEN batch = 1 THEN '' ELSE url END
            WHERE id > ?1 AND id <= ?2 AND ?3 > 0 AND (response <> '' OR (batch = 1 AND url <> ''))"
        }
        _ => return None,
    })
}

impl Sqlite {
    pub(crate) async fn purge(&self, step: PurgeStep) -> Result<Purged, StoreError> {
        let weight = usize::try_from(step.limit).unwrap_or(usize::MAX);
        self.engine.write(weight, move |connection| purge(connection, &step)).await
    }

    pub(crate) async fn purge_marks(&self) -> Result<Vec<PurgeMark>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(MARKS)?;
            let marks = ask.query_map([WORKSPACE], |row| {
                Ok(PurgeMark {
                    class: row.get(0)?,
                    place: row.get(1)?,
                    done_to: row.get(2)?,
                    purged: rows::number(row, 3)?,
                    updated_at: rows::time(row, 4)?,
                })
            })?;
            Ok(marks.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}

fn purge(connection: &Connection, step: &PurgeStep) -> Result<Purged, StoreError> {
    let _overwriting = Overwriting::on(connection)?;
    let end = end_of(step.before);
    let many = step.limit.saturating_sub(1);
    let found: Option<[u8; 16]> = connection
        .prepare_cached(last_id(step.place))?
        .query_row(params![step.from, end, many], |row| row.get(0))
        .optional()?;
    let (to, last) = match found {
        Some(id) => (id, false),
        None => (before_id(end).max(step.from), true),
    };
    let mut changed = match empties(step.place, step.class) {
        Some(statement) => {
            let values = params![step.from, to, step.before.as_millis()];
            connection.prepare_cached(statement)?.execute(values)?
        }
        None if step.place == PurgePlace::Events => purge_events(connection, step, to)?,
        None => 0,
    };
    if (step.place, step.class) == (PurgePlace::Attempts, Class::Raw) {
        changed += connection.prepare_cached(EMPTY_CALLS_OF_ONE)?.execute(params![step.from, to])?;
    }
    // Those that are gone through again begin anew.
    let kept = if last && step.place == PurgePlace::BrowserEvents { [0; 16] } else { to };
    let number = i64::try_from(changed).unwrap_or(i64::MAX);
    connection.prepare_cached(MARK)?.execute(params![
        WORKSPACE,
        step.class.word(),
        step.place.word(),
        kept,
        number,
        step.now.as_millis(),
    ])?;
    Ok(Purged { done_to: kept, rows: u64::try_from(changed).unwrap_or(u64::MAX), last })
}

/// Empties what is over of a receipt that may have waited until now.
pub(super) fn purge_waited(connection: &Connection, receipt: ReceiptId) -> Result<(), StoreError> {
    let _overwriting = Overwriting::on(connection)?;
    let (class, place) = (Class::Raw.word(), PurgePlace::Receipts.word());
    connection.prepare_cached(WAITED)?.execute(params![receipt.as_bytes(), WORKSPACE, class, place])?;
    Ok(())
}

fn purge_events(connection: &Connection, step: &PurgeStep, to: [u8; 16]) -> Result<usize, StoreError> {
    let mut find =
        connection.prepare_cached("SELECT id, event FROM goal_events WHERE id > ?1 AND id <= ?2")?;
    let found = find.query_map(params![step.from, to], |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?))
    })?;
    let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
    let mut leave = connection.prepare_cached("UPDATE goal_events SET event = ?2 WHERE id = ?1")?;
    let mut changed = 0;
    for (id, text) in found {
        let event = serde_json::from_str::<OutboundEvent>(&text).ok();
        if let Some(left) = event.and_then(|event| (step.without)(&event, step.class)) {
            changed += leave.execute(params![id, rows::to_json(&left)?])?;
        }
    }
    Ok(changed)
}
