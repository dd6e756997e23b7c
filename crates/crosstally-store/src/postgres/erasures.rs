//! Requests to erase a person.

use crosstally_core::click::Click;
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::{ClickId, DeliveryId, ErasureId, GoalEventId, RunId};
use crosstally_core::postback::{Awaited, Receipt};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::engine::InTransaction;
use super::fault::Fault;
use super::outbox::count_moved;
use super::rows::{Id, Text};
use super::transact::{Transaction, Value, Values};
use super::{Postgres, clicks, rows};
use crate::{ErasedClick, ErasedConversion, Erasure, StoreError, Tombstone, WORKSPACE};

const COLUMNS: &str = "e.id, e.at, e.author, e.subject, e.wanted, e.done_to, e.finished_at,
    ARRAY(SELECT c.what FROM erasure_counts AS c WHERE c.erasure = e.id AND c.workspace = e.workspace ORDER BY c.what),
    ARRAY(SELECT c.count FROM erasure_counts AS c WHERE c.erasure = e.id AND c.workspace = e.workspace ORDER BY c.what)";
const BEGIN: &str = "INSERT INTO erasures (workspace, id, at, author, subject, wanted, done_to)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const TAKE: &str = "UPDATE erasures SET lease_owner = $2, lease_until = $4 WHERE workspace = $1 AND id = (
        SELECT id FROM erasures WHERE workspace = $1 AND finished_at IS NULL
            AND (lease_owner IS NULL OR lease_owner = $2 OR lease_until <= $3)
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id";
const ADVANCE: &str = "UPDATE erasures SET done_to = $4, lease_until = $5, wanted = coalesce($6, wanted)
    WHERE workspace = $1 AND id = $2 AND lease_owner = $3 AND finished_at IS NULL RETURNING 1";
const FINISH: &str =
    "UPDATE erasures SET finished_at = $3, wanted = '', lease_owner = NULL, lease_until = NULL
    WHERE workspace = $1 AND id = $2 AND finished_at IS NULL";
const COUNT: &str =
    "INSERT INTO erasure_counts AS c (workspace, erasure, what, count) VALUES ($1, $2, $3, $4)
    ON CONFLICT (erasure, what, workspace) DO UPDATE SET count = c.count + excluded.count";

// The row is locked until the commit: versions are seen in their order.
const NEXT_VERSION: &str = "INSERT INTO tombstone_versions AS v (workspace, version) VALUES ($1, 1)
    ON CONFLICT (workspace) DO UPDATE SET version = v.version + 1 RETURNING version";
const BURY: &str = "INSERT INTO tombstones (workspace, key, version, erased_at)
    SELECT $1, n.key, $3, $4 FROM (SELECT DISTINCT key FROM unnest($2::uuid[]) AS u (key) ORDER BY key) AS n
    ON CONFLICT (key, workspace) DO UPDATE SET version = excluded.version, erased_at = excluded.erased_at";
const BURIED_AFTER: &str =
    "SELECT key, version, erased_at FROM tombstones WHERE workspace = $1 AND version > $2
    ORDER BY version, key LIMIT $3";
const BURIED: &str = "SELECT key FROM tombstones WHERE workspace = $1 AND key = ANY ($2::uuid[])";

const LEAVE_RECEIPT: &str =
    "UPDATE receipts SET query = $3, body = $4, content_type = $5, peer = $6, user_agent = $7,
        detail = $8, click = NULL, read = $9, headers = $10, contact = $11, sealed = NULL, labels = $12
    WHERE workspace = $1 AND id = $2 AND position('\"erased\"' IN labels) = 0";
const LEAVE_REVISIONS: &str = "UPDATE receipt_revisions SET repair = '', detail = '', read = '{}'
    WHERE workspace = $1 AND receipt = $2 AND (repair <> '' OR detail <> '' OR read <> '{}')";
const FORGET_WAIT: &str = "DELETE FROM receipt_waits WHERE workspace = $1 AND receipt = $2";
const FORGET_WAITS_FOR: &str = "DELETE FROM receipt_waits WHERE workspace = $1 AND awaited = $2";

const LEAVE_CONVERSION: &str = "UPDATE conversions SET dedupe_key = $3, transaction_id = NULL, click = NULL,
        event_id = NULL, external_id = NULL, contact = $4, labels = $5
    WHERE workspace = $1 AND id = $2 AND movements = $6 AND position('\"erased\"' IN coalesce(labels, '')) = 0";
const HAS_MOVED: &str = "SELECT FROM conversions
    WHERE workspace = $1 AND id = $2 AND movements <> $3 AND position('\"erased\"' IN coalesce(labels, '')) = 0";
/// What follows from a movement is booked without one.
const HAS_ADJUSTED: &str = "SELECT FROM adjustments
    WHERE workspace = $1 AND conversion = $2 AND goal_event <> ALL ($3::uuid[]) LIMIT 1";
const LEAVE_MOVEMENTS: &str = "UPDATE ledger_entries
    SET click = NULL, content = '00000000-0000-0000-0000-000000000000' WHERE workspace = $1 AND conversion = $2";
const FORGET_SIGHTINGS: &str = "DELETE FROM sightings WHERE workspace = $1 AND conversion = $2";
const FORGET_REVERSAL: &str = "DELETE FROM open_reversals WHERE workspace = $1 AND conversion = $2";
const LEAVE_EVENT: &str = "UPDATE goal_events SET event = $3, event_id = $4 WHERE workspace = $1 AND id = $2";
/// What has not arrived never will; what has stays counted as that, also while it is sent once more.
const CANCEL: &str = concat!(
    "WITH found AS (
        SELECT id, state FROM deliveries
        WHERE workspace = $1 AND id BETWEEN $2 AND $3 AND goal_event = $4 AND state <> 'delivered'
        ORDER BY id FOR UPDATE
    ), cancelled AS (
        UPDATE deliveries AS d SET state = CASE WHEN d.arrived_at IS NULL THEN 'cancelled' ELSE 'delivered' END,
            reason = CASE WHEN d.arrived_at IS NULL THEN $5 WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $7 END, detail = '',
            finished_at = coalesce(d.arrived_at, $6), fence = d.fence + 1, lease_owner = NULL, lease_until = NULL
        FROM found AS f WHERE d.id = f.id AND d.workspace = $1
        RETURNING d.destination, f.state, d.state AS becomes
    ), moved AS (
        SELECT destination, state, -1 AS change FROM cancelled
        UNION ALL SELECT destination, becomes, 1 FROM cancelled
    ), ",
    count_moved!(),
    " SELECT count(*) FILTER (WHERE state = 'pending' AND becomes = 'cancelled'),
        count(*) FILTER (WHERE state <> 'pending') FROM cancelled"
);
const LEAVE_DELIVERIES: &str = "UPDATE deliveries SET detail = ''
    WHERE workspace = $1 AND id BETWEEN $2 AND $3 AND goal_event = $4";
