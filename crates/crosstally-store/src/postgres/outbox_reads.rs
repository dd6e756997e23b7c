//! Looking into the outbox.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::ids::{ConversionId, DeliveryId, GoalEventId};
use crosstally_core::time::{DAY_MS, Timestamp};

use super::rows::{Id, Text};
use super::transact::{Value, Values};
use super::{Postgres, rows};
use crate::outbox_reads::{earliest_id, hour_of, hour_text};
use crate::{
    AttemptRecord, DayCount, DeliveredHour, DeliveryFilter, DeliveryRecord, OutboxCount, Places, StoreError,
    WORKSPACE,
};

/// When the first of each lane can be leased: the index orders by lane before it orders by time.
macro_rules! next_due {
    ($destination:literal) => {
        concat!(
            "SELECT min(at) FROM (SELECT min(available_at) AS at FROM deliveries
            WHERE workspace = $1 AND destination = ",
            $destination,
            " AND state = 'pending' AND lane = 0
            UNION ALL SELECT min(available_at) FROM deliveries WHERE workspace = $1 AND destination = ",
            $destination,
            " AND state = 'pending' AND lane = 1
            UNION ALL SELECT min(available_at) FROM deliveries WHERE workspace = $1 AND destination = ",
            $destination,
            " AND state = 'pending' AND lane = 2) AS lanes"
        )
    };
}

const NEXT_DUE: &str = next_due!("$2");

const COUNTS: &str = concat!(
    "SELECT c.destination, c.state, c.count, CASE WHEN c.state = 'pending' THEN (",
    next_due!("c.destination"),
    ") END
    FROM (
        SELECT destination, state, sum(count)::bigint AS count FROM delivery_counts WHERE workspace = $1
        GROUP BY destination, state
    ) AS c
    WHERE c.count > 0 ORDER BY c.destination, c.state"
);

// Ids begin with the time at which their event was made, so a span of days is a range of ids.
const DAYS: &str =
    "SELECT coalesce(e.created_at, d.created_at) / 86400000, d.destination, coalesce(e.event_name, ''),
        count(*) FILTER (WHERE d.state = 'delivered' OR d.arrived_at IS NOT NULL),
        count(*) FILTER (WHERE d.state IN ('dead', 'expired', 'cancelled')
            AND coalesce(d.reason, '') NOT IN
                ('consent_denied', 'taken_back', 'nothing_to_adjust', 'stands_again', 'erased')),
        count(*) FILTER (WHERE d.state = 'pending' AND d.arrived_at IS NULL), sum(d.attempts)::bigint
    FROM deliveries AS d LEFT JOIN goal_events AS e ON e.id = d.goal_event
    WHERE d.workspace = $1 AND d.id >= $2 AND d.id < $3
    GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3";

