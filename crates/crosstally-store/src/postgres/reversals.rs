//! Reversals: what is still to be followed, what follows, and what is told nobody.

use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::postback::{Booking, ConversionChange};
use crosstally_core::reason::Reason;
use crosstally_core::reversal::Follows;
use crosstally_core::time::Timestamp;

use super::engine::InTransaction;
use super::fault::Fault;
use super::outbox::count_moved;
use super::rows::{Id, Text};
use super::transact::{Transaction, Value};
use super::{Postgres, rows};
use crate::{OpenReversal, OverstatedSum, StoreError, WORKSPACE};

// In one order, so that no two batches wait for each other in a circle.
const NOTE: &str = "INSERT INTO open_reversals (workspace, conversion, sequence)
    SELECT $1::bigint, conversion, max(sequence) FROM unnest($2::uuid[], $3::bigint[]) AS n (conversion, sequence)
    GROUP BY conversion ORDER BY conversion
    ON CONFLICT (conversion, workspace) DO UPDATE SET sequence = excluded.sequence, noted_by = excluded.noted_by";
/// Notes conversions that are found as said. Other rows of a transaction are locked in the order of their ids, and so are these.
/// A movement that was booked meanwhile has a higher number than the one that is seen here, and keeps it; and who notes it beside
/// a movement is not that movement, and takes nothing away from it either.
macro_rules! note_those {
    ($from:literal) => {
        concat!(
            "noted AS (
            INSERT INTO open_reversals (workspace, conversion, sequence, noted_by)
            SELECT $1::bigint, c.id, c.movements, ('01' || substr(gen_random_uuid()::text, 3))::uuid
            FROM ",
            $from,
            " GROUP BY c.id, c.movements ORDER BY c.id
            ON CONFLICT (conversion, workspace) DO UPDATE
            SET sequence = greatest(open_reversals.sequence, excluded.sequence),
                noted_by = CASE WHEN left(open_reversals.noted_by::text, 2) = '00'
                    THEN ('00' || substr(excluded.noted_by::text, 3))::uuid ELSE excluded.noted_by END
        )"
        )
    };
}
/// Notes what goes out again, from `again`, which has the deliveries' ids and conversions: each may have moved since its
/// event was made.
macro_rules! note_again {
    () => {
        crate::postgres::reversals::note_those!(
            "again AS n JOIN conversions AS c ON c.id = n.conversion WHERE c.movements > 1"
        )
    };
}
/// Notes adjustments that ended without arriving, from `failed`, which has the deliveries' ids, events and conversions.
macro_rules! note_failed {
    () => {
        crate::postgres::reversals::note_those!(
            "failed AS n JOIN conversions AS c ON c.id = n.conversion
            JOIN adjustments AS a ON a.conversion = n.conversion AND a.goal_event = n.goal_event"
        )
    };
}
/// Both, from `found`, which has the deliveries' events, conversions and states. One conversion can have deliveries of either
/// kind, and is noted once.
macro_rules! note_found {
    () => {
        crate::postgres::reversals::note_those!(
            "found AS n JOIN conversions AS c ON c.id = n.conversion
            LEFT JOIN adjustments AS a ON a.conversion = n.conversion AND a.goal_event = n.goal_event
            WHERE CASE n.state WHEN 'delivered' THEN FALSE WHEN 'pending' THEN c.movements > 1
                ELSE a.goal_event IS NOT NULL END"
        )
    };
}
pub(super) use {note_again, note_failed, note_found, note_those};

const OPEN: &str = "SELECT conversion, sequence, noted_by FROM open_reversals WHERE workspace = $1
    ORDER BY conversion LIMIT $2";
/// In the order in which others take deliveries, and before the note, as they do.
const LOCK: &str =
    "SELECT FROM deliveries WHERE id = ANY ($2::uuid[]) AND (workspace = $1) IS TRUE ORDER BY id FOR UPDATE";
const IS_OPEN: &str = "SELECT FROM open_reversals
    WHERE workspace = $1 AND conversion = $2 AND sequence = $3 AND noted_by = $4 FOR UPDATE";
