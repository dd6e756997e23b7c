//! Receipts: every inbound call with its verdict.

use crosstally_core::ids::{ClickId, ConversionId, ReceiptId};
use crosstally_core::postback::Receipt;

use crate::{ReceiptCount, Store, StoreError, on};

impl Store {
    /// Records a call that books nothing; returns when it is on disk.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn record_receipt(&self, receipt: Receipt) -> Result<(), StoreError> {
        on!(self, record_receipt(receipt))
    }

    /// The receipt of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn receipt(&self, id: ReceiptId) -> Result<Option<Receipt>, StoreError> {
        on!(self, receipt(id))
    }

    /// The receipts that booked or matched a conversion, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn receipts_of_conversion(
        &self,
        id: ConversionId,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        on!(self, receipts_of_conversion(id, limit))
    }

    /// The receipts that stand booked in a conversion, oldest first; without those that it only matched.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn booked_receipts(&self, id: ConversionId, limit: u32) -> Result<Vec<Receipt>, StoreError> {
        on!(self, booked_receipts(id, limit))
    }

    /// The receipts that name a click, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn receipts_of_click(&self, id: ClickId, limit: u32) -> Result<Vec<Receipt>, StoreError> {
        on!(self, receipts_of_click(id, limit))
    }

    /// Receipts, newest first; `before` is the last id of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_receipts(
        &self,
        partner: Option<String>,
        before: Option<ReceiptId>,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        on!(self, list_receipts(partner, before, limit))
    }

    /// How many receipts each partner has under each verdict: the balance.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_receipts(&self) -> Result<Vec<ReceiptCount>, StoreError> {
        on!(self, count_receipts())
    }
}
