//! What browsers tell of clicks.

use crosstally_core::browser::{BrowserEvent, BrowserRecorded};
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::ClickId;
use tokio_postgres::Row;

use super::rows::{Columns, Id, Text};
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

/// All columns of a browser's event.
macro_rules! columns {
    () => {
        "click, name, event_id, at, received_at, campaign, transaction_id, page, fbc, fbp, ip, user_agent, consent, fields, \
         taken_partner, taken_key, in_europe"
    };
}

// Those that are there are known again; of the others as many are added as the click may still have.
const INSERT: &str = "WITH told AS (
        SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[],
            $17::boolean[]) WITH ORDINALITY AS n (click, name, event_id, at, received_at, campaign, transaction_id, page,
                fbc, fbp, ip, user_agent, consent, fields, room, in_europe, position)
    ), there AS (
        SELECT name, event_id FROM browser_events WHERE click = $18 AND (workspace = $1) IS TRUE
    ), fresh AS (
        SELECT told.*, row_number() OVER (PARTITION BY room > (SELECT count(*) FROM there) ORDER BY position) AS number
        FROM told
        WHERE NOT EXISTS (SELECT 1 FROM there WHERE there.name = told.name AND there.event_id = told.event_id)
    ), fitting AS (
        SELECT * FROM fresh WHERE number + (SELECT count(*) FROM there) <= room
    ), added AS (
        INSERT INTO browser_events (workspace, click, name, event_id, at, received_at, campaign, transaction_id, page, fbc,
            fbp, ip, user_agent, consent, fields, in_europe)
        SELECT $1::bigint, click, name, event_id, at, received_at, campaign, transaction_id, page, fbc, fbp, ip, user_agent,
            consent, fields, in_europe
        FROM fitting ORDER BY name, event_id
        ON CONFLICT DO NOTHING
        RETURNING name, event_id
    )
    SELECT EXISTS (SELECT 1 FROM added WHERE added.name = told.name AND added.event_id = told.event_id),
        EXISTS (SELECT 1 FROM fresh WHERE fresh.position = told.position)
            AND NOT EXISTS (SELECT 1 FROM fitting WHERE fitting.position = told.position)
    FROM told ORDER BY position";
const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM browser_events WHERE click = $2 AND (workspace = $1) IS TRUE ORDER BY at, name, event_id"
);
const FIND_FOR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM browser_events WHERE click = coalesce((SELECT click FROM browser_events
        WHERE workspace = $1 AND taken_partner = $2 AND taken_key = $3 LIMIT 1), $4) AND (workspace = $1) IS TRUE
    ORDER BY at, name, event_id"
);
const TAKE: &str = "UPDATE browser_events SET taken_partner = $5, taken_key = $6
    WHERE click = $2 AND name = $3 AND event_id = $4 AND (workspace = $1) IS TRUE
        AND (taken_key IS NULL OR (taken_partner = $5 AND taken_key = $6))
    RETURNING 1";

impl Postgres {
    pub(crate) async fn record_browser_events(
        &self,
        click: ClickId,
        mut events: Vec<BrowserEvent>,
        most: u32,
    ) -> Result<Vec<BrowserRecorded>, StoreError> {
        let all: Vec<(String, String)> =
            events.iter().map(|event| (event.name.clone(), event.event_id.clone())).collect();
        let mut seen = std::collections::HashSet::new();
        events.retain(|event| seen.insert((event.name.clone(), event.event_id.clone())));
        let click = Id::from(click);
        let columns = columns(&events, most)?;
        let mut values = columns.values();
        values.push(&click);
        let told = self.engine.write(INSERT, &values).await?;
        let told = told.iter().map(outcome).collect::<Result<Vec<_>, _>>()?;
        let mut known: Vec<((&str, &str), BrowserRecorded)> =
            events.iter().map(|event| (event.name.as_str(), event.event_id.as_str())).zip(told).collect();
        let mut outcomes = Vec::with_capacity(all.len());
        for (name, event_id) in &all {
            let found = known.iter_mut().find(|(key, _)| *key == (name, event_id));
            let Some((_, outcome)) = found else {
                return Err(StoreError::Corrupt("no answer for an event".into()));
            };
            outcomes.push(*outcome);
            // The second of two alike is a repeat of the first.
            if *outcome == BrowserRecorded::Recorded {
                *outcome = BrowserRecorded::Repeated;
            }
        }
        Ok(outcomes)
    }