const LEAVE_CALLS: &str = "UPDATE calls SET response = '', detail = '',
        url = CASE WHEN batch = 1 OR finished_at IS NULL THEN '' ELSE url END
    WHERE workspace = $1 AND id IN (SELECT call FROM attempts WHERE workspace = $1 AND delivery BETWEEN $2 AND $3)";
const LEAVE_ATTEMPTS: &str = "UPDATE attempts SET payload = '', reason = CASE WHEN outcome IS NULL
            THEN 'outcome_unknown' ELSE reason END, outcome = coalesce(outcome, 'retry')
    WHERE workspace = $1 AND delivery BETWEEN $2 AND $3";

const FORGET_CLICK: &str = "DELETE FROM clicks WHERE workspace = $1 AND id = $2";
const FORGET_TOLD: &str = "DELETE FROM browser_events WHERE workspace = $1 AND click = $2";
const FORGET_STEPS: &str = "DELETE FROM click_steps WHERE workspace = $1 AND click = $2";
const FORGET_ALIASES: &str = "DELETE FROM click_aliases WHERE workspace = $1 AND click = $2";
const FORGET_RUNS: &str = "DELETE FROM tool_runs WHERE workspace = $1 AND id = ANY ($2::uuid[])";

impl Postgres {
    pub(crate) async fn begin_erasure(
        &self,
        erasure: Erasure,
        tombstones: Vec<[u8; 16]>,
    ) -> Result<(), StoreError> {
        self.engine.transact(&(erasure, tombstones), begin).await.map(drop)
    }

