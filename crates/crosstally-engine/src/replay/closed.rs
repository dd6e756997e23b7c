//! Which receipts are closed for good: evidence that is read again by nobody.

use crosstally_core::postback::{Receipt, SERVER_EVENT, STRANGER};
use crosstally_core::preflight;
use crosstally_core::verdict::Verdict;

/// Whether the sender never showed to be the partner: such a call is evidence, and never money. Told by the label and not by
/// the reason, as a stranger's call is turned away for many reasons before anybody asks who sends it.
#[must_use]
pub fn is_of_stranger(receipt: &Receipt) -> bool {
    receipt.labels.iter().any(|label| label == STRANGER)
}

/// Whether a pre-flight made it, its wrong tokens and unknown words too: such a call is never money.
#[must_use]
pub fn is_of_preflight(receipt: &Receipt) -> bool {
    receipt.labels.iter().any(|label| label == preflight::LABEL)
}

/// Whether it is read again by nobody.
#[must_use]
pub fn is_never_money(receipt: &Receipt) -> bool {
    is_of_stranger(receipt) || is_of_preflight(receipt)
}

/// Whether it is a server event that has had its answer. What its sender said about the person is kept as hashes only, so
/// that reading it anew could make another conversion of it.
#[must_use]
pub fn is_fixed_event(receipt: &Receipt) -> bool {
    receipt.method == SERVER_EVENT && receipt.verdict != Verdict::Quarantined
}
