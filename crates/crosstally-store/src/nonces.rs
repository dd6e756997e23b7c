//! Numbers that a signature may use once: claimed in the transaction that books, forgotten when no call can carry them
//! any more.

use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

impl Store {
    /// Forgets numbers that were used before this time, some at once; tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_nonces(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        on!(self, purge_nonces(before, at_once))
    }
}
