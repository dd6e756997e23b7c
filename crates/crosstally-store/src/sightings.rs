//! Where contacts and addresses were seen: keyed hashes with conversions, noted in the transaction that books, forgotten
//! when nobody asks for them any more.

use crosstally_core::conversion::Conversion;
use crosstally_core::fraud::{Seen, Sighting};
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

impl Store {
    /// On how many other conversions each was seen.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn seen(
        &self,
        sightings: Vec<Sighting>,
        own: Option<&Conversion>,
    ) -> Result<Vec<Seen>, StoreError> {
        let own = own.map(|conversion| (conversion.id, conversion.created_at));
        on!(self, seen(sightings, own))
    }

    /// Forgets what was seen on conversions that were first booked before this time, some at once; tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_sightings(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        on!(self, purge_sightings(before, at_once))
    }
}
