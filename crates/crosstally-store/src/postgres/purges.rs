//! Purges.

use crosstally_core::event::OutboundEvent;
use crosstally_core::retention::Class;
use crosstally_core::word::Word;

use super::engine::InTransaction;
use super::fault::Fault;
use super::rows::{Id, Text};
use super::transact::{Transaction, Value};
use super::{Postgres, rows};
use crate::purges::{before_id, end_of};
use crate::{PurgeMark, PurgePlace, PurgeStep, Purged, StoreError, WORKSPACE};

const MARKS: &str = "SELECT class, place, done_to, purged, updated_at FROM purges WHERE workspace = $1
    ORDER BY class, place";
const MARK: &str = "INSERT INTO purges AS p (workspace, class, place, done_to, purged, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (class, place, workspace) DO UPDATE
    SET done_to = excluded.done_to, purged = p.purged + excluded.purged, updated_at = excluded.updated_at";

macro_rules! empty_receipts {
    () => {
        "UPDATE receipts SET query = '', body = '', headers = '[]', sealed = NULL,
            labels = CASE WHEN labels = '[]' THEN '[\"purged\"]'
                ELSE left(labels, -1) || ',\"purged\"]' END"
    };
}
/// Empties receipts that wait no more, if their kind has been gone through up to there meanwhile: nothing comes by again.
/// Which they are stands behind it.
macro_rules! empty_waited {
    () => {
        concat!(
            empty_receipts!(),
            " WHERE workspace = $1 AND position('\"purged\"' IN labels) = 0
            AND id <= (SELECT done_to FROM purges WHERE workspace = $1 AND class = 'raw' AND place = 'receipts')"
        )
    };
}
pub(super) use {empty_receipts, empty_waited};

const WAITED: &str = concat!(
    empty_waited!(),
    " AND id = $2 AND NOT EXISTS (SELECT 1 FROM receipt_waits AS w WHERE w.workspace = $1 AND w.receipt = $2)"
);

/// The last id of the next rows, if there are so many.
const fn last_id(place: PurgePlace) -> &'static str {
    match place {
        PurgePlace::Clicks => {
            "SELECT id FROM clicks WHERE workspace = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4"
        }
        PurgePlace::Receipts | PurgePlace::Waited => {
            "SELECT id FROM receipts WHERE workspace = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4"
        }
        PurgePlace::BrowserEvents => {
            "SELECT click FROM browser_events WHERE workspace = $1 AND click > $2 AND click < $3
            ORDER BY click LIMIT 1 OFFSET $4"
        }
        PurgePlace::Events => {
            "SELECT id FROM goal_events WHERE workspace = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4"
        }
        PurgePlace::Attempts => {
            "SELECT call FROM attempts WHERE workspace = $1 AND call > $2 AND call < $3 AND payload <> ''
            ORDER BY call LIMIT 1 OFFSET $4"
        }
        PurgePlace::Calls => {
            "SELECT id FROM calls WHERE workspace = $1 AND id > $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4"
        }
    }
}

/// What empties the rows behind $2 up to $3; `None` if the place has nothing of the class. $4 is the time before which an
/// event of a browser must have come.
const fn empties(place: PurgePlace, class: Class) -> Option<&'static str> {
    Some(match (place, class) {
        (PurgePlace::Clicks, Class::Ip) => {
            "UPDATE clicks SET ip = NULL WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0
                AND ip IS NOT NULL"
        }
        (PurgePlace::Clicks, Class::UserAgent) => {
            "UPDATE clicks SET user_agent = '' WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0
                AND user_agent <> ''"
        }
        (PurgePlace::Receipts, Class::Ip) => {
            "UPDATE receipts SET peer = '' WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0
                AND peer <> ''"
        }
        (PurgePlace::Receipts, Class::UserAgent) => {
            "UPDATE receipts SET user_agent = '' WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0
                AND user_agent <> ''"
        }
        (PurgePlace::Receipts, Class::Raw) => {
            concat!(
                empty_receipts!(),
                " WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0 AND position('\"purged\"' IN labels) = 0
                AND NOT EXISTS (SELECT 1 FROM receipt_waits AS w WHERE w.workspace = $1 AND w.receipt = receipts.id)"
            )
        }
        (PurgePlace::Waited, Class::Raw) => {
            concat!(
                empty_receipts!(),
                " WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0 AND position('\"purged\"' IN labels) = 0"
            )
        }
        (PurgePlace::BrowserEvents, Class::Ip) => {
            "UPDATE browser_events SET ip = NULL WHERE workspace = $1 AND click > $2 AND click <= $3
                AND received_at < $4 AND ip IS NOT NULL"
        }
        (PurgePlace::BrowserEvents, Class::UserAgent) => {
            "UPDATE browser_events SET user_agent = '' WHERE workspace = $1 AND click > $2 AND click <= $3
                AND received_at < $4 AND user_agent <> ''"
        }
        (PurgePlace::Attempts, Class::Raw) => {
            "UPDATE attempts SET payload = '' WHERE workspace = $1 AND call > $2 AND call <= $3
                AND $4::bigint > 0 AND payload <> ''"
        }
        (PurgePlace::Calls, Class::Raw) => {
            "UPDATE calls SET response = '', url = CASE WHEN batch = 1 THEN '' ELSE url END
            WHERE workspace = $1 AND id > $2 AND id <= $3 AND $4::bigint > 0
                AND (response <> '' OR (batch = 1 AND url <> ''))"
        }
        _ => return None,
    })
}