const WITHDRAW: &str = concat!(
    "WITH withdrawn AS (
        UPDATE deliveries SET state = 'cancelled', reason = $4, detail = '', finished_at = $3,
            lease_owner = NULL, lease_until = NULL
        WHERE id = ANY ($2::uuid[]) AND state = 'pending' AND attempts = 0 AND (workspace = $1) IS TRUE
        RETURNING destination
    ), moved AS (
        SELECT destination, 'pending' AS state, -1 AS change FROM withdrawn
        UNION ALL SELECT destination, 'cancelled', 1 FROM withdrawn
    ), ",
    count_moved!(),
    " SELECT count(*) FROM withdrawn"
);
/// What still has a delay before it keeps that.
const RESTORE: &str = concat!(
    "WITH restored AS (
        UPDATE deliveries SET state = 'pending', reason = NULL, detail = '', finished_at = NULL,
            available_at = greatest(due_at, $3)
        WHERE id = ANY ($2::uuid[]) AND state = 'cancelled' AND reason = $4 AND (workspace = $1) IS TRUE
        RETURNING destination
    ), moved AS (
        SELECT destination, 'cancelled' AS state, -1 AS change FROM restored
        UNION ALL SELECT destination, 'pending', 1 FROM restored
    ), ",
    count_moved!(),
    " SELECT count(*) FROM restored"
);
const FOLLOW: &str = concat!(
    "WITH taken AS (
        DELETE FROM open_reversals WHERE workspace = $1 AND conversion = $2 AND sequence = $3 AND noted_by = $23
        RETURNING conversion
    ), events AS (
        INSERT INTO goal_events (workspace, id, conversion, goal, sequence, event_name, event_id, event, created_at)
        SELECT $1, n.id, $2, n.goal, n.sequence, n.event_name, n.event_id, n.event, n.created_at
        FROM unnest($5::uuid[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $22::bigint[])
            AS n (id, goal, sequence, event_name, event_id, event, created_at), taken
        RETURNING id
    ), noted AS (
        INSERT INTO adjustments (workspace, conversion, goal_event) SELECT $1, $2, id FROM events
    ), booked AS (
        INSERT INTO deliveries (workspace, id, goal_event, conversion, destination, state, detail, attempts, failures,
            due_at, available_at, deadline_at, created_at, fence)
        SELECT $1, n.id, n.goal_event, $2, n.destination, 'pending', '', 0, 0, n.due_at, n.due_at, n.deadline_at, $4, 0
        FROM unnest($11::uuid[], $12::uuid[], $13::text[], $14::bigint[], $15::bigint[])
            AS n (id, goal_event, destination, due_at, deadline_at), taken
        RETURNING destination
    ), told AS (
        INSERT INTO overstated (workspace, delivery, destination, campaign, currency, stated, remaining, updated_at)
        SELECT $1, n.delivery, n.destination, n.campaign, n.currency, n.stated, n.remaining, $4
        FROM unnest($16::uuid[], $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[])
            AS n (delivery, destination, campaign, currency, stated, remaining), taken
        WHERE n.remaining < n.stated
        ON CONFLICT (delivery, workspace) DO UPDATE
        SET stated = excluded.stated, remaining = excluded.remaining, updated_at = excluded.updated_at
    ), true_again AS (
        DELETE FROM overstated AS o USING taken, unnest($16::uuid[], $20::bigint[], $21::bigint[]) AS n (delivery, stated, remaining)
        WHERE o.workspace = $1 AND o.delivery = n.delivery AND n.remaining >= n.stated
    ), moved AS (
        SELECT destination, 'pending' AS state, 1 AS change FROM booked
    ), ",
    count_moved!(),
    " SELECT count(*) FROM taken"
);
const OVERSTATED: &str =
    "SELECT o.campaign, o.destination, o.currency, sum(o.stated - o.remaining)::bigint, count(*) FROM overstated AS o
    JOIN deliveries AS d ON d.id = o.delivery AND d.workspace = o.workspace
    WHERE o.workspace = $1 AND o.stated > o.remaining AND (d.state = 'delivered' OR d.arrived_at IS NOT NULL)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

impl Postgres {
    pub(crate) async fn open_reversals(&self, limit: u32) -> Result<Vec<OpenReversal>, StoreError> {
        let open = self.engine.read(OPEN, &[&WORKSPACE, &i64::from(limit)]).await?;
        let read = |row| {
            Ok(OpenReversal {
                conversion: ConversionId::from_bytes(rows::get::<Id>(row, 0)?.0),
                sequence: u32::try_from(rows::count(row, 1)?)
                    .map_err(|_| StoreError::Corrupt("a sequence is none".into()))?,
                mark: rows::id(row, 2)?,
            })
        };
        open.iter().map(read).collect()
    }

