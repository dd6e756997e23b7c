//! What browsers tell of clicks.

use crosstally_core::browser::{BrowserEvent, BrowserRecorded};
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::ClickId;
use rusqlite::{Connection, Row, params};

use super::{Sqlite, rows};
use crate::{StoreError, WORKSPACE};

/// All columns of a browser's event.
macro_rules! columns {
    () => {
        "click, name, event_id, at, received_at, campaign, transaction_id, page, fbc, fbp, ip, user_agent, consent, fields, \
         taken_partner, taken_key, in_europe"
    };
}

const INSERT: &str =
    "INSERT INTO browser_events (click, name, event_id, workspace, at, received_at, campaign,
        transaction_id, page, fbc, fbp, ip, user_agent, consent, fields, in_europe)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    ON CONFLICT DO NOTHING";
const COUNT: &str = "SELECT count(*) FROM browser_events WHERE click = ?1";
const IS_THERE: &str =
    "SELECT EXISTS (SELECT 1 FROM browser_events WHERE click = ?1 AND name = ?2 AND event_id = ?3)";
const FIND: &str =
    concat!("SELECT ", columns!(), " FROM browser_events WHERE click = ?1 ORDER BY at, name, event_id");
const FIND_FOR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM browser_events WHERE click = coalesce((SELECT click FROM browser_events
        WHERE workspace = ?1 AND taken_partner = ?2 AND taken_key = ?3 LIMIT 1), ?4)
    ORDER BY at, name, event_id"
);
const TAKE: &str = "UPDATE browser_events SET taken_partner = ?4, taken_key = ?5
    WHERE click = ?1 AND name = ?2 AND event_id = ?3
        AND (taken_key IS NULL OR (taken_partner = ?4 AND taken_key = ?5))";

impl Sqlite {
    pub(crate) async fn record_browser_events(
        &self,
        click: ClickId,
        events: Vec<BrowserEvent>,
        most: u32,
    ) -> Result<Vec<BrowserRecorded>, StoreError> {
        let work = move |connection: &Connection| {
            let mut there: u32 =
                connection.prepare_cached(COUNT)?.query_row([click.as_bytes()], |row| row.get(0))?;
            let mut outcomes = Vec::with_capacity(events.len());
            for event in &events {
                outcomes.push(record(connection, click, event, &mut there, most)?);
            }
            Ok(outcomes)
        };
        self.engine.write(2, work).await
    }

    pub(crate) async fn browser_events(&self, click: ClickId) -> Result<Vec<BrowserEvent>, StoreError> {
        let work = move |connection: &Connection| {
            let mut find = connection.prepare_cached(FIND)?;
            let found = find.query_map([click.as_bytes()], read)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn browser_events_for(
        &self,
        key: DedupeKey,
        click: Option<ClickId>,
    ) -> Result<Vec<BrowserEvent>, StoreError> {
        let work = move |connection: &Connection| {
            let mut find = connection.prepare_cached(FIND_FOR)?;
            let click = click.as_ref().map(ClickId::as_bytes);
            let found = find.query_map(params![WORKSPACE, key.partner, key.key, click], read)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn take_browser_event(
        &self,
        click: ClickId,
        name: String,
        event_id: String,
        key: DedupeKey,
    ) -> Result<bool, StoreError> {
        let work = move |connection: &Connection| {
            let taken = connection.prepare_cached(TAKE)?.execute(params![
                click.as_bytes(),
                name,
                event_id,
                key.partner,
                key.key
            ])?;
            Ok(taken > 0)
        };
        self.engine.write(1, work).await
    }
}

fn record(
    connection: &Connection,
    click: ClickId,
    event: &BrowserEvent,
    there: &mut u32,
    most: u32,
) -> Result<BrowserRecorded, StoreError> {
    if *there >= event.room(most) {
        let known: bool = connection
            .prepare_cached(IS_THERE)?
            .query_row(params![click.as_bytes(), event.name, event.event_id], |row| row.get(0))?;
        return Ok(if known { BrowserRecorded::Repeated } else { BrowserRecorded::TooMany });
    }
    let inserted = connection.prepare_cached(INSERT)?.execute(params![
        click.as_bytes(),
        event.name,
        event.event_id,
        WORKSPACE,
        event.at.as_millis(),
        event.received_at.as_millis(),
        event.campaign,
        event.transaction_id,
        event.page,
        event.fbc,
        event.fbp,
        event.ip.map(|ip| ip.to_string()),
        event.user_agent,
        rows::to_json(&event.consent)?,
        rows::to_json(&event.fields)?,
        event.in_europe,
    ])?;
    if inserted == 0 {
        return Ok(BrowserRecorded::Repeated);
    }
    *there += 1;
    Ok(BrowserRecorded::Recorded)
}

fn read(row: &Row<'_>) -> rusqlite::Result<BrowserEvent> {
    let taken_by = match (row.get::<_, Option<String>>(14)?, row.get::<_, Option<String>>(15)?) {
        (Some(partner), Some(key)) => Some(DedupeKey { partner, key }),
        _ => None,
    };
    Ok(BrowserEvent {
        click: ClickId::from_bytes(row.get(0)?),
        name: row.get(1)?,
        event_id: row.get(2)?,
        at: rows::time(row, 3)?,
        received_at: rows::time(row, 4)?,
        campaign: row.get(5)?,
        transaction_id: row.get(6)?,
        page: row.get(7)?,
        fbc: row.get(8)?,
        fbp: row.get(9)?,
        ip: rows::optional(row, 10, |text| text.parse().ok())?,
        user_agent: row.get(11)?,
        consent: rows::json(row, 12)?,
        fields: rows::json(row, 13)?,
        in_europe: row.get(16)?,
        taken_by,
    })
}