    pub(crate) async fn browser_events(&self, click: ClickId) -> Result<Vec<BrowserEvent>, StoreError> {
        let found = self.engine.read(FIND, &[&WORKSPACE, &Id::from(click)]).await?;
        found.iter().map(read).collect()
    }

    pub(crate) async fn browser_events_for(
        &self,
        key: DedupeKey,
        click: Option<ClickId>,
    ) -> Result<Vec<BrowserEvent>, StoreError> {
        let click = click.map(Id::from);
        let values: [&super::transact::Value<'_>; 4] =
            [&WORKSPACE, &Text(&key.partner), &Text(&key.key), &click];
        let found = self.engine.read(FIND_FOR, &values).await?;
        found.iter().map(read).collect()
    }

    pub(crate) async fn take_browser_event(
        &self,
        click: ClickId,
        name: String,
        event_id: String,
        key: DedupeKey,
    ) -> Result<bool, StoreError> {
        let values: [&super::transact::Value<'_>; 6] = [
            &WORKSPACE,
            &Id::from(click),
            &Text(&name),
            &Text(&event_id),
            &Text(&key.partner),
            &Text(&key.key),
        ];
        Ok(!self.engine.write(TAKE, &values).await?.is_empty())
    }
}

fn outcome(row: &Row) -> Result<BrowserRecorded, StoreError> {
    let (added, over) = (rows::get(row, 0)?, rows::get(row, 1)?);
    Ok(match (added, over) {
        (true, _) => BrowserRecorded::Recorded,
        (false, true) => BrowserRecorded::TooMany,
        (false, false) => BrowserRecorded::Repeated,
    })
}

fn columns(events: &[BrowserEvent], most: u32) -> Result<Columns<'_, BrowserEvent>, StoreError> {
    let ips: Vec<Option<String>> = events.iter().map(|event| event.ip.map(|ip| ip.to_string())).collect();
    Columns::of(events)
        .with(|event| Id::from(event.click))
        .with(|event| Text(&event.name))
        .with(|event| Text(&event.event_id))
        .with(|event| event.at.as_millis())
        .with(|event| event.received_at.as_millis())
        .with(|event| Text(&event.campaign))
        .with(|event| event.transaction_id.as_deref().map(Text))
        .with(|event| Text(&event.page))
        .with(|event| Text(&event.fbc))
        .with(|event| Text(&event.fbp))
        .with_values(ips)
        .with(|event| Text(&event.user_agent))
        .with_json(|event| &event.consent)?
        .with_json(|event| &event.fields)
        .map(|columns| columns.with(|event| i64::from(event.room(most))).with(|event| event.in_europe))
}

fn read(row: &Row) -> Result<BrowserEvent, StoreError> {
    let taken_by = match (rows::get::<Option<String>>(row, 14)?, rows::get::<Option<String>>(row, 15)?) {
        (Some(partner), Some(key)) => Some(DedupeKey { partner, key }),
        _ => None,
    };
    Ok(BrowserEvent {
        click: ClickId::from_bytes(rows::id(row, 0)?),
        name: rows::get(row, 1)?,
        event_id: rows::get(row, 2)?,
        at: rows::time(row, 3)?,
        received_at: rows::time(row, 4)?,
        campaign: rows::get(row, 5)?,
        transaction_id: rows::get(row, 6)?,
        page: rows::get(row, 7)?,
        fbc: rows::get(row, 8)?,
        fbp: rows::get(row, 9)?,
        ip: rows::optional(row, 10, |text| text.parse().ok())?,
        user_agent: rows::get(row, 11)?,
        consent: rows::json(row, 12)?,
        fields: rows::json(row, 13)?,
        in_europe: rows::get(row, 16)?,
        taken_by,
    })
}
