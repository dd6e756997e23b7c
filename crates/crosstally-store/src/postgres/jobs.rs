//! Jobs over many deliveries.

use std::collections::HashMap;

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::{Action, Job, JobFilter, JobState};
use crosstally_core::delivery::lane::Lane;
use crosstally_core::ids::{DeliveryId, GoalEventId, JobId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::engine::InTransaction;
use super::fault::Fault;
use super::outbox::count_moved;
use super::outbox::requeue::requeue_found;
use super::reversals::{note_again, note_failed};
use super::rows::{Columns, Id, Text};
use super::transact::{Transaction, Value};
use super::{Postgres, rows};
use crate::{BegunUnder, EventText, JobAnswer, JobGroup, JobStep, StoreError, WORKSPACE};

const COLUMNS: &str = "id, filter, to_destination, per_minute, state, done_to, wanted, requeued, skipped, author, \
    created_at, updated_at, action";
const INSERT: &str =
    "INSERT INTO delivery_jobs (workspace, id, filter, to_destination, per_minute, state, done_to,
        wanted, requeued, skipped, author, created_at, updated_at, action, begun_under)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT (begun_under, workspace) WHERE begun_under IS NOT NULL DO NOTHING RETURNING 1";
const FORGET_REQUEST: &str = "UPDATE delivery_jobs SET begun_under = NULL
    WHERE workspace = $1 AND begun_under = $2 AND created_at < $3";
const MOVE: &str = "UPDATE delivery_jobs SET state = $4, updated_at = $5
    WHERE workspace = $1 AND id = $2 AND state = $3 RETURNING 1";
const ADVANCE: &str =
    "UPDATE delivery_jobs SET done_to = $3, requeued = requeued + $4, skipped = skipped + $5,
        updated_at = $6, state = CASE WHEN $7 THEN 'done' ELSE state END
    WHERE workspace = $1 AND id = $2";
const REQUEUE: &str = concat!(
    "WITH found AS (
        SELECT id, state FROM deliveries
        WHERE id = ANY($4::uuid[]) AND (workspace = $1 AND destination = $5 AND state = ANY($6::text[])) IS TRUE
            AND ($7::text IS NULL OR reason = $7)
        ORDER BY id FOR UPDATE
    ), ",
    requeue_found!("2")
);
/// What had arrived before it was sent once more stays delivered. Whoever works on it at this moment goes on.
const CANCEL: &str = concat!(
    "WITH found AS (
        SELECT id FROM deliveries
        WHERE id = ANY($3::uuid[]) AND (workspace = $1 AND destination = $4 AND state = ANY($5::text[])) IS TRUE
            AND ($6::text IS NULL OR reason = $6) AND state = 'pending' AND (lease_until IS NULL OR lease_until <= $2)
        ORDER BY id FOR UPDATE
    ), closed AS (
        UPDATE attempts AS a SET outcome = 'retry', reason = 'outcome_unknown'
        FROM found AS f WHERE a.delivery = f.id AND a.outcome IS NULL
    ), cancelled AS (
        UPDATE deliveries AS d
        SET state = CASE WHEN d.arrived_at IS NULL THEN 'cancelled' ELSE 'delivered' END,
            reason = CASE WHEN d.arrived_at IS NULL THEN $7 WHEN d.arrived_in_part THEN 'refused_in_part' ELSE $8 END, detail = '',
            finished_at = coalesce(d.arrived_at, $2), lease_owner = NULL, lease_until = NULL
        FROM found AS f WHERE d.id = f.id
        RETURNING d.id, d.goal_event, d.conversion, d.destination, d.state
    ), failed AS (
        SELECT id, goal_event, conversion FROM cancelled
    ), ",
    note_failed!(),
    ", moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM cancelled
        UNION ALL SELECT destination, state, 1 FROM cancelled
    ), ",
    count_moved!(),
    " SELECT count(*) FROM cancelled"
);
const FIND: &str = "SELECT id, goal_event, conversion FROM deliveries
    WHERE id = ANY($2::uuid[]) AND (workspace = $1 AND destination = $3 AND state = ANY($4::text[])) IS TRUE
        AND ($5::text IS NULL OR reason = $5)
    ORDER BY id";
/// None of an adjustment: it follows its sale wherever that goes, and would be told twice there.
const SIBLINGS: &str = "SELECT d.id, d.goal_event, d.destination
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS e (first, last, id)
    JOIN deliveries AS d ON d.id BETWEEN e.first AND e.last
    WHERE (d.workspace = $1 AND d.goal_event = e.id) IS TRUE AND NOT EXISTS (
        SELECT FROM adjustments AS a WHERE a.conversion = d.conversion AND a.goal_event = d.goal_event)
    ORDER BY d.id";
