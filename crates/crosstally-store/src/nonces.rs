//! Numbers that a signature may use once: claimed in the transaction that books, forgotten when no call can carry them
//! any more.

use crosstally_core::ids::ReceiptId;
use crosstally_core::postback::Receipt;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// When a number was seen, by which it is forgotten. What a file's row has used up is never forgotten: the same file may come
/// again after years.
pub(crate) const fn seen_at(receipt: &Receipt, nonce: &str) -> i64 {
    match nonce.as_bytes() {
        [b'\n', ..] => i64::MAX,
        _ => receipt.received_at.as_millis(),
    }
}

impl Store {
    /// The receipt that has used up a number of this partner.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn nonce_used_by(
        &self,
        partner: String,
        nonce: String,
    ) -> Result<Option<ReceiptId>, StoreError> {
        on!(self, nonce_used_by(partner, nonce))
    }

    /// Forgets numbers that were used before this time, some at once; tells how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_nonces(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        on!(self, purge_nonces(before, at_once))
    }
}
