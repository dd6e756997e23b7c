//! Looking at what browsers told beside what the server sent.

use std::collections::{BTreeMap, BTreeSet};

use crosstally_core::consent::{Choice, Consent};
use crosstally_core::conversion::{DedupeKey, GoalMet};
use crosstally_core::delivery::DeliveryState;
use crosstally_core::hybrid::Told;
use crosstally_core::ids::{ClickId, ConversionId, DeliveryId, GoalEventId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio_postgres::Row;

use super::rows::{Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::hybrid::{clicks_of, deliveries_of};
use crate::{SentEvent, SentPage, StoreError, ToldClick, WORKSPACE};

const SENT: &str = "SELECT d.id, d.destination, d.state, d.reason, d.finished_at, e.created_at, e.goal, e.event_name, e.event_id,
        e.event, c.id, c.partner, c.dedupe_key, c.click, c.campaign, c.goals_met
    FROM (
        SELECT id, destination, state, reason, finished_at, goal_event, conversion FROM deliveries
        WHERE workspace = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4
    ) AS d
    LEFT JOIN goal_events AS e ON e.id = d.goal_event AND (e.workspace = $1) IS TRUE
    LEFT JOIN conversions AS c ON c.id = d.conversion AND (c.workspace = $1) IS TRUE
    ORDER BY d.id DESC";
const TOLD: &str = "SELECT asked.position, b.name, b.event_id, b.at, b.consent, b.taken_partner, b.taken_key, b.campaign, b.click
    FROM unnest($2::text[], $3::text[], $4::uuid[]) WITH ORDINALITY AS asked (partner, key, click, position)
    JOIN browser_events AS b ON b.click = coalesce((
            SELECT click FROM browser_events AS taken WHERE taken.workspace = $1 AND taken.taken_partner = asked.partner
                AND taken.taken_key = asked.key LIMIT 1
        ), asked.click) AND (b.workspace = $1) IS TRUE
    ORDER BY asked.position, b.at, b.name, b.event_id";
const NAMES: &str =
    "SELECT id, event_name, event_id FROM goal_events WHERE id = ANY ($2) AND (workspace = $1) IS TRUE";
const CLICKS: &str =
    "SELECT DISTINCT click FROM browser_events WHERE click >= $2 AND click < $3 AND (workspace = $1) IS TRUE
    ORDER BY click DESC LIMIT $4";
const OF_CLICKS: &str =
    "SELECT 0::bigint, name, event_id, at, consent, taken_partner, taken_key, campaign, click
    FROM browser_events WHERE click = ANY ($2) AND (workspace = $1) IS TRUE ORDER BY at, name, event_id";
const MET: &str = "SELECT click, goals_met FROM conversions WHERE click = ANY ($2) AND (workspace = $1) IS TRUE ORDER BY id";
const GOING: &str = "SELECT asked.id FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS asked (id, first, last)
    WHERE EXISTS (
        SELECT 1 FROM deliveries AS d WHERE d.id BETWEEN asked.first AND asked.last AND (d.workspace = $1) IS TRUE
            AND d.goal_event = asked.id AND d.destination = ANY ($5)
    )";

/// What is asked of a stored event. It is read here: the server's operators refuse a text with `\u0000` anywhere in it, and
/// anybody's click can bring one.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    from: String,
    adjustment: Option<IgnoredAny>,
}

/// The names and ids of goal events.
type Names = BTreeMap<Id, (String, String)>;

impl Postgres {
    pub(crate) async fn sent_events(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<SentPage, StoreError> {
        let (first, end) = deliveries_of(span, before);
        let values: [&Value<'_>; 4] = [&WORKSPACE, &Id::from(first), &Id::from(end), &i64::from(limit)];
        let found = self.engine.read(SENT, &values).await?;
        let is_full = u32::try_from(found.len()).is_ok_and(|rows| rows == limit);
        let next = match found.last().filter(|_| is_full) {
            Some(row) => Some(DeliveryId::from_bytes(rows::id(row, 0)?)),
            None => None,
        };
        let wanted: BTreeSet<&str> = destinations.iter().map(String::as_str).collect();
        let mut events = Vec::new();
        for row in &found {
            let is_event =
                rows::get::<Option<i64>>(row, 5)?.is_some() && rows::optional_id(row, 10)?.is_some();
            if !is_event || !wanted.contains(rows::get::<&str>(row, 1)?) {
                continue;
            }
            let event: Head = rows::json(row, 9)?;
            if event.adjustment.is_none() {
                events.push((sent(row, event.from)?, rows::json::<Vec<GoalMet>>(row, 15)?));
            }
        }
        let names = self.names(events.iter().flat_map(|(_, met)| met)).await?;
        for (event, met) in &mut events {
            event.beside = named(met, &names);
        }
        let mut rows: Vec<SentEvent> = events.into_iter().map(|(event, _)| event).collect();
        self.add_told(&mut rows).await?;
        Ok(SentPage { rows, next })
    }

    async fn add_told(&self, events: &mut [SentEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let partners: Vec<Text<'_>> = events.iter().map(|event| Text(&event.key.partner)).collect();
        let keys: Vec<Text<'_>> = events.iter().map(|event| Text(&event.key.key)).collect();
        let clicks: Vec<Option<Id>> = events.iter().map(|event| event.click.map(Id::from)).collect();
        let found = self.engine.read(TOLD, &[&WORKSPACE, &partners, &keys, &clicks]).await?;
        let mut all = Vec::with_capacity(found.len());
        for row in &found {
            let position = usize::try_from(rows::count(row, 0)?).unwrap_or(0);
            let Some(at) = position.checked_sub(1).filter(|at| *at < events.len()) else { continue };
            let own = events.get(at).map(|event| &event.key);
            all.push((at, told(row, own)?));
        }
        for (at, told) in all {
            if let Some(event) = events.get_mut(at) {
                event.told.push(told);
            }
        }
        Ok(())
    }

    async fn names<'m>(&self, met: impl Iterator<Item = &'m GoalMet>) -> Result<Names, StoreError> {
        let ids: Vec<Id> = met.map(|met| Id::from(met.event)).collect();
        if ids.is_empty() {
            return Ok(Names::new());
        }
        let found = self.engine.read(NAMES, &[&WORKSPACE, &ids]).await?;
        found.iter().map(|row| Ok((rows::get(row, 0)?, (rows::get(row, 1)?, rows::get(row, 2)?)))).collect()
    }

    pub(crate) async fn told_clicks(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        from: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ToldClick>, StoreError> {
        let (first, end) = clicks_of(span, from);
        let values: [&Value<'_>; 4] = [&WORKSPACE, &Id::from(first), &Id::from(end), &i64::from(limit)];
        let found = self.engine.read(CLICKS, &values).await?;
        let ids: Vec<Id> = found.iter().map(|row| rows::get(row, 0)).collect::<Result<_, _>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut told_by: BTreeMap<Id, (String, Vec<Told>)> = BTreeMap::new();
        for row in &self.engine.read(OF_CLICKS, &[&WORKSPACE, &ids]).await? {
            let campaign: String = rows::get(row, 7)?;
            let (_, all) = told_by.entry(rows::get(row, 8)?).or_insert_with(|| (campaign, Vec::new()));
            all.push(told(row, None)?);
        }
        let mut sent_of = self.sent_of(&ids, &destinations).await?;
        let click = |id: Id| {
            let (campaign, told) = told_by.remove(&id).unwrap_or_default();
            let sent = sent_of.remove(&id).unwrap_or_default();
            ToldClick { click: ClickId::from_bytes(id.0), campaign, told, sent }
        };
        Ok(ids.iter().copied().map(click).collect())
    }

    /// What the conversions of clicks have for destinations.
    async fn sent_of(
        &self,
        clicks: &[Id],
        destinations: &[String],
    ) -> Result<BTreeMap<Id, Vec<(String, String)>>, StoreError> {
        let mut met: Vec<(Id, GoalMet)> = Vec::new();
        for row in &self.engine.read(MET, &[&WORKSPACE, &clicks]).await? {
            let click: Id = rows::get(row, 0)?;
            met.extend(rows::json::<Vec<GoalMet>>(row, 1)?.into_iter().map(|met| (click, met)));
        }
        if met.is_empty() {
            return Ok(BTreeMap::new());
        }
        let events: Vec<GoalEventId> = met.iter().map(|(_, met)| met.event).collect();
        let ids: Vec<Id> = events.iter().copied().map(Id::from).collect();
        let of =
            |number| events.iter().map(|event| Id::from(DeliveryId::of(*event, number))).collect::<Vec<Id>>();
        let (first, last) = (of(0), of(u32::MAX));
        let to: Vec<Text<'_>> = destinations.iter().map(|slug| Text(slug)).collect();
        let going = self.engine.read(GOING, &[&WORKSPACE, &ids, &first, &last, &to]).await?;
        let going: BTreeSet<Id> = going.iter().map(|row| rows::get(row, 0)).collect::<Result<_, _>>()?;
        met.retain(|(_, met)| going.contains(&Id::from(met.event)));
        let names = self.names(met.iter().map(|(_, met)| met)).await?;
        let mut sent: BTreeMap<Id, Vec<(String, String)>> = BTreeMap::new();
        for (click, met) in met {
            sent.entry(click).or_default().extend(named(&[met], &names));
        }
        Ok(sent)
    }
}

fn named(met: &[GoalMet], names: &Names) -> Vec<(String, String)> {
    met.iter().filter_map(|met| names.get(&Id::from(met.event)).cloned()).collect()
}

fn sent(row: &Row, action_source: String) -> Result<SentEvent, StoreError> {
    Ok(SentEvent {
        id: DeliveryId::from_bytes(rows::id(row, 0)?),
        destination: rows::get(row, 1)?,
        state: rows::word(row, 2, DeliveryState::from_word)?,
        reason: rows::optional(row, 3, Reason::from_code)?,
        finished_at: rows::optional_time(row, 4)?,
        created_at: rows::time(row, 5)?,
        goal: rows::get(row, 6)?,
        event_name: rows::get(row, 7)?,
        event_id: rows::get(row, 8)?,
        action_source,
        conversion: ConversionId::from_bytes(rows::id(row, 10)?),
        key: DedupeKey { partner: rows::get(row, 11)?, key: rows::get(row, 12)? },
        click: rows::optional_id(row, 13)?.map(ClickId::from_bytes),
        campaign: rows::get(row, 14)?,
        beside: Vec::new(),
        told: Vec::new(),
    })
}

/// `own` is the conversion that asks.
fn told(row: &Row, own: Option<&DedupeKey>) -> Result<Told, StoreError> {
    let consent: Consent = rows::json(row, 4)?;
    let taken = rows::get::<Option<String>>(row, 5)?.zip(rows::get::<Option<String>>(row, 6)?);
    let is_others =
        |(partner, key): (String, String)| own.is_some_and(|own| own.partner != partner || own.key != key);
    Ok(Told {
        name: rows::get(row, 1)?,
        event_id: rows::get(row, 2)?,
        at: rows::time(row, 3)?,
        denied: consent.user_data() == Some(Choice::Denied),
        is_anothers: taken.is_some_and(is_others),
    })
}
