//! Looking into the outbox.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::delivery::digest::IdsDigest;
use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::time::{DAY_MS, Timestamp};
use rusqlite::{Connection, Params, ToSql, params};

use super::{Sqlite, conversions, rows};
use crate::outbox_reads::{earliest_id, hour_of, hour_text};
use crate::{
    AttemptRecord, DayCount, DeliveredHour, DeliveryFilter, DeliveryRecord, OutboxCount, Places, StoreError,
    WORKSPACE,
};

// The first of each lane: the index orders by lane before it orders by time.
pub(super) const NEXT_DUE: &str = "SELECT min(at) FROM (
        SELECT min(available_at) AS at FROM deliveries
        WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = 0
        UNION ALL SELECT min(available_at) FROM deliveries
        WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = 1
        UNION ALL SELECT min(available_at) FROM deliveries
        WHERE workspace = ?1 AND destination = ?2 AND state = 'pending' AND lane = 2
    )";

// Ids begin with the time at which their event was made, so a span of days is a range of ids.
const DAYS: &str =
    "SELECT coalesce(e.created_at, d.created_at) / 86400000, d.destination, coalesce(e.event_name, ''),
        sum(d.state = 'delivered' OR d.arrived_at IS NOT NULL), sum(d.state IN ('dead', 'expired', 'cancelled') 
            AND coalesce(d.reason, '') NOT IN
                ('consent_denied', 'taken_back', 'nothing_to_adjust', 'stands_again', 'erased')),
        sum(d.state = 'pending' AND d.arrived_at IS NULL),
        sum(d.attempts)
    FROM deliveries AS d LEFT JOIN goal_events AS e ON e.id = d.goal_event
    WHERE d.workspace = ?1 AND d.id >= ?2 AND d.id < ?3
    GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3";

// The time stands in the event as text in UTC, so that its hours sort like text.
const HOURS: &str =
    "SELECT DISTINCT d.destination, substr(json_extract(e.event, '$.event_time'), 1, 13) AS hour, e.event_id
    FROM deliveries AS d JOIN goal_events AS e ON e.id = d.goal_event
    WHERE d.workspace = :workspace AND d.id >= :first AND (d.state = 'delivered' OR d.arrived_at IS NOT NULL) AND hour >= :from AND hour < :to";

/// Before every id there can be.
const PAST_THE_LAST: &[u8] = &[0xff; 17];