    pub(crate) async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        Ok(self.erasures("e.id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn list_erasures(
        &self,
        before: Option<ErasureId>,
        limit: u32,
    ) -> Result<Vec<Erasure>, StoreError> {
        let before = before.map(Id::from);
        let condition = "($2::uuid IS NULL OR e.id < $2) ORDER BY e.id DESC LIMIT $3";
        self.erasures(condition, &[&WORKSPACE, &before, &i64::from(limit)]).await
    }

    async fn erasures(&self, condition: &str, values: &Values<'_>) -> Result<Vec<Erasure>, StoreError> {
        let ask = format!("SELECT {COLUMNS} FROM erasures AS e WHERE e.workspace = $1 AND {condition}");
        self.engine.read(&ask, values).await?.iter().map(read).collect()
    }

    pub(crate) async fn take_erasure(
        &self,
        owner: String,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        let values: [&Value<'_>; 4] = [&WORKSPACE, &Text(&owner), &now.as_millis(), &until.as_millis()];
        let taken = self.engine.write(TAKE, &values).await?;
        match taken.first() {
            Some(row) => self.erasure(ErasureId::from_bytes(rows::id(row, 0)?)).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn advance_erasure(
        &self,
        id: ErasureId,
        owner: String,
        done_to: String,
        wanted: Option<Vec<u8>>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let values: [&Value<'_>; 6] =
            [&WORKSPACE, &Id::from(id), &Text(&owner), &Text(&done_to), &until.as_millis(), &wanted];
        Ok(!self.engine.write(ADVANCE, &values).await?.is_empty())
    }

    pub(crate) async fn finish_erasure(&self, id: ErasureId, now: Timestamp) -> Result<(), StoreError> {
        self.engine.write(FINISH, &[&WORKSPACE, &Id::from(id), &now.as_millis()]).await.map(drop)
    }

    pub(crate) async fn tombstones_after(
        &self,
        version: i64,
        limit: u32,
    ) -> Result<Vec<Tombstone>, StoreError> {
        let found = self.engine.read(BURIED_AFTER, &[&WORKSPACE, &version, &i64::from(limit)]).await?;
        let read = |row| {
            let (version, erased_at) = (rows::get(row, 1)?, rows::time(row, 2)?);
            Ok(Tombstone { key: rows::id(row, 0)?, version, erased_at })
        };
        found.iter().map(read).collect()
    }

    pub(crate) async fn tombstone_version(&self) -> Result<i64, StoreError> {
        let ask = "SELECT version FROM tombstone_versions WHERE workspace = $1";
        self.engine.read(ask, &[&WORKSPACE]).await?.first().map_or(Ok(0), |row| rows::get(row, 0))
    }

    pub(crate) async fn erase_receipts(
        &self,
        erasure: ErasureId,
        left: Vec<Receipt>,
    ) -> Result<(), StoreError> {
        self.engine.transact(&(erasure, left), erase_receipts).await.map(drop)
    }

    pub(crate) async fn erase_conversion(
        &self,
        erasure: ErasureId,
        erased: ErasedConversion,
    ) -> Result<bool, StoreError> {
        Ok(self.engine.transact(&(erasure, erased), erase_conversion).await?.is_some())
    }

    pub(crate) async fn erase_click(
        &self,
        erasure: ErasureId,
        erased: ErasedClick,
    ) -> Result<(), StoreError> {
        self.engine.transact(&(erasure, erased), erase_click).await.map(drop)
    }

    pub(crate) async fn erase_tool_runs(
        &self,
        erasure: ErasureId,
        runs: Vec<RunId>,
    ) -> Result<(), StoreError> {
        let runs: Vec<Id> = runs.into_iter().map(Id::from).collect();
        self.engine.transact(&(erasure, runs), erase_runs).await.map(drop)
    }

    pub(crate) async fn aliases_of_click(&self, click: ClickId) -> Result<Vec<String>, StoreError> {
        let ask = "SELECT alias FROM click_aliases WHERE workspace = $1 AND click = $2";
        let found = self.engine.read(ask, &[&WORKSPACE, &Id::from(click)]).await?;
        found.iter().map(|row| rows::get(row, 0)).collect()
    }

    pub(crate) async fn list_clicks(
        &self,
        before: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<Click>, StoreError> {
        let ask = format!(
            "SELECT {} FROM clicks WHERE workspace = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
            rows::CLICK
        );
        let found = self.engine.read(&ask, &[&WORKSPACE, &before.map(Id::from), &i64::from(limit)]).await?;
        found.iter().map(rows::click).collect()
    }

    pub(crate) async fn list_browser_clicks(
        &self,
        before: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ClickId>, StoreError> {
        let ask = "SELECT DISTINCT click FROM browser_events
            WHERE workspace = $1 AND ($2::uuid IS NULL OR click < $2) ORDER BY click DESC LIMIT $3";
        let found = self.engine.read(ask, &[&WORKSPACE, &before.map(Id::from), &i64::from(limit)]).await?;
        found.iter().map(|row| rows::id(row, 0).map(ClickId::from_bytes)).collect()
    }

    pub(crate) async fn append_spooled_clicks(
        &self,
        spooled: Vec<(Click, [u8; 16])>,
    ) -> Result<u64, StoreError> {
        Ok(self.engine.transact(&(spooled,), append_spooled).await?.unwrap_or(0))
    }
}

fn read(row: &Row) -> Result<Erasure, StoreError> {
    let (what, counts): (Vec<String>, Vec<i64>) = (rows::get(row, 7)?, rows::get(row, 8)?);
    let counts = counts.into_iter().map(|count| u64::try_from(count).unwrap_or(0));
    Ok(Erasure {
        id: ErasureId::from_bytes(rows::id(row, 0)?),
        at: rows::time(row, 1)?,
        author: rows::get(row, 2)?,
        subject: rows::get(row, 3)?,
        wanted: rows::get(row, 4)?,
        done_to: rows::get(row, 5)?,
        finished_at: rows::optional_time(row, 6)?,
        counts: what.into_iter().zip(counts).collect(),
    })
}

fn begin<'t>(
    transaction: &'t Transaction,
    (erasure, tombstones): &'t (Erasure, Vec<[u8; 16]>),
) -> InTransaction<'t, ()> {
    Box::pin(async move {
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Id::from(erasure.id),
            &erasure.at.as_millis(),
            &Text(&erasure.author),
            &Text(&erasure.subject),
            &erasure.wanted,
            &Text(&erasure.done_to),
        ];
        run(transaction, BEGIN, &values).await?;
        bury(transaction, tombstones, erasure.at).await?;
        Ok(Some(()))
    })
}

fn erase_receipts<'t>(
    transaction: &'t Transaction,
    (erasure, left): &'t (ErasureId, Vec<Receipt>),
) -> InTransaction<'t, ()> {
    Box::pin(async move {
        for receipt in left {
            erase_receipt(transaction, *erasure, receipt).await?;
        }
        Ok(Some(()))
    })
}

fn erase_conversion<'t>(
    transaction: &'t Transaction,
    (erasure, erased): &'t (ErasureId, ErasedConversion),
) -> InTransaction<'t, ()> {
    Box::pin(async move {
        let left = &erased.left;
        let id = Id::from(left.id);
        let (contact, labels) = (text(rows::to_json(&left.contact))?, text(rows::labels(&left.labels))?);
        let movements = i64::from(left.movements);
        let values: [&Value<'_>; 6] = [&WORKSPACE, &id, &Text(&left.key.key), &contact, &labels, &movements];
        let changed = run(transaction, LEAVE_CONVERSION, &values).await?;
        count(transaction, *erasure, "conversions", changed).await?;
        // Whoever erased it before has erased and counted all that belongs to it.
        if changed == 0 {
            let moved = transaction.query_opt(HAS_MOVED, &[&WORKSPACE, &id, &movements]).await?;
            if moved.is_some() {
                return Ok(None);
            }
            bury(transaction, &erased.tombstones, erased.now).await?;
            return Ok(Some(()));
        }
        for (id, event) in &erased.events {
            erase_event(transaction, *erasure, (*id, event), erased.now).await?;
        }
        let moved = run(transaction, LEAVE_MOVEMENTS, &[&WORKSPACE, &id]).await?;
        count(transaction, *erasure, "movements", moved).await?;
        let seen = run(transaction, FORGET_SIGHTINGS, &[&WORKSPACE, &id]).await?;
        count(transaction, *erasure, "sightings", seen).await?;
        // Whoever follows the reversal takes its note: either that has happened by now and is seen, or it never will.
        run(transaction, FORGET_REVERSAL, &[&WORKSPACE, &id]).await?;
        let events: Vec<Id> = erased.events.iter().map(|(event, _)| Id::from(*event)).collect();
        if transaction.query_opt(HAS_ADJUSTED, &[&WORKSPACE, &id, &events]).await?.is_some() {
            return Ok(None);
        }
        bury(transaction, &erased.tombstones, erased.now).await?;
        Ok(Some(()))
    })
}

fn erase_click<'t>(
    transaction: &'t Transaction,
    (erasure, erased): &'t (ErasureId, ErasedClick),
) -> InTransaction<'t, ()> {
    Box::pin(async move {
        let id = Id::from(erased.id);
        let gone = run(transaction, FORGET_CLICK, &[&WORKSPACE, &id]).await?;
        count(transaction, *erasure, "clicks", gone).await?;
        // Two requests may be about one person: one rest stays of one click.
        if let Some(left) = erased.left.as_ref().filter(|_| gone > 0) {
            clicks::append(transaction, &[left]).await?;
        }
        for (what, statement) in
            [("browser_events", FORGET_TOLD), ("steps", FORGET_STEPS), ("aliases", FORGET_ALIASES)]
        {
            let gone = run(transaction, statement, &[&WORKSPACE, &id]).await?;
            count(transaction, *erasure, what, gone).await?;
        }
        let awaited = Awaited::Click(erased.id).to_string();
        run(transaction, FORGET_WAITS_FOR, &[&WORKSPACE, &Text(&awaited)]).await?;
        bury(transaction, &erased.tombstones, erased.now).await?;
        Ok(Some(()))
    })
}

