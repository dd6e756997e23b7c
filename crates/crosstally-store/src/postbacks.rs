//! Postbacks: the one transaction that books receipt, conversion, movement, goal events and deliveries.

use crosstally_core::postback::{Booking, Facts, FactsWanted};

use crate::{Store, StoreError, on};

/// The pure decision that is asked inside the transaction, over one consistent view of the facts. It may be asked again
/// if the facts moved.
pub type Decide = Box<dyn FnMut(&Facts) -> Booking + Send>;

impl Store {
    /// Loads the facts, asks for the decision, and records all of it or nothing, on disk. Two postbacks under one dedupe
    /// key never decide over the same facts.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn record_postback(&self, wanted: FactsWanted, decide: Decide) -> Result<Booking, StoreError> {
        on!(self, record_postback(wanted, decide))
    }
}
