//! Click ids of other trackers, and the clicks they stand for.

use crosstally_core::ids::ClickId;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

impl Store {
    /// The click that a foreign click id stands for.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn click_of_alias(&self, alias: String) -> Result<Option<ClickId>, StoreError> {
        on!(self, click_of_alias(alias))
    }

    /// Adds aliases in one transaction; one that is there stays as it is. What waits for them is due at once. Returns how
    /// many were new.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_aliases(
        &self,
        aliases: Vec<(String, ClickId)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, add_aliases(aliases, now))
    }
}
