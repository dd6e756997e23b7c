//! How many visitors offers had. Each start of a node keeps its own count, written as a whole: to write it twice is harmless.

use std::collections::HashMap;

use crosstally_core::offer::Taken;

use crate::{Store, StoreError, on};

/// How many visitors one node sent to an offer since its start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visitors {
    /// The offer's slug.
    pub offer: String,
    /// On which day, as a number such as 20261122; 0 for all days together.
    pub day: i64,
    /// How many.
    pub visitors: u64,
}

impl Store {
    /// Writes a node's counts, and forgets the days before this one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn set_visitors(
        &self,
        node: String,
        counts: Vec<Visitors>,
        forget_before: i64,
    ) -> Result<(), StoreError> {
        on!(self, set_visitors(node, counts, forget_before))
    }

    /// What all nodes sent to all offers, on a day and in all.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn visitors(&self, day: i64) -> Result<HashMap<String, Taken>, StoreError> {
        on!(self, visitors(day))
    }
}