    pub(crate) async fn withdraw_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let ids = ids.into_iter().map(Id::from).collect();
        let turn = Turn { statement: WITHDRAW, open, ids, reason, now };
        Ok(self.engine.transact(&turn, each).await?.unwrap_or(0))
    }

    pub(crate) async fn restore_deliveries(
        &self,
        open: OpenReversal,
        ids: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let ids = ids.into_iter().map(Id::from).collect();
        let turn = Turn { statement: RESTORE, open, ids, reason: Reason::TakenBack, now };
        Ok(self.engine.transact(&turn, each).await?.unwrap_or(0))
    }

    pub(crate) async fn follow_reversal(
        &self,
        open: OpenReversal,
        follows: Follows,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Follows { events, deliveries, overstated } = &follows;
        let stored: Vec<String> =
            events.iter().map(|event| rows::to_json(&event.event)).collect::<Result<_, _>>()?;
        let (conversion, sequence, now) =
            (Id::from(open.conversion), i64::from(open.sequence), now.as_millis());
        let event_ids: Vec<Id> = events.iter().map(|event| Id::from(event.id)).collect();
        let goals: Vec<Text<'_>> = events.iter().map(|event| Text(&event.goal)).collect();
        let sequences: Vec<i64> = events.iter().map(|event| i64::from(event.sequence)).collect();
        let names: Vec<Text<'_>> = events.iter().map(|event| Text(&event.event.event_name)).collect();
        let sent_ids: Vec<Text<'_>> = events.iter().map(|event| Text(&event.event.event_id)).collect();
        let stored: Vec<Text<'_>> = stored.iter().map(|text| Text(text)).collect();
        let created: Vec<i64> = events.iter().map(|event| event.created_at.as_millis()).collect();
        let ids: Vec<Id> = deliveries.iter().map(|one| Id::from(one.id)).collect();
        let of: Vec<Id> = deliveries.iter().map(|one| Id::from(one.goal_event)).collect();
        let to: Vec<Text<'_>> = deliveries.iter().map(|one| Text(&one.destination)).collect();
        let due: Vec<i64> = deliveries.iter().map(|one| one.due_at.as_millis()).collect();
        let deadlines: Vec<i64> = deliveries.iter().map(|one| one.deadline_at.as_millis()).collect();
        let told: Vec<Id> = overstated.iter().map(|one| Id::from(one.delivery)).collect();
        let told_to: Vec<Text<'_>> = overstated.iter().map(|one| Text(&one.destination)).collect();
        let campaigns: Vec<Text<'_>> = overstated.iter().map(|one| Text(&one.campaign)).collect();
        let currencies: Vec<&str> = overstated.iter().map(|one| one.currency.code()).collect();
        let amounts: Vec<i64> = overstated.iter().map(|one| one.stated).collect();
        let remaining: Vec<i64> = overstated.iter().map(|one| one.remaining).collect();
        let mark = Id(open.mark);
        let values: [&Value<'_>; 23] = [
            &WORKSPACE,
            &conversion,
            &sequence,
            &now,
            &event_ids,
            &goals,
            &sequences,
            &names,
            &sent_ids,
            &stored,
            &ids,
            &of,
            &to,
            &due,
            &deadlines,
            &told,
            &told_to,
            &campaigns,
            &currencies,
            &amounts,
            &remaining,
            &created,
            &mark,
        ];
        let taken = self.engine.write(FOLLOW, &values).await?;
        Ok(taken.first().map_or(Ok(0), |row| rows::count(row, 0))? == 1)
    }

    pub(crate) async fn overstated(&self) -> Result<Vec<OverstatedSum>, StoreError> {
        let sums = self.engine.read(OVERSTATED, &[&WORKSPACE]).await?;
        let read = |row| {
            Ok(OverstatedSum {
                campaign: rows::get(row, 0)?,
                destination: rows::get(row, 1)?,
                currency: rows::get(row, 2)?,
                minor: rows::get(row, 3)?,
                deliveries: rows::count(row, 4)?,
            })
        };
        sums.iter().map(read).collect()
    }
}

/// Deliveries that go from one state to another, as long as the reversal is as it was read.
struct Turn {
    statement: &'static str,
    open: OpenReversal,
    ids: Vec<Id>,
    reason: Reason,
    now: Timestamp,
}

/// Moves them; how many there were in the first state.
fn each<'t>(transaction: &'t Transaction, turn: &'t Turn) -> InTransaction<'t, u64> {
    Box::pin(async move {
        transaction.execute(LOCK, &[&WORKSPACE, &turn.ids]).await?;
        let (conversion, sequence) = (Id::from(turn.open.conversion), i64::from(turn.open.sequence));
        let as_read: [&Value<'_>; 4] = [&WORKSPACE, &conversion, &sequence, &Id(turn.open.mark)];
        if transaction.query_opt(IS_OPEN, &as_read).await?.is_none() {
            return Ok(None);
        }
        let values: [&Value<'_>; 4] = [&WORKSPACE, &turn.ids, &turn.now.as_millis(), &turn.reason.code()];
        let moved = transaction.query_one(turn.statement, &values).await?;
        Ok(Some(rows::count(&moved, 0)?))
    })
}

/// Notes which reversals are to be followed. Most batches have none.
pub(super) async fn note(transaction: &Transaction, bookings: &[&Booking]) -> Result<(), Fault> {
    let reversed = bookings.iter().filter(|booking| booking.reverses);
    let moved = reversed.filter_map(|booking| booking.conversion.as_ref()).map(ConversionChange::conversion);
    let (ids, sequences): (Vec<Id>, Vec<i64>) =
        moved.map(|conversion| (Id::from(conversion.id), i64::from(conversion.movements))).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(NOTE).await?;
    let values: [&Value<'_>; 3] = [&WORKSPACE, &ids, &sequences];
    transaction.execute(&statement, &values).await?;
    Ok(())
}
