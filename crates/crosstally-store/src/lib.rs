//! Facts at rest: clicks, receipts, conversions, the ledger, goal events, the outbox, the configuration, tokens.
//!
//! Two back ends stand behind one [`Store`]: SQLite inside the process, and PostgreSQL for many nodes. They are mirrored
//! file sets (`sqlite/`, `postgres/`) with the same functions, and one conformance suite runs on both.
//!
//! **Invariant**: one public method is one transaction and one whole fact, answered with an enum or a record of what
//! happened. This is the only crate that knows SQL, and it decides nothing: where a decision depends on what is stored,
//! the caller hands in a pure function that is asked inside the transaction.

mod aliases;
mod approvals;
mod balance;
mod browser;
mod clicks;
mod configs;
mod conversions;
mod destinations;
mod erasures;
mod error;
mod fx;
mod hybrid;
mod idempotency;
mod jobs;
mod journeys;
mod ledger;
mod lookbacks;
mod losses;
mod nonces;
mod offers;
mod outbox;
mod outbox_reads;
mod postbacks;
mod postgres;
mod purges;
mod receipts;
mod records;
mod replays;
mod reversals;
mod sightings;
mod sqlite;
mod steps;
mod tokens;
mod tool_runs;

use std::path::PathBuf;

pub use balance::{BalanceFilter, HourDifference, Period, PeriodCount};
pub use erasures::{ErasedClick, ErasedConversion, Erasure, Tombstone};
pub use error::{OpenError, StoreError};
pub use fx::{FxChange, FxImport, FxJob, FxRate, FxSpan, Priced};
pub use hybrid::{SentEvent, SentPage, ToldClick};
pub use idempotency::Claim;
pub use jobs::{BegunUnder, JobAnswer, JobGroup, JobStep};
pub use journeys::{DecidingCall, DecidingCalls};
pub use ledger::{BaseSum, LedgerFilter, LedgerSum};
pub use lookbacks::{Found, Lookback, NewLookback};
pub use losses::{HopCount, HopCounts};
pub use offers::Visitors;
pub use postbacks::Decide;
pub use purges::{PurgeMark, PurgePlace, PurgeStep, Purged};
pub use records::*;
pub use replays::{PutOff, ReceiptFilter, Replay, ReplayAnswer, Revision, Wait};
pub use reversals::{OpenReversal, OverstatedSum};
pub use tool_runs::ToolRun;

/// The one workspace that exists until an agency needs more. Every row carries it.
pub(crate) const WORKSPACE: i64 = 1;

/// Where the facts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory with an SQLite database in it, made if it is not there.
    Directory(PathBuf),
    /// A `postgres://` URL. It holds a password: never print it.
    Postgres(String),
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Where.
    pub location: Location,
    /// How many writes may wait before further ones are turned away.
    pub queue_max: usize,
    /// How many connections may read (SQLite) or work (PostgreSQL) at once.
    pub connections_max: usize,
    /// Tells how slow the disk is (SQLite).
    pub watch: Watch,
}

/// Time since some moment, by a clock that never jumps; only differences are used, and nothing is decided by them but how
/// to go about the work. One that stands still is fine.
pub type Watch = fn() -> std::time::Duration;

impl OpenOptions {
    /// The usual limits.
    #[must_use]
    pub const fn at(location: Location) -> Self {
        Self { location, queue_max: 16_384, connections_max: 8, watch: || std::time::Duration::ZERO }
    }
}

/// The facts, wherever they are. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Store {
    /// SQLite inside the process.
    Sqlite(sqlite::Sqlite),
    /// PostgreSQL.
    Postgres(postgres::Postgres),
}

/// Calls the same method of whichever back end is open.
macro_rules! on {
    ($store:expr, $method:ident($($arg:expr),*)) => {
        match $store {
            $crate::Store::Sqlite(back_end) => back_end.$method($($arg),*).await,
            $crate::Store::Postgres(back_end) => back_end.$method($($arg),*).await,
        }
    };
}
pub(crate) use on;

impl Store {
    /// Opens the store, migrates it to the present schema, and checks that it is as durable as it must be.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        match &options.location {
            Location::Directory(_) => sqlite::Sqlite::open(options).await.map(Self::Sqlite),
            Location::Postgres(_) => postgres::Postgres::open(options).await.map(Self::Postgres),
        }
    }

    /// Waits until everything accepted is on disk, then closes. Later calls answer [`StoreError::Closed`].
    pub async fn close(&self) {
        on!(self, close());
    }

    /// Whether a write gets through, all the way to disk.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        on!(self, check_writable())
    }

    /// `sqlite` or `postgres`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}