const BOOK: &str = concat!(
    "WITH booked AS (
        INSERT INTO deliveries (workspace, id, goal_event, conversion, destination, state, detail, attempts, failures,
            due_at, available_at, deadline_at, created_at, fence, lane)
        SELECT $1::bigint, n.id, n.goal_event, n.conversion, $6::text, 'pending', '', 0, 0, $7::bigint, $7, n.deadline_at, $7,
            0, 2
        FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[]) AS n (id, goal_event, conversion, deadline_at)
        ON CONFLICT DO NOTHING RETURNING id, conversion, destination
    ), again AS (SELECT id, conversion FROM booked), ",
    note_again!(),
    ", moved AS (SELECT destination, 'pending' AS state, 1 AS change FROM booked), ",
    count_moved!(),
    " SELECT count(*) FROM booked"
);
const EVENTS: &str = "SELECT d.id, g.event FROM deliveries AS d JOIN goal_events AS g ON g.id = d.goal_event
    WHERE d.id = ANY($2::uuid[]) AND (d.workspace = $1) IS TRUE ORDER BY d.id";
const WAITING: &str = "SELECT count(*) FROM (SELECT FROM deliveries
    WHERE workspace = $1 AND destination = $2 AND state = 'pending' AND lane = 2 AND available_at <= $4 LIMIT $3) AS waiting";

/// Leaves out what was taken back since: an event of a sale that is no more, unless the event is about just that.
macro_rules! stands {
    () => {
        " AND NOT (EXISTS (SELECT FROM conversions AS c
            WHERE c.id = d.conversion AND c.status IN ('rejected', 'reversed'))
        AND NOT EXISTS (SELECT FROM goal_events AS m JOIN ledger_entries AS l
            ON l.conversion = d.conversion AND l.sequence = m.sequence
            WHERE m.id = d.goal_event AND l.status IN ('rejected', 'reversed')))"
    };
}
pub(super) const STANDS: &str = stands!();
pub(super) use stands;

type Given = Box<dyn ToSql + Sync + Send>;

