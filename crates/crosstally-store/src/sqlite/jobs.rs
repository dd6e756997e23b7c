//! Jobs over many deliveries.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::job::{Action, Job, JobFilter, JobState};
use crosstally_core::delivery::lane::Lane;
use crosstally_core::ids::{ConversionId, DeliveryId, GoalEventId, JobId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{Sqlite, outbox, reversals, rows};
use crate::{BegunUnder, EventText, JobAnswer, JobGroup, JobStep, StoreError, WORKSPACE};

const COLUMNS: &str = "id, filter, to_destination, per_minute, state, done_to, wanted, requeued, skipped, author, \
    created_at, updated_at, action";
const INSERT: &str =
    "INSERT INTO delivery_jobs (id, workspace, filter, to_destination, per_minute, state, done_to,
        wanted, requeued, skipped, author, created_at, updated_at, action, begun_under)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
const FORGET_REQUEST: &str = "UPDATE delivery_jobs SET begun_under = NULL
    WHERE workspace = ?1 AND begun_under = ?2 AND created_at < ?3";
const MOVE: &str =
    "UPDATE delivery_jobs SET state = ?4, updated_at = ?5 WHERE id = ?1 AND workspace = ?2 AND state = ?3";
const ADVANCE: &str =
    "UPDATE delivery_jobs SET done_to = ?3, requeued = requeued + ?4, skipped = skipped + ?5,
        updated_at = ?6, state = CASE WHEN ?7 THEN 'done' ELSE state END
    WHERE id = ?1 AND workspace = ?2";
const FIND: &str = "SELECT state, goal_event, conversion FROM deliveries
    WHERE id = ?1 AND workspace = ?2 AND destination = ?3 AND (?4 IS NULL OR reason = ?4)";
/// None of an adjustment: it follows its sale wherever that goes, and would be told twice there.
const SIBLINGS: &str = "SELECT id, destination FROM deliveries AS d
    WHERE id BETWEEN ?1 AND ?2 AND goal_event = ?3 AND NOT EXISTS (
        SELECT 1 FROM adjustments AS a WHERE a.conversion = d.conversion AND a.goal_event = d.goal_event)
    ORDER BY id";
const INSERT_DELIVERY: &str =
    "INSERT INTO deliveries (id, workspace, goal_event, conversion, destination, state, detail,
        attempts, failures, due_at, available_at, deadline_at, created_at, fence, lane)
    VALUES (?1, ?2, ?3, ?4, ?5, 'pending', '', 0, 0, ?6, ?6, ?7, ?6, 0, ?8)";
const EVENT: &str =
    "SELECT g.event FROM deliveries AS d JOIN goal_events AS g ON g.id = d.goal_event WHERE d.id = ?1";
const WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries
    WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = ?3 AND available_at <= ?5 LIMIT ?4)";

/// Leaves out what was taken back since: an event of a sale that is no more, unless the event is about just that.
macro_rules! stands {
    () => {
        " AND NOT (EXISTS (SELECT 1 FROM conversions AS c
            WHERE c.id = d.conversion AND c.status IN ('rejected', 'reversed'))
        AND NOT EXISTS (SELECT 1 FROM goal_events AS m JOIN ledger_entries AS l
            ON l.conversion = d.conversion AND l.sequence = m.sequence
            WHERE m.id = d.goal_event AND l.status IN ('rejected', 'reversed')))"
    };
}
pub(super) const STANDS: &str = stands!();
pub(super) use stands;

