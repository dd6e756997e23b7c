//! How many of a partner's conversions come to be approved, as far as they are decided.

use crosstally_core::time::Timestamp;
use crosstally_core::value::Measured;

use crate::{Store, StoreError, on};

impl Store {
    /// What became of a partner's decided conversions that were booked at `since` or later: of the newest `limit` of them,
    /// so that it costs the same however many there are. Out of an index that holds the decided ones alone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn decided(
        &self,
        partner: String,
        since: Timestamp,
        limit: u32,
    ) -> Result<Measured, StoreError> {
        on!(self, decided(partner, since, limit))
    }
}