fn erase_runs<'t>(
    transaction: &'t Transaction,
    (erasure, runs): &'t (ErasureId, Vec<Id>),
) -> InTransaction<'t, ()> {
    Box::pin(async move {
        let gone = run(transaction, FORGET_RUNS, &[&WORKSPACE, runs]).await?;
        count(transaction, *erasure, "tool_runs", gone).await?;
        Ok(Some(()))
    })
}

fn append_spooled<'t>(
    transaction: &'t Transaction,
    (spooled,): &'t (Vec<(Click, [u8; 16])>,),
) -> InTransaction<'t, u64> {
    Box::pin(async move {
        let keys: Vec<Id> = spooled.iter().map(|(_, key)| Id(*key)).collect();
        let found = transaction.query(BURIED, &[&WORKSPACE, &keys]).await?;
        let buried: Vec<[u8; 16]> = found.iter().map(|row| rows::id(row, 0)).collect::<Result<_, _>>()?;
        let fresh: Vec<&Click> =
            spooled.iter().filter(|(_, key)| !buried.contains(key)).map(|(click, _)| click).collect();
        clicks::append(transaction, &fresh).await.map(Some)
    })
}

async fn run(transaction: &Transaction, statement: &str, values: &Values<'_>) -> Result<u64, Fault> {
    let statement = transaction.prepare_cached(statement).await?;
    Ok(transaction.execute(&statement, values).await?)
}