impl Postgres {
    pub(crate) async fn purge(&self, step: PurgeStep) -> Result<Purged, StoreError> {
        let purged = self.engine.transact(&step, purge).await?;
        purged.ok_or_else(|| StoreError::Corrupt("a purge came to nothing".into()))
    }

    pub(crate) async fn purge_marks(&self) -> Result<Vec<PurgeMark>, StoreError> {
        let marks = self.engine.read(MARKS, &[&WORKSPACE]).await?;
        let read = |row| {
            Ok(PurgeMark {
                class: rows::get(row, 0)?,
                place: rows::get(row, 1)?,
                done_to: rows::id(row, 2)?,
                purged: rows::count(row, 3)?,
                updated_at: rows::time(row, 4)?,
            })
        };
        marks.iter().map(read).collect()
    }
}

fn purge<'t>(transaction: &'t Transaction, step: &'t PurgeStep) -> InTransaction<'t, Purged> {
    Box::pin(async move {
        let end = end_of(step.before);
        let many = i64::from(step.limit.saturating_sub(1));
        let find = transaction.prepare_cached(last_id(step.place)).await?;
        let found = transaction.query_opt(&find, &[&WORKSPACE, &Id(step.from), &Id(end), &many]).await?;
        let (to, last) = match found {
            Some(row) => (rows::id(&row, 0)?, false),
            None => (before_id(end).max(step.from), true),
        };
        let changed = match empties(step.place, step.class) {
            Some(statement) => {
                let values: [&Value<'_>; 4] = [&WORKSPACE, &Id(step.from), &Id(to), &step.before.as_millis()];
                let statement = transaction.prepare_cached(statement).await?;
                transaction.execute(&statement, &values).await?
            }
            None if step.place == PurgePlace::Events => purge_events(transaction, step, to).await?,
            None => 0,
        };
        // Those that are gone through again begin anew.
        let kept = if last && step.place == PurgePlace::BrowserEvents { [0; 16] } else { to };
        let number = i64::try_from(changed).unwrap_or(i64::MAX);
        let (class, place) = (step.class.word(), step.place.word());
        let values: [&Value<'_>; 6] = [&WORKSPACE, &class, &place, &Id(kept), &number, &step.now.as_millis()];
        transaction.execute(MARK, &values).await?;
        Ok(Some(Purged { done_to: kept, rows: changed, last }))
    })
}

/// Empties what is over of a receipt that may have waited until now.
pub(super) async fn purge_waited(transaction: &Transaction, receipt: Id) -> Result<(), Fault> {
    let waited = transaction.prepare_cached(WAITED).await?;
    transaction.execute(&waited, &[&WORKSPACE, &receipt]).await?;
    Ok(())
}

async fn purge_events(transaction: &Transaction, step: &PurgeStep, to: [u8; 16]) -> Result<u64, Fault> {
    let find = "SELECT id, event FROM goal_events WHERE workspace = $1 AND id > $2 AND id <= $3 ORDER BY id FOR UPDATE";
    let found = transaction.query(find, &[&WORKSPACE, &Id(step.from), &Id(to)]).await?;
    let leave = transaction
        .prepare_cached("UPDATE goal_events SET event = $3 WHERE workspace = $1 AND id = $2")
        .await?;
    let mut changed = 0;
    for row in &found {
        let event = rows::json::<OutboundEvent>(row, 1).ok();
        if let Some(left) = event.and_then(|event| (step.without)(&event, step.class)) {
            let text = rows::to_json(&left).map_err(|error| Fault::Data(error.to_string()))?;
            let values: [&Value<'_>; 3] = [&WORKSPACE, &Id(rows::id(row, 0)?), &Text(&text)];
            changed += transaction.execute(&leave, &values).await?;
        }
    }
    Ok(changed)
}
