//! Where contacts and addresses were seen.

use crosstally_core::fraud::{Seen, Sighting};
use crosstally_core::ids::ConversionId;
use crosstally_core::postback::Booking;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{StoreError, WORKSPACE};

const FIND: &str = "SELECT conversion FROM sightings
    WHERE workspace = ?1 AND key = ?2 AND conversion BETWEEN ?3 AND ?4 LIMIT ?5";

const NOTE: &str =
    "INSERT INTO sightings (workspace, key, conversion) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

/// Few conversions have labels, so that the others do not pay for the column.
const LABEL: &str = "UPDATE conversions SET labels = ?2 WHERE id = ?1";

const PURGE: &str = "DELETE FROM sightings WHERE (workspace, key, conversion) IN
    (SELECT workspace, key, conversion FROM sightings WHERE workspace = ?1 AND conversion < ?2 LIMIT ?3)";

/// On how many others than this conversion each was seen.
pub(super) fn seen(
    connection: &Connection,
    sightings: &[Sighting],
    own: Option<(ConversionId, Timestamp)>,
) -> Result<Vec<Seen>, StoreError> {
    let mut all = Vec::with_capacity(sightings.len());
    for sighting in sightings {
        let (first, last) = sighting.span(own.map(|(_, at)| at));
        let asked = params![WORKSPACE, sighting.key, first.as_bytes(), last.as_bytes(), sighting.enough()];
        let mut find = connection.prepare_cached(FIND)?;
        let mut others = 0;
        for found in find.query_map(asked, |row| row.get(0).map(ConversionId::from_bytes))? {
            let found = found?;
            others += u32::from(own.is_none_or(|(id, _)| id != found));
        }
        all.push(Seen { sighting: *sighting, others });
    }
    Ok(all)
}

/// Writes the labels of a booking's conversion if they are others than before.
pub(super) fn label(connection: &Connection, booking: &Booking) -> Result<(), StoreError> {
    if let Some(change) = booking.conversion.as_ref().filter(|_| booking.relabelled) {
        let conversion = change.conversion();
        let labelled = params![conversion.id.as_bytes(), rows::labels(&conversion.labels)?];
        connection.prepare_cached(LABEL)?.execute(labelled)?;
    }
    Ok(())
}

/// Notes what a booking's conversion was seen with.
pub(super) fn note(connection: &Connection, booking: &Booking) -> Result<(), StoreError> {
    if let Some(change) = booking.conversion.as_ref().filter(|_| !booking.sightings.is_empty()) {
        let mut note = connection.prepare_cached(NOTE)?;
        for key in &booking.sightings {
            note.execute(params![WORKSPACE, key, change.conversion().id.as_bytes()])?;
        }
    }
    Ok(())
}

impl Sqlite {
    pub(crate) async fn seen(
        &self,
        sightings: Vec<Sighting>,
        own: Option<(ConversionId, Timestamp)>,
    ) -> Result<Vec<Seen>, StoreError> {
        self.engine.read(move |connection| seen(connection, &sightings, own)).await
    }

    pub(crate) async fn purge_sightings(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let first = ConversionId::new(before, [0; 10]);
            let gone =
                connection.prepare_cached(PURGE)?.execute(params![WORKSPACE, first.as_bytes(), at_once])?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        };
        self.engine.write(1, work).await
    }
}
