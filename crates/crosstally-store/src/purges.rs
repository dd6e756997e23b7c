//! Purges: fields whose time is over are emptied, some rows at a time. What is over is told by ids, which begin with the time.

use crosstally_core::event::OutboundEvent;
use crosstally_core::retention::Class;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// Where fields are purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PurgePlace {
    /// Clicks.
    Clicks,
    /// Receipts, but for those that wait for something: of these the calls are read once more.
    Receipts,
    /// Receipts that have waited, whatever they may wait for now.
    Waited,
    /// Events of browsers: by their clicks, whose later events come behind; so they are gone through again and again.
    BrowserEvents,
    /// Events of goals.
    Events,
    /// Payloads of attempts, by their calls: an attempt is as old as its call, however long ago its event was booked.
    Attempts,
    /// Answers to calls.
    Calls,
}

impl PurgePlace {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Receipts => "receipts",
            Self::Waited => "waited",
            Self::BrowserEvents => "browser_events",
            Self::Events => "events",
            Self::Attempts => "attempts",
            Self::Calls => "calls",
        }
    }
}

/// How far a class is purged in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeMark {
    /// The class, by its word.
    pub class: String,
    /// The place, by its word.
    pub place: String,
    /// The last id that was looked at.
    pub done_to: [u8; 16],
    /// How many rows were emptied so far.
    pub purged: u64,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// Some rows to look at.
#[derive(Debug, Clone, Copy)]
pub struct PurgeStep {
    /// The class.
    pub class: Class,
    /// The place.
    pub place: PurgePlace,
    /// Behind this id.
    pub from: [u8; 16],
    /// What is older than this.
    pub before: Timestamp,
    /// How many rows at most.
    pub limit: u32,
    /// What is left of an event; `None` if nothing changes.
    pub without: fn(&OutboundEvent, Class) -> Option<OutboundEvent>,
    /// The present time.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// The last id that was looked at.
    pub done_to: [u8; 16],
    /// How many rows were emptied.
    pub rows: u64,
    /// Whether nothing older is left.
    pub last: bool,
}

impl Store {
    /// Empties the fields of a class in some rows, and notes how far it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge(&self, step: PurgeStep) -> Result<Purged, StoreError> {
        on!(self, purge(step))
    }

    /// How far each class is purged in each place.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn purge_marks(&self) -> Result<Vec<PurgeMark>, StoreError> {
        on!(self, purge_marks())
    }
}

/// The first id that is not older: what comes before it in order is.
pub(crate) fn end_of(before: Timestamp) -> [u8; 16] {
    *crosstally_core::ids::CallId::new(before, [0; 10]).as_bytes()
}

/// The id before this one.
pub(crate) const fn before_id(id: [u8; 16]) -> [u8; 16] {
    u128::from_be_bytes(id).saturating_sub(1).to_be_bytes()
}
