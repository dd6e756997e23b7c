//! Deliveries that are made due again, by hand or by a job.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::lane::Lane;
use crosstally_core::ids::DeliveryId;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, ToSql, params};

use super::super::Sqlite;
use super::super::jobs::STANDS;
use super::super::reversals;
use super::moved;
use crate::{DeliveryFilter, StoreError, WORKSPACE};

/// Makes a delivery due at once, whatever its state was: its id, the present time, the deadline if its own has passed, and
/// the lane. The counts are the caller's business.
pub(in crate::sqlite) const REQUEUE: &str =
    "UPDATE deliveries SET state = 'pending', due_at = ?2, available_at = ?2,
        deadline_at = CASE WHEN deadline_at < ?2 THEN ?3 ELSE deadline_at END,
        failures = CASE WHEN state = 'pending' THEN failures ELSE 0 END, lane = max(lane, ?4),
        arrived_at = CASE WHEN state = 'delivered' THEN coalesce(arrived_at, finished_at) ELSE arrived_at END,
        arrived_in_part = CASE WHEN state = 'delivered' THEN coalesce(reason = 'refused_in_part', FALSE) ELSE arrived_in_part END,
        finished_at = NULL, lease_owner = NULL, lease_until = NULL
    WHERE id = ?1";

/// How many deliveries are made due again in one transaction.
const REQUEUED_AT_ONCE: u16 = 1_000;

/// What to try again.
#[derive(Clone)]
struct Again {
    destination: String,
    state: DeliveryState,
    id: Option<DeliveryId>,
    now: Timestamp,
    deadline_at: Timestamp,
}

impl Sqlite {
    pub(crate) async fn requeue_deliveries(
        &self,
        filter: DeliveryFilter,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let destinations = match &filter.destination {
            Some(destination) => vec![destination.clone()],
            None => self.engine.read(all_destinations).await?,
        };
        let mut requeued = 0;
        for destination in destinations {
            for state in [DeliveryState::Dead, DeliveryState::Expired, DeliveryState::Pending] {
                if filter.state.is_some_and(|wanted| wanted != state) {
                    continue;
                }
                let again =
                    Again { destination: destination.clone(), state, id: filter.id, now, deadline_at };
                requeued += self.requeue_all(again).await?;
            }
        }
        Ok(requeued)
    }

    /// Step by step: many deliveries at once would hold up everybody else's writes.
    async fn requeue_all(&self, again: Again) -> Result<u64, StoreError> {
        let mut requeued = 0;
        loop {
            let step = again.clone();
            let work = move |connection: &Connection| requeue(connection, &step);
            let done = self.engine.write(usize::from(REQUEUED_AT_ONCE), work).await?;
            requeued += done;
            if done < u64::from(REQUEUED_AT_ONCE) {
                return Ok(requeued);
            }
        }
    }
}

fn all_destinations(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let ask = "SELECT DISTINCT destination FROM delivery_counts WHERE workspace = ?1 AND count > 0";
    let mut ask = connection.prepare_cached(ask)?;
    let destinations = ask.query_map([WORKSPACE], |row| row.get(0))?;
    Ok(destinations.collect::<rusqlite::Result<_>>()?)
}

/// One step; how many it was.
fn requeue(connection: &Connection, again: &Again) -> Result<u64, StoreError> {
    let (now, id) = (again.now.as_millis(), again.id.as_ref().map(DeliveryId::as_bytes));
    let waiting = again.state == DeliveryState::Pending;
    let index = match (id, waiting) {
        (Some(_), _) => "",
        (None, true) => "INDEXED BY deliveries_pending",
        (None, false) => "INDEXED BY deliveries_unsent",
    };
    // The state as text, not as a value: only so is a partial index found to fit.
    let mut find = format!(
        "SELECT id FROM deliveries AS d {index}
        WHERE workspace = :workspace AND destination = :destination AND state = '{}'{STANDS}",
        again.state
    );
    let mut values: Vec<(&str, &dyn ToSql)> =
        vec![(":workspace", &WORKSPACE), (":destination", &again.destination), (":limit", &REQUEUED_AT_ONCE)];
    if waiting {
        // Those that wait; what is due already or being worked on needs no help.
        find.push_str(" AND available_at > :now AND lease_until IS NULL");
        values.push((":now", &now));
    }
    if let Some(id) = &id {
        find.push_str(" AND id = :id");
        values.push((":id", id));
    }
    find.push_str(" LIMIT :limit");
    let found: Vec<[u8; 16]> = connection
        .prepare_cached(&find)?
        .query_map(&*values, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut requeue = connection.prepare_cached(REQUEUE)?;
    for id in &found {
        requeue.execute(params![id, now, again.deadline_at.as_millis(), Lane::Retry.number()])?;
        if !waiting {
            reversals::note_again(connection, id)?;
        }
    }
    if !waiting {
        let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
        moved(connection, &again.destination, again.state, DeliveryState::Pending, count)?;
    }
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}
