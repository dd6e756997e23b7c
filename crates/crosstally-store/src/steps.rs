//! Steps of clicks: from a lander to an offer.

use crosstally_core::ids::ClickId;
use crosstally_core::visit::Step;

use crate::{Store, StoreError, on};

impl Store {
    /// Appends a step of a click in the group commit; returns when it is on disk. One that is already there stays as it is,
    /// and one of a click that is erased under this tombstone is not stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn append_step(&self, step: Step, tombstone: [u8; 16]) -> Result<(), StoreError> {
        on!(self, append_step(step, tombstone))
    }

    /// The steps of a click, oldest first, at most so many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn steps(&self, click: ClickId, limit: u32) -> Result<Vec<Step>, StoreError> {
        on!(self, steps(click, limit))
    }
}