fn text<T>(made: Result<T, StoreError>) -> Result<T, Fault> {
    made.map_err(|error| Fault::Data(error.to_string()))
}

async fn count(transaction: &Transaction, erasure: ErasureId, what: &str, number: u64) -> Result<(), Fault> {
    if number > 0 {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        run(transaction, COUNT, &[&WORKSPACE, &Id::from(erasure), &what, &number]).await?;
    }
    Ok(())
}

async fn bury(transaction: &Transaction, keys: &[[u8; 16]], now: Timestamp) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let version: i64 = transaction.query_one(NEXT_VERSION, &[&WORKSPACE]).await?.try_get(0)?;
    let keys: Vec<Id> = keys.iter().map(|key| Id(*key)).collect();
    run(transaction, BURY, &[&WORKSPACE, &keys, &version, &now.as_millis()]).await?;
    Ok(())
}

async fn erase_receipt(transaction: &Transaction, erasure: ErasureId, left: &Receipt) -> Result<(), Fault> {
    let id = Id::from(left.id);
    let (read, headers) = (text(rows::to_json(&*left.read))?, text(rows::to_json(&left.headers))?);
    let (contact, labels) = (text(rows::to_json(&left.contact))?, text(rows::to_json(&left.labels))?);
    let values: [&Value<'_>; 12] = [
        &WORKSPACE,
        &id,
        &left.query,
        &left.body,
        &Text(&left.content_type),
        &Text(&left.peer),
        &Text(&left.user_agent),
        &Text(&left.detail),
        &read,
        &headers,
        &contact,
        &labels,
    ];
    let changed = run(transaction, LEAVE_RECEIPT, &values).await?;
    count(transaction, erasure, "receipts", changed).await?;
    let revised = run(transaction, LEAVE_REVISIONS, &[&WORKSPACE, &id]).await?;
    count(transaction, erasure, "revisions", revised).await?;
    run(transaction, FORGET_WAIT, &[&WORKSPACE, &id]).await?;
    Ok(())
}

