//! Deliveries that are made due again, by hand or by a job.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::time::Timestamp;

use super::super::Postgres;
use super::super::jobs::STANDS;
use super::super::rows::{Id, Text};
use super::super::transact::Value;
use super::total;
use crate::{DeliveryFilter, StoreError, WORKSPACE};

/// What follows after deliveries were found in `found`: they are due in this lane. Values 1 to 3 are the workspace, the
/// present time and the deadline of those whose own has passed.
macro_rules! requeue_found {
    ($lane:literal) => {
        concat!(
            "requeued AS (
        UPDATE deliveries AS d
        SET state = 'pending', due_at = $2, available_at = $2,
            deadline_at = CASE WHEN d.deadline_at < $2 THEN $3 ELSE d.deadline_at END,
            failures = CASE WHEN d.state = 'pending' THEN d.failures ELSE 0 END,
            lane = greatest(d.lane, ",
            $lane,
            "), finished_at = NULL, lease_owner = NULL, lease_until = NULL,
            arrived_at = CASE WHEN f.state = 'delivered' THEN coalesce(d.arrived_at, d.finished_at) ELSE d.arrived_at END,
            arrived_in_part = CASE WHEN f.state = 'delivered' THEN coalesce(d.reason = 'refused_in_part', FALSE) ELSE d.arrived_in_part END
        FROM found AS f WHERE d.id = f.id
        RETURNING d.id, d.conversion, d.destination, f.state
    ), again AS (
        SELECT id, conversion FROM requeued WHERE state <> 'pending'
    ), ",
            crate::postgres::reversals::note_again!(),
            ", moved AS (
        SELECT destination, state, -1 AS change FROM requeued
        UNION ALL SELECT destination, 'pending', 1 FROM requeued
    ), ",
            crate::postgres::outbox::count_moved!(),
            " SELECT count(*) FROM requeued"
        )
    };
}
pub(in crate::postgres) use requeue_found;

const REQUEUE: &str = requeue_found!("1");

/// How many deliveries are made due again in one transaction.
const REQUEUED_AT_ONCE: u32 = 1_000;

impl Postgres {
    pub(crate) async fn requeue_deliveries(
        &self,
        filter: DeliveryFilter,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let (now, deadline_at, limit) =
            (now.as_millis(), deadline_at.as_millis(), i64::from(REQUEUED_AT_ONCE));
        let destination = filter.destination.as_deref().map(Text);
        let id = filter.id.map(Id::from);
        let mut requeued = 0;
        for state in [DeliveryState::Dead, DeliveryState::Expired, DeliveryState::Pending] {
            if filter.state.is_some_and(|wanted| wanted != state) {
                continue;
            }
            let mut values: Vec<&Value<'_>> = vec![&WORKSPACE, &now, &deadline_at, &limit];
            // As text, not as a value: only so is a partial index found to fit.
            let mut find = format!(
                "SELECT id, state FROM deliveries AS d WHERE workspace = $1 AND state = '{state}'{STANDS}"
            );
            if state == DeliveryState::Pending {
                // Those that wait; what is due already or being worked on needs no help.
                find.push_str(" AND available_at > $2 AND lease_until IS NULL");
            }
            if let Some(destination) = &destination {
                values.push(destination);
                find.push_str(&format!(" AND destination = ${}", values.len()));
            }
            if let Some(id) = &id {
                values.push(id);
                find.push_str(&format!(" AND id = ${}", values.len()));
            }
            let step = format!("WITH found AS ({find} LIMIT $4 FOR UPDATE), {REQUEUE}");
            loop {
                let done = total(&self.engine.write(&step, &values).await?, 0)?;
                requeued += done;
                if done < u64::from(REQUEUED_AT_ONCE) {
                    break;
                }
            }
        }
        Ok(requeued)
    }
}
