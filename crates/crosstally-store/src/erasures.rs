//! Requests to erase a person: what was asked, how far it is, what came of it; and the tombstones that keep it from coming
//! back. Who is meant and what is left of a record, the caller says.

use crosstally_core::click::Click;
use crosstally_core::conversion::Conversion;
use crosstally_core::event::OutboundEvent;
use crosstally_core::ids::{ClickId, ErasureId, GoalEventId, RunId};
use crosstally_core::postback::Receipt;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// When it was asked.
    pub at: Timestamp,
    /// Who asked: a token's name, or `command`.
    pub author: String,
    /// Which kinds of marks were named; no mark itself.
    pub subject: String,
    /// Whom to look for, sealed; empty once it is done.
    pub wanted: Vec<u8>,
    /// Where the search stands.
    pub done_to: String,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// How many rows of what were erased.
    pub counts: Vec<(String, u64)>,
}

/// The keyed hash of something that was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// The hash.
    pub key: [u8; 16],
    /// Rises with every further one.
    pub version: i64,
    /// When it was erased.
    pub erased_at: Timestamp,
}

/// What is left of a conversion, and of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedConversion {
    /// The conversion as it is to stay.
    pub left: Conversion,
    /// Its events as they are to stay.
    pub events: Vec<(GoalEventId, OutboundEvent)>,
    /// What must not come back.
    pub tombstones: Vec<[u8; 16]>,
    /// When.
    pub now: Timestamp,
}

/// What is left of a click.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedClick {
    /// The click.
    pub id: ClickId,
    /// What stays in its place, if it is stored.
    pub left: Option<Click>,
    /// What must not come back.
    pub tombstones: Vec<[u8; 16]>,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// Keeps a request with its first tombstones.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin_erasure(&self, erasure: Erasure, tombstones: Vec<[u8; 16]>) -> Result<(), StoreError> {
        on!(self, begin_erasure(erasure, tombstones))
    }

    /// One request.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        on!(self, erasure(id))
    }

    /// Requests, newest first; those before `before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_erasures(
        &self,
        before: Option<ErasureId>,
        limit: u32,
    ) -> Result<Vec<Erasure>, StoreError> {
        on!(self, list_erasures(before, limit))
    }

    /// Takes the oldest request in hand that is not done and that nobody else has in hand.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take_erasure(
        &self,
        owner: String,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        on!(self, take_erasure(owner, now, until))
    }

    /// Notes how far a request in hand is, and whom else to look for, and keeps it in hand; whether it still was.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn advance_erasure(
        &self,
        id: ErasureId,
        owner: String,
        done_to: String,
        wanted: Option<Vec<u8>>,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(self, advance_erasure(id, owner, done_to, wanted, until))
    }

    /// Ends a request: whom it was about is forgotten.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn finish_erasure(&self, id: ErasureId, now: Timestamp) -> Result<(), StoreError> {
        on!(self, finish_erasure(id, now))
    }

    /// Tombstones after a version, in the order of their versions.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tombstones_after(&self, version: i64, limit: u32) -> Result<Vec<Tombstone>, StoreError> {
        on!(self, tombstones_after(version, limit))
    }

    /// The version of the newest tombstone; 0 without any.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tombstone_version(&self) -> Result<i64, StoreError> {
        on!(self, tombstone_version())
    }

    /// Leaves of receipts what is handed in, and nothing of what was said when they were read again; nothing waits for them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn erase_receipts(&self, erasure: ErasureId, left: Vec<Receipt>) -> Result<(), StoreError> {
        on!(self, erase_receipts(erasure, left))
    }

    /// Leaves of a conversion, its movements, events and deliveries what is handed in: what is pending is cancelled, what
    /// was sent stays counted without its payload. The money stays as it is. No, and nothing of it, if the conversion has
    /// moved or was adjusted since it was read: what it was moved by, and its adjustment, are not among what is handed in.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn erase_conversion(
        &self,
        erasure: ErasureId,
        erased: ErasedConversion,
    ) -> Result<bool, StoreError> {
        on!(self, erase_conversion(erasure, erased))
    }

    /// Leaves of a click what is handed in, and nothing of what its browser told, of its steps and its other names.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn erase_click(&self, erasure: ErasureId, erased: ErasedClick) -> Result<(), StoreError> {
        on!(self, erase_click(erasure, erased))
    }

    /// Forgets runs of the tools.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn erase_tool_runs(&self, erasure: ErasureId, runs: Vec<RunId>) -> Result<(), StoreError> {
        on!(self, erase_tool_runs(erasure, runs))
    }

    /// The other trackers' ids of a click.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn aliases_of_click(&self, click: ClickId) -> Result<Vec<String>, StoreError> {
        on!(self, aliases_of_click(click))
    }

    /// Clicks, newest first; those before `before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_clicks(&self, before: Option<ClickId>, limit: u32) -> Result<Vec<Click>, StoreError> {
        on!(self, list_clicks(before, limit))
    }

    /// Clicks of which a browser has told something, newest first; those before `before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_browser_clicks(
        &self,
        before: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ClickId>, StoreError> {
        on!(self, list_browser_clicks(before, limit))
    }

    /// As [`Store::append_clicks`], each with the hash under which it would have been erased: such a click does not come
    /// back.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn append_spooled_clicks(&self, clicks: Vec<(Click, [u8; 16])>) -> Result<u64, StoreError> {
        on!(self, append_spooled_clicks(clicks))
    }
}