async fn erase_event(
    transaction: &Transaction,
    erasure: ErasureId,
    (id, left): (GoalEventId, &OutboundEvent),
    now: Timestamp,
) -> Result<(), Fault> {
    let (event, stored) = (Id::from(id), text(rows::to_json(left))?);
    let changed =
        run(transaction, LEAVE_EVENT, &[&WORKSPACE, &event, &Text(&stored), &Text(&left.event_id)]).await?;
    count(transaction, erasure, "events", changed).await?;
    let (first, last) = (Id::from(DeliveryId::of(id, 0)), Id::from(DeliveryId::of(id, u32::MAX)));
    let (reason, now) = (Reason::Erased.code(), now.as_millis());
    let cancel = transaction.prepare_cached(CANCEL).await?;
    let stands = Reason::FirstDeliveryStands.code();
    let values: [&Value<'_>; 7] = [&WORKSPACE, &first, &last, &event, &reason, &now, &stands];
    let cancelled = transaction.query_one(&cancel, &values).await?;
    count(transaction, erasure, "deliveries_cancelled", rows::count(&cancelled, 0)?).await?;
    count(transaction, erasure, "dead_letters", rows::count(&cancelled, 1)?).await?;
    let deliveries = run(transaction, LEAVE_DELIVERIES, &[&WORKSPACE, &first, &last, &event]).await?;
    count(transaction, erasure, "deliveries", deliveries).await?;
    run(transaction, LEAVE_CALLS, &[&WORKSPACE, &first, &last]).await?;
    let attempts = run(transaction, LEAVE_ATTEMPTS, &[&WORKSPACE, &first, &last]).await?;
    count(transaction, erasure, "attempts", attempts).await
}