impl Sqlite {
    pub(crate) async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let work = move |connection: &Connection| Ok(list(connection, "d.id = ?1", [id.as_bytes()])?.pop());
        self.engine.read(work).await
    }

    pub(crate) async fn deliveries_of_conversion(
        &self,
        id: ConversionId,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let condition = "d.id BETWEEN ?1 AND ?2 AND d.goal_event = ?3 ORDER BY d.id";
        let work = move |connection: &Connection| {
            let mut deliveries = Vec::new();
            for event in conversions::goal_events_met(connection, id)? {
                let (first, last) = (DeliveryId::of(event, 0), DeliveryId::of(event, u32::MAX));
                let range = params![first.as_bytes(), last.as_bytes(), event.as_bytes()];
                deliveries.extend(list(connection, condition, range)?);
            }
            deliveries.sort_by_key(|delivery| delivery.id);
            Ok(deliveries)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRecord>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(&attempts_of_delivery())?;
            let attempts = ask.query_map([id.as_bytes()], rows::attempt)?;
            Ok(attempts.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
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
            Places::Only(slugs) => (" AND destination IN (SELECT value FROM json_each(:slugs))", slugs),
            Places::AllBut(slugs) => (" AND destination NOT IN (SELECT value FROM json_each(:slugs))", slugs),
        };
        let slugs = rows::to_json(&slugs)?;
        let work = move |connection: &Connection| {
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            let id = filter.id.as_ref().map(DeliveryId::as_bytes);
            let mut page = format!(
                "SELECT id FROM deliveries {} WHERE workspace = :workspace AND id < :before",
                index_for(&filter)
            );
            let mut values: Vec<(&str, &dyn ToSql)> =
                vec![(":workspace", &WORKSPACE), (":before", &before), (":limit", &limit)];
            if let Some(state) = filter.state {
                // As text, not as a value: only so is a partial index found to fit.
                page.push_str(&format!(" AND state = '{state}'"));
            }
            if let Some(destination) = &filter.destination {
                page.push_str(" AND destination = :destination");
                values.push((":destination", destination));
            }
            if let Some(id) = &id {
                page.push_str(" AND id = :id");
                values.push((":id", id));
            }
            if !among.is_empty() {
                page.push_str(among);
                values.push((":slugs", &slugs));
            }
            // First the ids, out of an index alone; then the rows of this one page.
            let condition = format!("d.id IN ({page} ORDER BY id DESC LIMIT :limit) ORDER BY d.id DESC");
            list(connection, &condition, &*values)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn next_due(&self, destination: String) -> Result<Option<Timestamp>, StoreError> {
        self.engine.read(move |connection| next_due(connection, &destination)).await
    }

    pub(crate) async fn delivery_days(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DayCount>, StoreError> {
        let work = move |connection: &Connection| {
            let at = |time| *DeliveryId::new(time, [0; 10]).as_bytes();
            let mut ask = connection.prepare_cached(DAYS)?;
            let days = ask.query_map(params![WORKSPACE, at(from), at(to)], |row| {
                Ok(DayCount {
                    day: Timestamp::from_millis(row.get::<_, i64>(0)?.saturating_mul(DAY_MS)),
                    destination: row.get(1)?,
                    event_name: row.get(2)?,
                    delivered: rows::number(row, 3)?,
                    failed: rows::number(row, 4)?,
                    open: rows::number(row, 5)?,
                    attempts: rows::number(row, 6)?,
                })
            })?;
            Ok(days.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn delivered_hours(
        &self,
        destination: Option<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DeliveredHour>, StoreError> {
        let work = move |connection: &Connection| {
            let (first, begins, ends) = (earliest_id(from), hour_text(from), hour_text(to));
            let first = first.as_bytes();
            let mut values: Vec<(&str, &dyn ToSql)> =
                vec![(":workspace", &WORKSPACE), (":first", &first), (":from", &begins), (":to", &ends)];
            let mut ask = HOURS.to_owned();
            if let Some(destination) = &destination {
                ask.push_str(" AND d.destination = :destination");
                values.push((":destination", destination));
            }
            ask.push_str(" ORDER BY 1, 2, 3");
            let mut ask = connection.prepare_cached(&ask)?;
            let mut ids = ask.query(&*values)?;
            let mut hours = Hours::default();
            while let Some(row) = ids.next()? {
                let text = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
                hours.push(text(0)?, text(1)?, text(2)?)?;
            }
            hours.finish()
        };
        self.engine.read(work).await
    }

    pub(crate) async fn count_deliveries(&self) -> Result<Vec<OutboxCount>, StoreError> {
        self.engine.read(count).await
    }
}

/// Its attempts in their order: those in rows of their own, and those in the rows of their calls.
pub(super) fn attempts_of_delivery() -> String {
    format!(
        "SELECT {} FROM (
            SELECT number, call, outcome, reason, payload FROM attempts WHERE delivery = ?1
            UNION ALL SELECT number, id, outcome, reason, payload FROM calls WHERE delivery = ?1
        ) AS a JOIN calls AS c ON c.id = a.call ORDER BY a.number",
        rows::ATTEMPT
    )
}

/// Which index to walk. Left alone, the database would rather walk a destination's millions of delivered ones in order,
/// looking for a few that wait or failed, than sort those few.
fn index_for(filter: &DeliveryFilter) -> &'static str {
    match (filter.id, filter.state) {
        (None, Some(DeliveryState::Pending)) => "INDEXED BY deliveries_pending",
        (None, Some(DeliveryState::Dead | DeliveryState::Expired | DeliveryState::Cancelled)) => {
            "INDEXED BY deliveries_unsent"
        }
        (Some(_), _) | (None, None | Some(DeliveryState::Delivered)) => "",
    }
}

/// Rows that come in order, an hour of a destination after the other: no more than one is held.
#[derive(Default)]
struct Hours {
    done: Vec<DeliveredHour>,
    open: Option<(String, String, IdsDigest)>,
}

impl Hours {
    fn push(&mut self, destination: &str, hour: &str, id: &str) -> Result<(), StoreError> {
        if self.open.as_ref().is_none_or(|(of, at, _)| of != destination || at != hour) {
            self.close()?;
            self.open = Some((destination.to_owned(), hour.to_owned(), IdsDigest::default()));
        }
        if let Some((_, _, digest)) = &mut self.open {
            digest.push(id);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if let Some((destination, hour, digest)) = self.open.take() {
            let (events, sha256) = digest.finish();
            self.done.push(DeliveredHour { destination, hour: hour_of(&hour)?, events, sha256 });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<DeliveredHour>, StoreError> {
        self.close()?;
        Ok(self.done)
    }
}

fn list(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let ask = format!(
        "SELECT {} FROM deliveries AS d LEFT JOIN goal_events AS g ON g.id = d.goal_event WHERE {condition}",
        rows::DELIVERY
    );
    let mut ask = connection.prepare_cached(&ask)?;
    let deliveries = ask.query_map(values, rows::delivery)?;
    Ok(deliveries.collect::<rusqlite::Result<_>>()?)
}

fn next_due(connection: &Connection, destination: &str) -> Result<Option<Timestamp>, StoreError> {
    let next: Option<i64> =
        connection.prepare_cached(NEXT_DUE)?.query_row(params![WORKSPACE, destination], |row| row.get(0))?;
    Ok(next.map(Timestamp::from_millis))
}

fn count(connection: &Connection) -> Result<Vec<OutboxCount>, StoreError> {
    // Two questions over one view.
    let view = connection.unchecked_transaction()?;
    let mut ask = view.prepare_cached(
        "SELECT destination, state, count FROM delivery_counts WHERE workspace = ?1 AND count > 0
        ORDER BY destination, state",
    )?;
    let found: Vec<(String, String, u64)> = ask
        .query_map([WORKSPACE], |row| Ok((row.get(0)?, row.get(1)?, rows::number(row, 2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    found
        .into_iter()
        .map(|(destination, state, count)| {
            let state = DeliveryState::from_word(&state)
                .ok_or_else(|| StoreError::Corrupt("delivery_counts.state".into()))?;
            let oldest_due_at = match state {
                DeliveryState::Pending => next_due(&view, &destination)?.unwrap_or_default(),
                _ => Timestamp::default(),
            };
            Ok(OutboxCount { destination, state, count, oldest_due_at })
        })
        .collect()
}
