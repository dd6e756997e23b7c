//! Looking at what browsers told beside what the server sent.

use std::collections::BTreeSet;

use crosstally_core::consent::{Choice, Consent};
use crosstally_core::conversion::{DedupeKey, GoalMet};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::hybrid::Told;
use crosstally_core::ids::{ClickId, ConversionId, DeliveryId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, rows};
use crate::hybrid::{clicks_of, deliveries_of};
use crate::{SentEvent, SentPage, StoreError, ToldClick, WORKSPACE};

pub(super) const SENT: &str = "SELECT id, destination, state, reason, finished_at, goal_event, conversion
    FROM deliveries WHERE workspace = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
pub(super) const EVENT: &str = "SELECT e.created_at, e.goal, e.event_name, e.event_id, json_extract(e.event, '$.from'),
        json_extract(e.event, '$.adjustment') IS NOT NULL, c.partner, c.dedupe_key, c.click, c.campaign, c.goals_met
    FROM goal_events AS e JOIN conversions AS c ON c.id = e.conversion WHERE e.id = ?1";
const NAME: &str = "SELECT event_name, event_id FROM goal_events WHERE id = ?1";
pub(super) const TOLD: &str =
    "SELECT name, event_id, at, consent, taken_partner, taken_key, campaign FROM browser_events
    WHERE click = coalesce((SELECT click FROM browser_events
        WHERE workspace = ?1 AND taken_partner = ?2 AND taken_key = ?3 LIMIT 1), ?4)
    ORDER BY at, name, event_id";
pub(super) const CLICKS: &str =
    "SELECT DISTINCT click FROM browser_events WHERE click >= ?1 AND click < ?2 AND workspace = ?3
    ORDER BY click DESC LIMIT ?4";
const OF_CLICK: &str =
    "SELECT name, event_id, at, consent, taken_partner, taken_key, campaign FROM browser_events
    WHERE click = ?1 ORDER BY at, name, event_id";
pub(super) const CONVERSIONS: &str = "SELECT goals_met FROM conversions
    WHERE id IN (SELECT conversion FROM click_links WHERE click = ?1) AND click = ?1";
const GOES_TO: &str = "SELECT destination FROM deliveries WHERE id BETWEEN ?1 AND ?2 AND goal_event = ?3";