// The time stands in the event as text in UTC, so that its hours sort like text; ids sort by their bytes, whatever the
// database's own order of texts. It is cut out of the text, where it comes before anything else of that name: as JSON the
// server reads no text with `\u0000` in it, and anybody's click can bring one.
macro_rules! hours {
    ($condition:literal) => {
        concat!(
            "SELECT destination, hour, count(*), encode(sha256(convert_to(
                string_agg(event_id, E'\\n' ORDER BY event_id COLLATE \"C\"), 'UTF8')), 'hex')
            FROM (
                SELECT DISTINCT d.destination, substring(e.event FROM '\"event_time\":\"([^\"]{13})') AS hour, e.event_id
                FROM deliveries AS d JOIN goal_events AS e ON e.id = d.goal_event
                WHERE d.workspace = $1 AND d.id >= $2 AND (d.state = 'delivered' OR d.arrived_at IS NOT NULL)",
            $condition,
            ") AS arrived
            WHERE hour COLLATE \"C\" >= $3 AND hour COLLATE \"C\" < $4
            GROUP BY destination, hour ORDER BY destination COLLATE \"C\", hour COLLATE \"C\""
        )
    };
}

const HOURS: &str = hours!("");
const HOURS_OF: &str = hours!(" AND d.destination = $5");

impl Postgres {
    pub(crate) async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        Ok(self.deliveries("d.id = $2", &[&WORKSPACE, &Id::from(id)]).await?.pop())
    }

    pub(crate) async fn deliveries_of_conversion(
        &self,
        id: ConversionId,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let mut deliveries = Vec::new();
        for event in self.goal_events_met(id).await? {
            let event = GoalEventId::from_bytes(event.0);
            let (first, last) = (DeliveryId::of(event, 0), DeliveryId::of(event, u32::MAX));
            let condition = "d.id BETWEEN $2 AND $3 AND d.goal_event = $4 ORDER BY d.id";
            let range: [&Value<'_>; 4] = [&WORKSPACE, &Id::from(first), &Id::from(last), &Id::from(event)];
            deliveries.extend(self.deliveries(condition, &range).await?);
        }
        deliveries.sort_by_key(|delivery| delivery.id);
        Ok(deliveries)
    }

    pub(crate) async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRecord>, StoreError> {
        let ask = format!(
            "SELECT {} FROM attempts AS a JOIN calls AS c ON c.id = a.call
            WHERE a.workspace = $1 AND a.delivery = $2 ORDER BY a.number",
            rows::ATTEMPT
        );
        self.engine.read(&ask, &[&WORKSPACE, &Id::from(id)]).await?.iter().map(rows::attempt).collect()
    }

    pub(crate) async fn list_deliveries(
        &self,
        filter: DeliveryFilter,
        places: Places,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let (among, slugs) = match places {
            Places::All => ("", Vec::new()),
            Places::Only(slugs) => ("= ANY", slugs),
            Places::AllBut(slugs) => ("<> ALL", slugs),
        };
        let (before, id, limit) = (before.map(Id::from), filter.id.map(Id::from), i64::from(limit));
        let destination = filter.destination.as_deref().map(Text);
        let mut condition = "true".to_owned();
        let mut values: Vec<&Value<'_>> = vec![&WORKSPACE, &limit];
        if let Some(state) = filter.state {
            // As text, not as a value: only so is a partial index found to fit.
            condition.push_str(&format!(" AND d.state = '{state}'"));
        }
        if let Some(destination) = &destination {
            values.push(destination);
            condition.push_str(&format!(" AND d.destination = ${}", values.len()));
        }
        if let Some(id) = &id {
            values.push(id);
            condition.push_str(&format!(" AND d.id = ${}", values.len()));
        }
        if !among.is_empty() {
            values.push(&slugs);
            condition.push_str(&format!(" AND d.destination {among} (${}::text[])", values.len()));
        }
        if let Some(before) = &before {
            values.push(before);
            condition.push_str(&format!(" AND d.id < ${}", values.len()));
        }
        condition.push_str(" ORDER BY d.id DESC LIMIT $2");
        self.deliveries(&condition, &values).await
    }

    pub(crate) async fn next_due(&self, destination: String) -> Result<Option<Timestamp>, StoreError> {
        let next = self.engine.read(NEXT_DUE, &[&WORKSPACE, &Text(&destination)]).await?;
        next.first().map_or(Ok(None), |row| rows::optional_time(row, 0))
    }

    pub(crate) async fn count_deliveries(&self) -> Result<Vec<OutboxCount>, StoreError> {
        let counts = self.engine.read(COUNTS, &[&WORKSPACE]).await?;
        let read = |row| {
            Ok(OutboxCount {
                destination: rows::get(row, 0)?,
                state: rows::word(row, 1, DeliveryState::from_word)?,
                count: rows::count(row, 2)?,
                oldest_due_at: rows::optional_time(row, 3)?.unwrap_or_default(),
            })
        };
        counts.iter().map(read).collect()
    }

    pub(crate) async fn delivery_days(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DayCount>, StoreError> {
        let at = |time| Id::from(DeliveryId::new(time, [0; 10]));
        let read = |row| {
            Ok(DayCount {
                day: Timestamp::from_millis(rows::get::<i64>(row, 0)?.saturating_mul(DAY_MS)),
                destination: rows::get(row, 1)?,
                event_name: rows::get(row, 2)?,
                delivered: rows::count(row, 3)?,
                failed: rows::count(row, 4)?,
                open: rows::count(row, 5)?,
                attempts: rows::count(row, 6)?,
            })
        };
        self.engine.read(DAYS, &[&WORKSPACE, &at(from), &at(to)]).await?.iter().map(read).collect()
    }

    pub(crate) async fn delivered_hours(
        &self,
        destination: Option<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DeliveredHour>, StoreError> {
        let (first, begins, ends) = (Id::from(earliest_id(from)), hour_text(from), hour_text(to));
        let values: &Values<'_> = &[&WORKSPACE, &first, &Text(&begins), &Text(&ends)];
        let rows = match destination.as_deref().map(Text) {
            None => self.engine.read(HOURS, values).await?,
            Some(destination) => {
                self.engine.read(HOURS_OF, &[values, &[&destination as &Value]].concat()).await?
            }
        };
        let read = |row| {
            Ok(DeliveredHour {
                destination: rows::get(row, 0)?,
                hour: hour_of(&rows::get::<String>(row, 1)?)?,
                events: rows::count(row, 2)?,
                sha256: rows::get(row, 3)?,
            })
        };
        rows.iter().map(read).collect()
    }

    async fn deliveries(
        &self,
        condition: &str,
        values: &Values<'_>,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let ask = format!(
            "SELECT {} FROM deliveries AS d
            LEFT JOIN goal_events AS g ON g.id = d.goal_event
            WHERE d.workspace = $1 AND {condition}",
            rows::DELIVERY
        );
        self.engine.read(&ask, values).await?.iter().map(rows::delivery).collect()
    }
}