impl Sqlite {
    pub(crate) async fn preview_job(
        &self,
        filter: JobFilter,
        to_destination: Option<String>,
    ) -> Result<Vec<JobGroup>, StoreError> {
        let work = move |connection: &Connection| {
            let mut groups = Vec::new();
            for word in &filter.states {
                groups.extend(preview(connection, &filter, word.state(), to_destination.as_deref())?);
            }
            Ok(groups)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn begin_job(&self, job: Job, under: Option<BegunUnder>) -> Result<Job, StoreError> {
        let filter = rows::to_json(&job.filter)?;
        let work = move |connection: &Connection| {
            if let Some(under) = under {
                let since = under.since.as_millis();
                connection.prepare_cached(FORGET_REQUEST)?.execute(params![
                    WORKSPACE,
                    under.digest,
                    since
                ])?;
                let begun = list(connection, "begun_under = ?2", params![WORKSPACE, under.digest])?;
                if let Some(begun) = begun.into_iter().next() {
                    return Ok(begun);
                }
            }
            connection.prepare_cached(INSERT)?.execute(params![
                job.id.as_bytes(),
                WORKSPACE,
                filter,
                job.to_destination,
                job.per_minute,
                job.state.as_str(),
                job.done_to.as_bytes(),
                signed(job.wanted),
                signed(job.requeued),
                signed(job.skipped),
                job.author,
                job.created_at.as_millis(),
                job.updated_at.as_millis(),
                job.action.as_str(),
                under.map(|under| under.digest),
            ])?;
            Ok(job.clone())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn job_begun(&self, under: BegunUnder) -> Result<Option<Job>, StoreError> {
        let work = move |connection: &Connection| {
            let given = params![WORKSPACE, under.digest, under.since.as_millis()];
            Ok(list(connection, "begun_under = ?2 AND created_at >= ?3", given)?.pop())
        };
        self.engine.read(work).await
    }

    pub(crate) async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.engine.read(move |connection| job(connection, id)).await
    }

    pub(crate) async fn list_jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let before = before.map_or([0xff; 16], |id| *id.as_bytes());
        let work = move |connection: &Connection| {
            let condition = "id < ?2 ORDER BY id DESC LIMIT ?3";
            list(connection, condition, params![WORKSPACE, before, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn running_jobs(&self, limit: u32) -> Result<Vec<Job>, StoreError> {
        let work = move |connection: &Connection| {
            list(connection, "state = 'running' ORDER BY id LIMIT ?2", params![WORKSPACE, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn move_job(
        &self,
        id: JobId,
        from: JobState,
        to: JobState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let values = params![id.as_bytes(), WORKSPACE, from.as_str(), to.as_str(), now.as_millis()];
            Ok(connection.prepare_cached(MOVE)?.execute(values)? > 0)
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn job_deliveries(
        &self,
        filter: JobFilter,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let work = move |connection: &Connection| {
            let mut found = Vec::new();
            // One index range per state, each in the order of ids.
            for word in &filter.states {
                found.extend(next(connection, &filter, word.state(), after, limit)?);
            }
            found.sort_unstable();
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(found)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn events_of_deliveries(
        &self,
        ids: Vec<DeliveryId>,
    ) -> Result<Vec<(DeliveryId, EventText)>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(EVENT)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in &ids {
                let event = ask.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
                found.extend(event.map(|event| (*id, EventText::new(event))));
            }
            Ok(found)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn advance_job(&self, step: JobStep) -> Result<JobAnswer, StoreError> {
        let weight = step.deliveries.len() + 1;
        self.engine.write(weight, move |connection| advance(connection, &step)).await
    }

    pub(crate) async fn waiting_replays(
        &self,
        destination: String,
        now: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let values = params![WORKSPACE, destination, Lane::Replay.number(), most, now.as_millis()];
            Ok(connection.prepare_cached(WAITING)?.query_row(values, |row| rows::number(row, 0))?)
        };
        self.engine.read(work).await
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    let filter: String = row.get(1)?;
    let unreadable = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    };
    Ok(Job {
        id: JobId::from_bytes(row.get(0)?),
        filter: serde_json::from_str(&filter).map_err(unreadable)?,
        to_destination: row.get(2)?,
        per_minute: row.get(3)?,
        state: rows::word(row, 4, JobState::from_word)?,
        done_to: DeliveryId::from_bytes(row.get(5)?),
        wanted: rows::number(row, 6)?,
        requeued: rows::number(row, 7)?,
        skipped: rows::number(row, 8)?,
        author: row.get(9)?,
        created_at: rows::time(row, 10)?,
        updated_at: rows::time(row, 11)?,
        action: rows::word(row, 12, Action::from_word)?,
    })
}

fn list(connection: &Connection, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<Job>, StoreError> {
    let ask = format!("SELECT {COLUMNS} FROM delivery_jobs WHERE workspace = ?1 AND {condition}");
    let mut ask = connection.prepare_cached(&ask)?;
    let jobs = ask.query_map(values, read)?;
    Ok(jobs.collect::<rusqlite::Result<_>>()?)
}

fn job(connection: &Connection, id: JobId) -> Result<Option<Job>, StoreError> {
    Ok(list(connection, "id = ?2", params![WORKSPACE, id.as_bytes()])?.pop())
}

/// The conditions of a filter on `deliveries AS d` in one state, and the values they name.
struct Conditions<'a> {
    text: String,
    values: Vec<(&'static str, Box<dyn ToSql + 'a>)>,
}

impl<'a> Conditions<'a> {
    fn of(filter: &'a JobFilter, state: DeliveryState, after: DeliveryId) -> Self {
        // The state as text, not as a value: only so is a partial index found to fit.
        let text = format!(
            "d.workspace = :workspace AND d.destination = :destination AND d.state = '{state}' AND d.id > :after"
        );
        let mut all = Self {
            text,
            values: vec![
                (":workspace", Box::new(WORKSPACE)),
                (":destination", Box::new(filter.destination.as_str())),
                (":after", Box::new(*after.as_bytes())),
            ],
        };
        // Ids begin with the time at which they were booked.
        let id_at = |at: Timestamp| *DeliveryId::new(at, [0; 10]).as_bytes();
        all.and(" AND d.id < :to", ":to", Some(id_at(filter.to)));
        // What a job books for another destination has the id of its event, which is older.
        all.and(" AND d.created_at < :booked_to", ":booked_to", Some(filter.to.as_millis()));
        all.and(" AND d.id >= :from", ":from", filter.from.map(id_at));
        all.and(" AND d.reason = :code", ":code", filter.code.as_deref());
        let event = "EXISTS (SELECT 1 FROM goal_events AS g WHERE g.id = d.goal_event";
        all.and(&format!(" AND {event} AND g.goal = :goal)"), ":goal", filter.goal.as_deref());
        let named = format!(" AND {event} AND g.event_name = :event_name)");
        all.and(&named, ":event_name", filter.event_name.as_deref());
        if !filter.taken_back {
            all.text.push_str(STANDS);
        }
        if !filter.ids.is_empty() {
            // Ids are hexadecimal digits of our own making: nothing can break out of them.
            let ids: Vec<String> = filter.ids.iter().map(|id| format!("x'{}'", hex(id))).collect();
            all.text.push_str(&format!(" AND d.id IN ({})", ids.join(",")));
        }
        all
    }

    fn and<T: ToSql + 'a>(&mut self, text: &str, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.text.push_str(text);
            self.values.push((name, Box::new(value)));
        }
    }

    /// Asks for the next deliveries, in the order of their ids.
    fn next(&self) -> String {
        format!("SELECT d.id FROM deliveries AS d WHERE {} ORDER BY d.id LIMIT :limit", self.text)
    }

    fn values(&self) -> Vec<(&str, &dyn ToSql)> {
        self.values.iter().map(|(name, value)| (*name, &**value as &dyn ToSql)).collect()
    }
}

fn hex(id: &DeliveryId) -> String {
    use std::fmt::Write as _;
    id.as_bytes().iter().fold(String::with_capacity(32), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

fn preview(
    connection: &Connection,
    filter: &JobFilter,
    state: DeliveryState,
    to_destination: Option<&str>,
) -> Result<Vec<JobGroup>, StoreError> {
    let conditions = Conditions::of(filter, state, DeliveryId::from_bytes([0; 16]));
    // The deliveries of an event share the first twelve bytes of their ids.
    let ask = format!(
        "SELECT d.reason, coalesce(e.event_name, ''), count(*), sum(:other IS NOT NULL AND (EXISTS (
            SELECT 1 FROM deliveries AS o
            WHERE o.id BETWEEN CAST(substr(d.id, 1, 12) || x'00000000' AS BLOB)
                    AND CAST(substr(d.id, 1, 12) || x'ffffffff' AS BLOB)
                AND o.goal_event = d.goal_event AND o.destination = :other
        ) OR EXISTS (SELECT 1 FROM adjustments AS a WHERE a.conversion = d.conversion AND a.goal_event = d.goal_event))),
            max(d.id)
        FROM deliveries AS d LEFT JOIN goal_events AS e ON e.id = d.goal_event WHERE {}
        GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        conditions.text
    );
    let mut values = conditions.values();
    values.push((":other", &to_destination));
    let read = |row: &Row<'_>| {
        Ok(JobGroup {
            state,
            reason: rows::optional(row, 0, Reason::from_code)?,
            event_name: row.get(1)?,
            count: rows::number(row, 2)?,
            already: rows::number(row, 3)?,
            newest: DeliveryId::from_bytes(row.get(4)?),
        })
    };
    let mut ask = connection.prepare(&ask)?;
    let groups = ask.query_map(&*values, read)?;
    Ok(groups.collect::<rusqlite::Result<_>>()?)
}

fn next(
    connection: &Connection,
    filter: &JobFilter,
    state: DeliveryState,
    after: DeliveryId,
    limit: u32,
) -> Result<Vec<DeliveryId>, StoreError> {
    let conditions = Conditions::of(filter, state, after);
    let ask = conditions.next();
    let mut values = conditions.values();
    values.push((":limit", &limit));
    let mut ask = connection.prepare(&ask)?;
    let ids = ask.query_map(&*values, |row| Ok(DeliveryId::from_bytes(row.get(0)?)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn advance(connection: &Connection, step: &JobStep) -> Result<JobAnswer, StoreError> {
    let Some(job) = job(connection, step.job)? else { return Ok(JobAnswer::Moved) };
    if job.state != JobState::Running || job.done_to != step.from {
        return Ok(JobAnswer::Moved);
    }
    let (mut requeued, mut skipped) = (0, 0);
    for id in &step.deliveries {
        let changed = match (job.action, &job.to_destination) {
            (Action::Cancel, _) => {
                found(connection, &job, *id)?.is_some() && outbox::cancel(connection, *id, step.now)?
            }
            (Action::Send, None) => requeue(connection, &job, *id, step)?,
            (Action::Send, Some(other)) => book_for(connection, &job, *id, other, step)?,
        };
        *(if changed { &mut requeued } else { &mut skipped }) += 1;
    }
    let done_to = step.deliveries.last().copied().unwrap_or(step.from);
    connection.prepare_cached(ADVANCE)?.execute(params![
        job.id.as_bytes(),
        WORKSPACE,
        done_to.as_bytes(),
        signed(requeued),
        signed(skipped),
        step.now.as_millis(),
        step.last,
    ])?;
    Ok(JobAnswer::Done { requeued, skipped })
}

/// A delivery as a job finds it, if it is still one that the job is about.
fn found(
    connection: &Connection,
    job: &Job,
    id: DeliveryId,
) -> Result<Option<(DeliveryState, GoalEventId, ConversionId)>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok((
            rows::word(row, 0, DeliveryState::from_word)?,
            GoalEventId::from_bytes(row.get(1)?),
            ConversionId::from_bytes(row.get(2)?),
        ))
    };
    let values = params![id.as_bytes(), WORKSPACE, job.filter.destination, job.filter.code];
    let found = connection.prepare_cached(FIND)?.query_row(values, read).optional()?;
    Ok(found.filter(|(state, ..)| job.filter.takes(*state)))
}

fn requeue(connection: &Connection, job: &Job, id: DeliveryId, step: &JobStep) -> Result<bool, StoreError> {
    let Some((state, ..)) = found(connection, job, id)? else { return Ok(false) };
    let (now, deadline) = (step.now.as_millis(), step.deadline_at.as_millis());
    let values = params![id.as_bytes(), now, deadline, Lane::Replay.number()];
    connection.prepare_cached(outbox::requeue::REQUEUE)?.execute(values)?;
    reversals::note_again(connection, id.as_bytes())?;
    outbox::moved(connection, &job.filter.destination, state, DeliveryState::Pending, 1)?;
    Ok(true)
}

/// Books the event of a delivery for another destination, unless it is booked for it already.
fn book_for(
    connection: &Connection,
    job: &Job,
    id: DeliveryId,
    other: &str,
    step: &JobStep,
) -> Result<bool, StoreError> {
    let Some((_, event, conversion)) = found(connection, job, id)? else { return Ok(false) };
    let deadline_at = step.deadlines.get(&id).unwrap_or(&step.deadline_at);
    let (first, last) = (DeliveryId::of(event, 0), DeliveryId::of(event, u32::MAX));
    let siblings: Vec<(DeliveryId, String)> = connection
        .prepare_cached(SIBLINGS)?
        .query_map(params![first.as_bytes(), last.as_bytes(), event.as_bytes()], |row| {
            Ok((DeliveryId::from_bytes(row.get(0)?), row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    if siblings.iter().any(|(_, destination)| destination == other) {
        return Ok(false);
    }
    let Some(id) = siblings.last().and_then(|(last, _)| last.next_of(event)) else { return Ok(false) };
    connection.prepare_cached(INSERT_DELIVERY)?.execute(params![
        id.as_bytes(),
        WORKSPACE,
        event.as_bytes(),
        conversion.as_bytes(),
        other,
        step.now.as_millis(),
        deadline_at.as_millis(),
        Lane::Replay.number(),
    ])?;
    reversals::note_again(connection, id.as_bytes())?;
    outbox::booked(connection, other)?;
    Ok(true)
}

/// What is asked for the next deliveries of a job in one state.
#[cfg(test)]
pub(super) fn next_of(filter: &JobFilter, state: DeliveryState) -> String {
    Conditions::of(filter, state, DeliveryId::from_bytes([0; 16])).next()
}
