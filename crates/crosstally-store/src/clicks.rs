//! Clicks.

use std::sync::Arc;

use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;

use crate::{Store, StoreError, on};

impl Store {
    /// Appends one click in the group commit; returns when it is on disk. A click that is already there stays as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn append_click(&self, click: Arc<Click>) -> Result<(), StoreError> {
        on!(self, append_click(click))
    }

    /// Appends many clicks in one transaction; those that are already there stay as they are. Returns how many were new.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn append_clicks(&self, clicks: Vec<Click>) -> Result<u64, StoreError> {
        on!(self, append_clicks(clicks))
    }

    /// The click of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn click(&self, id: ClickId) -> Result<Option<Click>, StoreError> {
        on!(self, click(id))
    }

    /// Whether there is any click.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn has_clicks(&self) -> Result<bool, StoreError> {
        on!(self, has_clicks())
    }
}
