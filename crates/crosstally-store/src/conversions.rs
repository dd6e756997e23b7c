//! Conversions, their movements and the goal events that followed.

use crosstally_core::conversion::Conversion;
use crosstally_core::ids::{ClickId, ConversionId, GoalEventId};
use crosstally_core::ledger::LedgerEntry;
use crosstally_core::route::GoalEvent;

use crate::{Store, StoreError, on};

impl Store {
    /// The conversion of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn conversion(&self, id: ConversionId) -> Result<Option<Conversion>, StoreError> {
        on!(self, conversion(id))
    }

    /// The conversions attributed to a click, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn conversions_of_click(&self, id: ClickId, limit: u32) -> Result<Vec<Conversion>, StoreError> {
        on!(self, conversions_of_click(id, limit))
    }

    /// The conversions of a partner under a transaction id, whatever happened under it, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn conversions_of_transaction(
        &self,
        partner: String,
        transaction_id: String,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        on!(self, conversions_of_transaction(partner, transaction_id, limit))
    }

    /// Conversions, newest first; `before` is the last id of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_conversions(
        &self,
        before: Option<ConversionId>,
        limit: u32,
    ) -> Result<Vec<Conversion>, StoreError> {
        on!(self, list_conversions(before, limit))
    }

    /// A conversion's movements, in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn entries(&self, id: ConversionId) -> Result<Vec<LedgerEntry>, StoreError> {
        on!(self, entries(id))
    }

    /// The goal event of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn goal_event(&self, id: GoalEventId) -> Result<Option<GoalEvent>, StoreError> {
        on!(self, goal_event(id))
    }

    /// The goal events of a conversion, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn goal_events_of_conversion(&self, id: ConversionId) -> Result<Vec<GoalEvent>, StoreError> {
        on!(self, goal_events_of_conversion(id))
    }
}
