//! Where contacts and addresses were seen. Two transactions at once do not see each other's sightings: they make labels,
//! and nothing that has to be right to the last one.

use std::collections::HashMap;

use crosstally_core::conversion::{Conversion, DedupeKey};
use crosstally_core::fraud::{Seen, Sighting};
use crosstally_core::ids::ConversionId;
use crosstally_core::postback::{Booking, Facts, FactsWanted};
use crosstally_core::time::Timestamp;
use tokio_postgres::Row;

use super::Postgres;
use super::fault::Fault;
use super::rows::{self, Columns, Id};
use super::transact::Transaction;
use crate::{StoreError, WORKSPACE};

const FIND: &str = "SELECT k.key, s.conversion
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[]) AS k (key, first, last, enough)
    CROSS JOIN LATERAL (SELECT conversion FROM sightings
        WHERE key = k.key AND conversion BETWEEN k.first AND k.last AND (workspace = $1) IS TRUE
        LIMIT k.enough) AS s";

// In one order, so that no two batches wait for each other in a circle.
const NOTE: &str = "INSERT INTO sightings (workspace, key, conversion)
    SELECT $1::bigint, n.* FROM unnest($2::uuid[], $3::uuid[]) AS n (key, conversion)
    ORDER BY n.key, n.conversion
    ON CONFLICT DO NOTHING";

/// Few conversions have labels, so that the others do not pay for the column.
const LABEL: &str = "UPDATE conversions AS c SET labels = n.labels
    FROM unnest($2::uuid[], $3::text[]) AS n (id, labels) WHERE c.id = n.id AND (c.workspace = $1) IS TRUE";

const PURGE: &str = "DELETE FROM sightings WHERE (key, conversion, workspace) IN
    (SELECT key, conversion, workspace FROM sightings WHERE conversion < $2 AND (workspace = $1) IS TRUE LIMIT $3)
    RETURNING 1";

/// A conversion that is there already, and when it was first booked.
type Own = Option<(ConversionId, Timestamp)>;

/// Keys to the conversions that they were seen on.
#[derive(Default)]
pub(super) struct Sightings(HashMap<[u8; 16], Vec<ConversionId>>);

impl Sightings {
    /// What is stored about the contacts and addresses of a batch. Most calls ask for none. The keys are in order, and
    /// the facts stand in the order of the keys.
    pub(super) async fn load(
        transaction: &Transaction,
        wanted: &[&FactsWanted],
        keys: &[&DedupeKey],
        of_keys: &[Facts],
    ) -> Result<Self, Fault> {
        let mut asked = Vec::new();
        for wanted in wanted.iter().filter(|wanted| !wanted.sightings.is_empty()) {
            let facts = keys.binary_search(&&wanted.key).ok().and_then(|at| of_keys.get(at));
            let own = own(facts.and_then(|facts| facts.conversion.as_ref()));
            asked.extend(wanted.sightings.iter().map(|sighting| (*sighting, own)));
        }
        let mut sightings = Self::default();
        if !asked.is_empty() {
            let find = transaction.prepare_cached(FIND).await?;
            sightings.add(&transaction.query(&find, &columns(&asked).values()).await?)?;
        }
        Ok(sightings)
    }

    fn add(&mut self, found: &[Row]) -> Result<(), StoreError> {
        for row in found {
            self.note_one(rows::id(row, 0)?, ConversionId::from_bytes(rows::id(row, 1)?));
        }
        Ok(())
    }

    fn note_one(&mut self, key: [u8; 16], conversion: ConversionId) {
        let known = self.0.entry(key).or_default();
        if !known.contains(&conversion) {
            known.push(conversion);
        }
    }

    /// On how many others than this conversion each was seen.
    pub(super) fn of(&self, sightings: &[Sighting], conversion: Option<&Conversion>) -> Vec<Seen> {
        self.around(sightings, own(conversion))
    }

