//! Conversions, their movements and goal events, to be read. They are written with the postback that moved them.

use crosstally_core::conversion::Conversion;
use crosstally_core::ids::{ClickId, ConversionId, GoalEventId};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::route::GoalEvent;
use rusqlite::{Connection, Params, params};

use super::{Sqlite, rows};
use crate::{StoreError, WORKSPACE};

/// Before every id there can be.
const PAST_THE_LAST: &[u8] = &[0xff; 17];

impl Sqlite {
    pub(crate) async fn conversion(&self, id: ConversionId) -> Result<Option<Conversion>, StoreError> {
        let work = move |connection: &Connection| {
            Ok(list(connection, "id = ?1 ORDER BY id LIMIT 1", [id.as_bytes()])?.pop())
        };
        self.engine.read(work).await
    }

    pub(crate) async fn conversions_of_click(
        &self,
        id: ClickId,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        let condition = "id IN (SELECT conversion FROM click_links WHERE click = ?1) AND click = ?1
            ORDER BY id LIMIT ?2";
        self.engine.read(move |connection| list(connection, condition, params![id.as_bytes(), limit])).await
    }

    pub(crate) async fn conversions_of_transaction(
        &self,
        partner: String,
        transaction_id: String,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        // The dedupe key of a conversion with a transaction id begins with it, and whatever follows comes after a line
        // feed: the index of the keys serves both, and an index of its own would cost a page per postback.
        let condition = "workspace = ?1 AND partner = ?2 AND dedupe_key >= 't:' || ?3
            AND dedupe_key < 't:' || ?3 || char(11) AND transaction_id = ?3 ORDER BY id LIMIT ?4";
        let work = move |connection: &Connection| {
            list(connection, condition, params![WORKSPACE, partner, transaction_id, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn list_conversions(
        &self,
        before: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        let work = move |connection: &Connection| {
            let before = before.as_ref().map_or(PAST_THE_LAST, |id| id.as_bytes());
            list(connection, "id < ?1 ORDER BY id DESC LIMIT ?2", params![before, limit])
        };
        self.engine.read(work).await
    }

    pub(crate) async fn entries(&self, id: ConversionId) -> Result<Vec<LedgerEntry>, StoreError> {
        let work = move |connection: &Connection| {
            let ask =
                format!("SELECT {} FROM ledger_entries WHERE conversion = ?1 ORDER BY sequence", rows::ENTRY);
            let mut ask = connection.prepare_cached(&ask)?;
            let entries = ask.query_map([id.as_bytes()], rows::entry)?;
            Ok(entries.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn goal_event(&self, id: GoalEventId) -> Result<Option<GoalEvent>, StoreError> {
        let work = move |connection: &Connection| {
            Ok(goal_events(connection, "id = ?1 ORDER BY id LIMIT 1", [id.as_bytes()])?.pop())
        };
        self.engine.read(work).await
    }

    pub(crate) async fn goal_events_of_conversion(
        &self,
        id: ConversionId,
    ) -> Result<Vec<GoalEvent>, StoreError> {
        let work = move |connection: &Connection| {
            let mut events = Vec::new();
            for event in goal_events_met(connection, id)? {
                events.extend(goal_events(connection, "id = ?1 ORDER BY id LIMIT 1", [event.as_bytes()])?);
            }
            Ok(events)
        };
        self.engine.read(work).await
    }
}

/// The goal events of a conversion, oldest first: it has their ids itself.
pub(super) fn goal_events_met(
    connection: &Connection,
    id: ConversionId,
) -> Result<Vec<GoalEventId>, StoreError> {
    let conversion = list(connection, "id = ?1 LIMIT 1", [id.as_bytes()])?.pop();
    let met = conversion.map(|conversion| conversion.goals_met).unwrap_or_default();
    let mut events: Vec<GoalEventId> = met.iter().map(|met| met.event).collect();
    events.extend(adjustments(connection, id)?);
    events.sort_unstable();
    Ok(events)
}

/// The events of a conversion that follow from its reversals.
pub(super) fn adjustments(connection: &Connection, id: ConversionId) -> Result<Vec<GoalEventId>, StoreError> {
    let mut ask = connection.prepare_cached("SELECT goal_event FROM adjustments WHERE conversion = ?1")?;
    let adjusted = ask.query_map([id.as_bytes()], |row| Ok(GoalEventId::from_bytes(row.get(0)?)))?;
    Ok(adjusted.collect::<rusqlite::Result<_>>()?)
}

fn list(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<Conversion>, StoreError> {
    let ask = format!("SELECT {} FROM conversions WHERE {condition}", rows::CONVERSION);
    let mut ask = connection.prepare_cached(&ask)?;
    let conversions = ask.query_map(values, rows::conversion)?;
    Ok(conversions.collect::<rusqlite::Result<_>>()?)
}

fn goal_events(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<GoalEvent>, StoreError> {
    let ask = format!("SELECT {} FROM goal_events WHERE {condition}", rows::GOAL_EVENT);
    let mut ask = connection.prepare_cached(&ask)?;
    let events = ask.query_map(values, rows::goal_event)?;
    Ok(events.collect::<rusqlite::Result<_>>()?)
}
