//! What can go wrong with a store. Texts are fit for the log of whoever runs the server: no data, no passwords.

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be reached or read.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
    /// The database would acknowledge writes before they are on disk.
    #[error("the database is less durable than promised: {0}")]
    NotDurable(String),
    /// The database was written by a later version.
    #[error("the database has schema {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// The schema found.
        found: i64,
        /// The latest schema known.
        known: i64,
    },
    /// A migration failed; nothing was changed.
    #[error("migration {version} failed and was rolled back: {problem}")]
    Migration {
        /// The migration.
        version: i64,
        /// What the database said.
        problem: String,
    },
}

/// Why a store did not do something. Nothing of it happened, unless it says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, the disk is full or sick.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Too many writes are waiting.
    #[error("too many writes are waiting")]
    Busy,
    /// The connection broke at the commit: it may have happened. Asking again is safe, as keys are unique.
    #[error("the outcome of the write is unknown: {0}")]
    Unknown(String),
    /// A stored value cannot be read, or a record contradicts what is stored: an id that is already there, a movement
    /// that does not follow the last one.
    #[error("the record and what is stored do not fit together: {0}")]
    Corrupt(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
