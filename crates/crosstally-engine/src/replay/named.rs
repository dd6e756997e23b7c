//! Under which name a call that is read again is booked.

use crosstally_core::conversion::DedupeKey;
use crosstally_core::ledger::Status;
use crosstally_core::postback::replay::Repair;
use crosstally_core::postback::{Postback, Receipt, dedupe, movement};
use crosstally_store::StoreError;

use crate::Engine;
use crate::snapshot::Snapshot;

impl Engine {
    /// The name of what a call is about as it is read now, with what its click's browser said. What is booked already has
    /// its event; a call that is only looked at takes none away.
    pub(super) async fn name_now(
        &self,
        postback: &mut Postback,
        receipt: &Receipt,
        repair: &Repair,
        snapshot: &Snapshot,
    ) -> Result<Option<DedupeKey>, StoreError> {
        self.resolve_alias(postback).await?;
        let key = name(postback, receipt, repair, snapshot);
        if let Some(key) = key.as_ref().filter(|_| receipt.conversion.is_none()) {
            self.ask_browser(postback, key, snapshot, false).await?;
        }
        Ok(key)
    }
}

/// The name of what a call is about. A swallowed call that was real has one of its own; a refund that was real takes back the
/// same sale, and is told apart by its content.
pub(super) fn name(
    postback: &mut Postback,
    receipt: &Receipt,
    repair: &Repair,
    snapshot: &Snapshot,
) -> Option<DedupeKey> {
    let (partner, _) = snapshot.partner(&receipt.partner)?;
    let key = dedupe::key(postback, &partner.contract)?;
    if repair.real && postback.status == Status::Reversed {
        postback.content = movement::once_more(postback.content, receipt.id);
        return Some(key);
    }
    Some(if repair.real {
        DedupeKey { key: format!("{}\n#real:{}", key.key, receipt.id), ..key }
    } else {
        key
    })
}
