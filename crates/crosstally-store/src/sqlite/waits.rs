//! What receipts wait for.

/// The name of a foreign click id among what is awaited.
pub(super) fn of_alias(alias: &str) -> String {
    format!("alias:{alias}")
}