    fn around(&self, sightings: &[Sighting], own: Own) -> Vec<Seen> {
        let others = |sighting: &Sighting| {
            let (first, last) = sighting.span(own.map(|(_, at)| at));
            let known = self.0.get(&sighting.key).map_or(&[][..], Vec::as_slice);
            let is_other =
                |id: &&ConversionId| (first..=last).contains(*id) && own.is_none_or(|(own, _)| own != **id);
            u32::try_from(known.iter().filter(is_other).count()).unwrap_or(u32::MAX)
        };
        sightings.iter().map(|sighting| Seen { sighting: *sighting, others: others(sighting) }).collect()
    }

    /// Notes what a booking was seen with, for the next one of the batch.
    pub(super) fn note(&mut self, booking: &Booking) {
        if let Some(change) = &booking.conversion {
            for key in &booking.sightings {
                self.note_one(*key, change.conversion().id);
            }
        }
    }
}

fn own(conversion: Option<&Conversion>) -> Own {
    conversion.map(|conversion| (conversion.id, conversion.created_at))
}

fn columns(wanted: &[(Sighting, Own)]) -> Columns<'_, (Sighting, Own)> {
    Columns::of(wanted)
        .with(|(sighting, _)| Id(sighting.key))
        .with(|(sighting, own)| Id::from(sighting.span(own.map(|(_, at)| at)).0))
        .with(|(sighting, own)| Id::from(sighting.span(own.map(|(_, at)| at)).1))
        .with(|(sighting, _)| i64::from(sighting.enough()))
}

/// Writes the labels of the conversions of a batch that have others than before, as the last booking leaves them.
pub(super) async fn label(transaction: &Transaction, bookings: &[&Booking]) -> Result<(), Fault> {
    let mut labelled: Vec<(ConversionId, Option<String>)> = Vec::new();
    for booking in bookings.iter().filter(|booking| booking.relabelled) {
        let Some(change) = &booking.conversion else { continue };
        let (id, labels) = (change.conversion().id, rows::labels(&change.conversion().labels)?);
        labelled.retain(|(known, _)| *known != id);
        labelled.push((id, labels));
    }
    if labelled.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&labelled).with(|(id, _)| Id::from(*id)).with(|(_, labels)| labels.as_deref());
    let statement = transaction.prepare_cached(LABEL).await?;
    transaction.execute(&statement, &columns.values()).await?;
    Ok(())
}

/// Notes what the conversions of a batch were seen with.
pub(super) async fn note(transaction: &Transaction, bookings: &[&Booking]) -> Result<(), Fault> {
    let noted: Vec<([u8; 16], ConversionId)> = bookings
        .iter()
        .filter_map(|booking| Some((&booking.sightings, booking.conversion.as_ref()?.conversion().id)))
        .flat_map(|(keys, id)| keys.iter().map(move |key| (*key, id)))
        .collect();
    if noted.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(&noted).with(|(key, _)| Id(*key)).with(|(_, id)| Id::from(*id));
    let statement = transaction.prepare_cached(NOTE).await?;
    transaction.execute(&statement, &columns.values()).await?;
    Ok(())
}

impl Postgres {
    pub(crate) async fn seen(
        &self,
        sightings: Vec<Sighting>,
        own: Option<(ConversionId, Timestamp)>,
    ) -> Result<Vec<Seen>, StoreError> {
        let wanted: Vec<(Sighting, Own)> = sightings.iter().map(|sighting| (*sighting, own)).collect();
        let mut known = Sightings::default();
        if !wanted.is_empty() {
            known.add(&self.engine.read(FIND, &columns(&wanted).values()).await?)?;
        }
        Ok(known.around(&sightings, own))
    }

    pub(crate) async fn purge_sightings(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let (first, at_once) = (Id::from(ConversionId::new(before, [0; 10])), i64::from(at_once));
        let gone = self.engine.write(PURGE, &[&WORKSPACE, &first, &at_once]).await?;
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
    }
}
