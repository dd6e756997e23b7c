//! Keys under which a request counts once, with the answer that it had.

use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// What is known about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is new, or its first request broke off: the caller works now.
    Mine,
    /// Its first request is still being worked on.
    Running,
    /// It was used for another request.
    Other,
    /// Its first request was answered so.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
}

impl Store {
    /// Takes a key for a request of this digest. A key whose request was begun before `stale_before` and never answered
    /// is free again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claim_key(
        &self,
        key: String,
        digest: [u8; 32],
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<Claim, StoreError> {
        on!(self, claim_key(key, digest, now, stale_before))
    }

    /// Keeps the answer under a key; without one the key is free again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn answer_key(&self, key: String, answer: Option<(u16, String)>) -> Result<(), StoreError> {
        on!(self, answer_key(key, answer))
    }

    /// Forgets keys that are older than this, a few at once. Returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_keys(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        on!(self, purge_keys(before, at_once))
    }
}