impl Sqlite {
    pub(crate) async fn sent_events(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<SentPage, StoreError> {
        let wanted: BTreeSet<String> = destinations.into_iter().collect();
        let work = move |connection: &Connection| {
            let (first, end) = deliveries_of(span, before);
            let mut ask = connection.prepare_cached(SENT)?;
            let found = ask.query_map(params![WORKSPACE, first.as_bytes(), end.as_bytes(), limit], sent)?;
            let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
            let is_full = u32::try_from(found.len()).is_ok_and(|rows| rows == limit);
            let next = found.last().filter(|_| is_full).map(|sent| sent.id);
            let mut page = SentPage { rows: Vec::new(), next };
            for sent in found.into_iter().filter(|sent| wanted.contains(&sent.destination)) {
                page.rows.extend(event(connection, sent)?);
            }
            Ok(page)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn told_clicks(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        from: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ToldClick>, StoreError> {
        let wanted: BTreeSet<String> = destinations.into_iter().collect();
        let work = move |connection: &Connection| {
            let (first, end) = clicks_of(span, from);
            let mut ask = connection.prepare_cached(CLICKS)?;
            let found = ask
                .query_map(params![first.as_bytes(), end.as_bytes(), WORKSPACE, limit], |row| {
                    Ok(ClickId::from_bytes(row.get(0)?))
                })?;
            let mut clicks = Vec::new();
            for click in found {
                clicks.push(told_of(connection, click?, &wanted)?);
            }
            Ok(clicks)
        };
        self.engine.read(work).await
    }
}

/// A delivery, before it is known what it is about.
struct Found {
    id: DeliveryId,
    destination: String,
    state: DeliveryState,
    reason: Option<Reason>,
    finished_at: Option<Timestamp>,
    goal_event: GoalEventId,
    conversion: ConversionId,
}

fn sent(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: DeliveryId::from_bytes(row.get(0)?),
        destination: row.get(1)?,
        state: rows::word(row, 2, DeliveryState::from_word)?,
        reason: rows::optional(row, 3, Reason::from_code)?,
        finished_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
        goal_event: GoalEventId::from_bytes(row.get(5)?),
        conversion: ConversionId::from_bytes(row.get(6)?),
    })
}

/// All about a delivery; nothing if it adjusts a sale.
fn event(connection: &Connection, sent: Found) -> Result<Option<SentEvent>, StoreError> {
    let Found { id, destination, state, reason, finished_at, goal_event, conversion } = sent;
    let read = |row: &Row<'_>| {
        let event = SentEvent {
            id,
            destination,
            state,
            reason,
            finished_at,
            created_at: rows::time(row, 0)?,
            goal: row.get(1)?,
            event_name: row.get(2)?,
            event_id: row.get(3)?,
            action_source: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
            conversion,
            key: DedupeKey { partner: row.get(6)?, key: row.get(7)? },
            click: row.get::<_, Option<_>>(8)?.map(ClickId::from_bytes),
            campaign: row.get(9)?,
            beside: Vec::new(),
            told: Vec::new(),
        };
        Ok((event, row.get::<_, bool>(5)?, rows::json::<Vec<GoalMet>>(row, 10)?))
    };
    let found = connection.prepare_cached(EVENT)?.query_row([goal_event.as_bytes()], read).optional()?;
    let Some((mut event, adjusts, goals_met)) = found else { return Ok(None) };
    if adjusts {
        return Ok(None);
    }
    event.beside = names(connection, &goals_met)?;
    let click = event.click.as_ref().map(ClickId::as_bytes);
    let mut ask = connection.prepare_cached(TOLD)?;
    let told = ask.query_map(params![WORKSPACE, event.key.partner, event.key.key, click], |row| {
        told(row, Some(&event.key)).map(|(told, _)| told)
    })?;
    event.told = told.collect::<rusqlite::Result<_>>()?;
    Ok(Some(event))
}

fn names(connection: &Connection, goals_met: &[GoalMet]) -> Result<Vec<(String, String)>, StoreError> {
    let mut ask = connection.prepare_cached(NAME)?;
    let mut names = Vec::new();
    for met in goals_met {
        names.extend(ask.query_row([met.event.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?);
    }
    Ok(names)
}

fn told_of(
    connection: &Connection,
    click: ClickId,
    wanted: &BTreeSet<String>,
) -> Result<ToldClick, StoreError> {
    let mut ask = connection.prepare_cached(OF_CLICK)?;
    let found = ask.query_map([click.as_bytes()], |row| told(row, None))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let campaign = found.first().map(|(_, campaign)| campaign.clone()).unwrap_or_default();
    let mut ask = connection.prepare_cached(CONVERSIONS)?;
    let met = ask.query_map([click.as_bytes()], |row| rows::json::<Vec<GoalMet>>(row, 0))?;
    let met = met.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut sent = Vec::new();
    for met in met.iter().flatten() {
        let (first, last) = (DeliveryId::of(met.event, 0), DeliveryId::of(met.event, u32::MAX));
        let mut ask = connection.prepare_cached(GOES_TO)?;
        let range = params![first.as_bytes(), last.as_bytes(), met.event.as_bytes()];
        let to = ask.query_map(range, |row| row.get::<_, String>(0))?;
        if to.collect::<rusqlite::Result<Vec<_>>>()?.iter().any(|destination| wanted.contains(destination)) {
            sent.extend(names(connection, std::slice::from_ref(met))?);
        }
    }
    Ok(ToldClick { click, campaign, told: found.into_iter().map(|(told, _)| told).collect(), sent })
}

/// An event and the campaign that its page named. `own` is the conversion that asks.
fn told(row: &Row<'_>, own: Option<&DedupeKey>) -> rusqlite::Result<(Told, String)> {
    let consent: Consent = rows::json(row, 3)?;
    let taken = row.get::<_, Option<String>>(4)?.zip(row.get::<_, Option<String>>(5)?);
    let is_others =
        |(partner, key): (String, String)| own.is_some_and(|own| own.partner != partner || own.key != key);
    let told = Told {
        name: row.get(0)?,
        event_id: row.get(1)?,
        at: rows::time(row, 2)?,
        denied: consent.user_data() == Some(Choice::Denied),
        is_anothers: taken.is_some_and(is_others),
    };
    Ok((told, row.get(6)?))
}