impl Postgres {
    pub(crate) async fn preview_job(
        &self,
        filter: JobFilter,
        to_destination: Option<String>,
    ) -> Result<Vec<JobGroup>, StoreError> {
        let mut groups = Vec::new();
        for word in &filter.states {
            let state = word.state();
            let (condition, mut given) = conditions(&filter, state, DeliveryId::from_bytes([0; 16]));
            given.push(Box::new(to_destination.clone()));
            // The deliveries of an event share the first twelve bytes of their ids.
            let ask = format!(
                "SELECT d.reason, coalesce(e.event_name, ''), count(*), count(*) FILTER (WHERE EXISTS (
                    SELECT FROM deliveries AS o
                    WHERE o.id BETWEEN overlay(d.id::text PLACING '00000000' FROM 29)::uuid
                            AND overlay(d.id::text PLACING 'ffffffff' FROM 29)::uuid
                        AND (o.goal_event = d.goal_event AND o.destination = ${other}) IS TRUE
                ) OR (${other} IS NOT NULL AND EXISTS (
                    SELECT FROM adjustments AS a WHERE a.conversion = d.conversion AND a.goal_event = d.goal_event
                ))), max(d.id::text COLLATE \"C\")::uuid
                FROM deliveries AS d LEFT JOIN goal_events AS e ON e.id = d.goal_event WHERE {condition}
                GROUP BY 1, 2 ORDER BY 3 DESC, 1 NULLS FIRST, 2",
                other = given.len() + 1
            );
            let found = self.engine.read(&ask, &values(&given)).await?;
            let read = |row: &Row| {
                Ok(JobGroup {
                    state,
                    reason: rows::optional(row, 0, Reason::from_code)?,
                    event_name: rows::get(row, 1)?,
                    count: rows::count(row, 2)?,
                    already: rows::count(row, 3)?,
                    newest: DeliveryId::from_bytes(rows::id(row, 4)?),
                })
            };
            groups.extend(found.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?);
        }
        Ok(groups)
    }

    pub(crate) async fn begin_job(&self, job: Job, under: Option<BegunUnder>) -> Result<Job, StoreError> {
        let filter = rows::to_json(&job.filter)?;
        let digest = under.as_ref().map(|under| under.digest.as_slice());
        if let Some(under) = under {
            let since = under.since.as_millis();
            self.engine.write(FORGET_REQUEST, &[&WORKSPACE, &digest, &since]).await?;
        }
        let values: [&Value<'_>; 15] = [
            &WORKSPACE,
            &Id::from(job.id),
            &Text(&filter),
            &job.to_destination.as_deref().map(Text),
            &job.per_minute.map(i64::from),
            &Text(job.state.as_str()),
            &Id::from(job.done_to),
            &signed(job.wanted),
            &signed(job.requeued),
            &signed(job.skipped),
            &Text(&job.author),
            &job.created_at.as_millis(),
            &job.updated_at.as_millis(),
            &Text(job.action.as_str()),
            &digest,
        ];
        if !self.engine.write(INSERT, &values).await?.is_empty() {
            return Ok(job);
        }
        let begun = self.jobs("begun_under = $2", &[&WORKSPACE, &digest]).await?.pop();
        // It was forgotten just now: whoever asks again begins one.
        begun.ok_or(StoreError::Busy)
    }

    pub(crate) async fn job_begun(&self, under: BegunUnder) -> Result<Option<Job>, StoreError> {
        let (digest, since) = (under.digest.as_slice(), under.since.as_millis());
        let condition = "begun_under = $2 AND created_at >= $3";
        Ok(self.jobs(condition, &[&WORKSPACE, &digest, &since]).await?.pop())
    }

    pub(crate) async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.jobs("id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn list_jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let before = before.unwrap_or(JobId::from_bytes([0xff; 16]));
        let condition = "id < $2 ORDER BY id DESC LIMIT $3";
        self.jobs(condition, &[&WORKSPACE, &Id::from(before), &i64::from(limit)]).await
    }

    pub(crate) async fn running_jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.jobs("state = 'running' ORDER BY id LIMIT $2", &[&WORKSPACE, &i64::from(limit)]).await
    }

    pub(crate) async fn move_job(
        &self,
        id: JobId,
        from: JobState,
        to: JobState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let values: [&Value<'_>; 5] =
            [&WORKSPACE, &Id::from(id), &Text(from.as_str()), &Text(to.as_str()), &now.as_millis()];
        Ok(!self.engine.write(MOVE, &values).await?.is_empty())
    }

    pub(crate) async fn job_deliveries(
        &self,
        filter: JobFilter,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let mut found = Vec::new();
        // One index range per state, each in the order of ids.
        for word in &filter.states {
            let (condition, mut given) = conditions(&filter, word.state(), after);
            given.push(Box::new(i64::from(limit)));
            let ask = format!(
                "SELECT d.id FROM deliveries AS d WHERE {condition} ORDER BY d.id LIMIT ${}",
                given.len() + 1
            );
            for row in &self.engine.read(&ask, &values(&given)).await? {
                found.push(DeliveryId::from_bytes(rows::id(row, 0)?));
            }
        }
        found.sort_unstable();
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    pub(crate) async fn events_of_deliveries(
        &self,
        ids: Vec<DeliveryId>,
    ) -> Result<Vec<(DeliveryId, EventText)>, StoreError> {
        let ids: Vec<Id> = ids.into_iter().map(Id::from).collect();
        let read = |row: &Row| {
            Ok((DeliveryId::from_bytes(rows::id(row, 0)?), EventText::new(rows::get::<String>(row, 1)?)))
        };
        self.engine.read(EVENTS, &[&WORKSPACE, &ids]).await?.iter().map(read).collect()
    }

    pub(crate) async fn advance_job(&self, step: JobStep) -> Result<JobAnswer, StoreError> {
        let done = self.engine.transact(&step, advanced).await?;
        Ok(done.map_or(JobAnswer::Moved, |(requeued, skipped)| JobAnswer::Done { requeued, skipped }))
    }

    pub(crate) async fn waiting_replays(
        &self,
        destination: String,
        now: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let values: [&Value<'_>; 4] = [&WORKSPACE, &Text(&destination), &i64::from(most), &now.as_millis()];
        let found = self.engine.read(WAITING, &values).await?;
        super::outbox::total(&found, 0)
    }

    async fn jobs(&self, condition: &str, values: &[&Value<'_>]) -> Result<Vec<Job>, StoreError> {
        let ask = format!("SELECT {COLUMNS} FROM delivery_jobs WHERE workspace = $1 AND {condition}");
        self.engine.read(&ask, values).await?.iter().map(read).collect()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Job, StoreError> {
    Ok(Job {
        id: JobId::from_bytes(rows::id(row, 0)?),
        filter: rows::json(row, 1)?,
        to_destination: rows::get(row, 2)?,
        per_minute: rows::optional_number(row, 3)?,
        state: rows::word(row, 4, JobState::from_word)?,
        done_to: DeliveryId::from_bytes(rows::id(row, 5)?),
        wanted: rows::count(row, 6)?,
        requeued: rows::count(row, 7)?,
        skipped: rows::count(row, 8)?,
        author: rows::get(row, 9)?,
        created_at: rows::time(row, 10)?,
        updated_at: rows::time(row, 11)?,
        action: rows::word(row, 12, Action::from_word)?,
    })
}

/// The conditions of a filter on `deliveries AS d` in one state; value 1 is the workspace, the others are given.
fn conditions(filter: &JobFilter, state: DeliveryState, after: DeliveryId) -> (String, Vec<Given>) {
    // The state as text, not as a value: only so is a partial index found to fit.
    let mut text = format!("d.workspace = $1 AND d.state = '{state}'");
    let mut given: Vec<Given> = Vec::new();
    let mut and = |condition: &str, value: Option<Given>| {
        if let Some(value) = value {
            given.push(value);
            text.push_str(" AND ");
            text.push_str(&condition.replace('?', &format!("${}", given.len() + 1)));
        }
    };
    // Ids begin with the time at which they were booked.
    let id_at = |at: Timestamp| Id::from(DeliveryId::new(at, [0; 10]));
    and("d.destination = ?", Some(Box::new(filter.destination.clone())));
    and("d.id > ?", Some(Box::new(Id::from(after))));
    and("d.id < ?", Some(Box::new(id_at(filter.to))));
    // What a job books for another destination has the id of its event, which is older.
    and("d.created_at < ?", Some(Box::new(filter.to.as_millis())));
    and("d.id >= ?", filter.from.map(|from| Box::new(id_at(from)) as _));
    and("d.reason = ?", filter.code.clone().map(|code| Box::new(code) as _));
    let event = "EXISTS (SELECT FROM goal_events AS g WHERE g.id = d.goal_event AND";
    and(&format!("{event} g.goal = ?)"), filter.goal.clone().map(|goal| Box::new(goal) as _));
    and(&format!("{event} g.event_name = ?)"), filter.event_name.clone().map(|name| Box::new(name) as _));
    if !filter.ids.is_empty() {
        let ids: Vec<Id> = filter.ids.iter().map(|id| Id::from(*id)).collect();
        and("d.id = ANY(?::uuid[])", Some(Box::new(ids)));
    }
    if !filter.taken_back {
        text.push_str(STANDS);
    }
    (text, given)
}

fn values(given: &[Given]) -> Vec<&Value<'_>> {
    std::iter::once(&WORKSPACE as &Value<'_>)
        .chain(given.iter().map(|value| &**value as &Value<'_>))
        .collect()
}

fn advanced<'t>(transaction: &'t Transaction, step: &'t JobStep) -> InTransaction<'t, (u64, u64)> {
    Box::pin(async move {
        let ask = format!("SELECT {COLUMNS} FROM delivery_jobs WHERE workspace = $1 AND id = $2 FOR UPDATE");
        let found = transaction.query(&ask, &[&WORKSPACE, &Id::from(step.job)]).await?;
        let job = found.first().map(read).transpose()?;
        let Some(job) = job.filter(|job| job.state == JobState::Running && job.done_to == step.from) else {
            return Ok(None);
        };
        let requeued = match (job.action, &job.to_destination) {
            (Action::Cancel, _) => cancel(transaction, &job, step).await?,
            (Action::Send, None) => requeue(transaction, &job, step).await?,
            (Action::Send, Some(other)) => match book_for(transaction, &job, other, step).await? {
                Some(booked) => booked,
                None => return Ok(None),
            },
        };
        let asked = u64::try_from(step.deliveries.len()).unwrap_or(u64::MAX);
        let skipped = asked.saturating_sub(requeued);
        let done_to = Id::from(step.deliveries.last().copied().unwrap_or(step.from));
        let values: [&Value<'_>; 7] = [
            &WORKSPACE,
            &Id::from(job.id),
            &done_to,
            &signed(requeued),
            &signed(skipped),
            &step.now.as_millis(),
            &step.last,
        ];
        transaction.execute(ADVANCE, &values).await?;
        Ok(Some((requeued, skipped)))
    })
}

fn states(job: &Job) -> Vec<&'static str> {
    job.filter.states.iter().map(|word| word.state().as_str()).collect()
}

async fn requeue(transaction: &Transaction, job: &Job, step: &JobStep) -> Result<u64, Fault> {
    let ids: Vec<Id> = step.deliveries.iter().map(|id| Id::from(*id)).collect();
    let values: [&Value<'_>; 7] = [
        &WORKSPACE,
        &step.now.as_millis(),
        &step.deadline_at.as_millis(),
        &ids,
        &Text(&job.filter.destination),
        &states(job),
        &job.filter.code,
    ];
    Ok(super::outbox::total(&transaction.query(REQUEUE, &values).await?, 0)?)
}

/// Calls deliveries off that wait and that nobody works on.
async fn cancel(transaction: &Transaction, job: &Job, step: &JobStep) -> Result<u64, Fault> {
    let ids: Vec<Id> = step.deliveries.iter().map(|id| Id::from(*id)).collect();
    let values: [&Value<'_>; 8] = [
        &WORKSPACE,
        &step.now.as_millis(),
        &ids,
        &Text(&job.filter.destination),
        &states(job),
        &job.filter.code,
        &Reason::CancelledByHand.code(),
        &Reason::FirstDeliveryStands.code(),
    ];
    Ok(super::outbox::total(&transaction.query(CANCEL, &values).await?, 0)?)
}

/// Books the events of deliveries for another destination, each unless it is booked for it already. `None` if another
/// transaction books the same events at this moment.
async fn book_for(
    transaction: &Transaction,
    job: &Job,
    other: &str,
    step: &JobStep,
) -> Result<Option<u64>, Fault> {
    let ids: Vec<Id> = step.deliveries.iter().map(|id| Id::from(*id)).collect();
    let wanted: [&Value<'_>; 5] =
        [&WORKSPACE, &ids, &Text(&job.filter.destination), &states(job), &job.filter.code];
    let found = transaction.query(FIND, &wanted).await?;
    let mut events = Vec::with_capacity(found.len());
    for row in &found {
        let from = DeliveryId::from_bytes(rows::id(row, 0)?);
        let deadline_at = step.deadlines.get(&from).unwrap_or(&step.deadline_at).as_millis();
        events.push((GoalEventId::from_bytes(rows::id(row, 1)?), Id(rows::id(row, 2)?), deadline_at));
    }
    let last_of = last_free(transaction, &events, other).await?;
    let mut new = Vec::with_capacity(events.len());
    for (event, conversion, deadline_at) in events {
        // Whoever is there already has no entry.
        if let Some(id) = last_of.get(&event).and_then(|last| last.next_of(event)) {
            new.push((id, event, conversion, deadline_at));
        }
    }
    let columns = Columns::of(&new)
        .with(|(id, ..)| Id::from(*id))
        .with(|(_, event, ..)| Id::from(*event))
        .with(|(_, _, conversion, _)| Id(conversion.0))
        .with(|(.., deadline_at)| *deadline_at);
    let mut values = columns.values();
    let (other, now) = (Text(other), step.now.as_millis());
    values.extend([&other as &Value<'_>, &now]);
    let booked = super::outbox::total(&transaction.query(BOOK, &values).await?, 0)?;
    let all = u64::try_from(new.len()).unwrap_or(u64::MAX);
    Ok((booked == all).then_some(booked))
}

/// The last delivery of each event that has none for the other destination.
async fn last_free(
    transaction: &Transaction,
    events: &[(GoalEventId, Id, i64)],
    other: &str,
) -> Result<HashMap<GoalEventId, DeliveryId>, Fault> {
    let ranges = Columns::of(events)
        .with(|(event, ..)| Id::from(DeliveryId::of(*event, 0)))
        .with(|(event, ..)| Id::from(DeliveryId::of(*event, u32::MAX)))
        .with(|(event, ..)| Id::from(*event));
    let siblings = transaction.query(SIBLINGS, &ranges.values()).await?;
    let (mut last, mut there) = (HashMap::new(), Vec::new());
    for row in &siblings {
        let event = GoalEventId::from_bytes(rows::id(row, 1)?);
        last.insert(event, DeliveryId::from_bytes(rows::id(row, 0)?));
        if rows::get::<String>(row, 2)? == other {
            there.push(event);
        }
    }
    for event in there {
        last.remove(&event);
    }
    Ok(last)
}

/// Kept beside the statements that write it as a number.
const _: () = assert!(Lane::Replay.number() == 2 && Lane::Retry.number() == 1 && Lane::Fresh.number() == 0);
