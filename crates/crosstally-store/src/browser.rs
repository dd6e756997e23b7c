//! What browsers tell of clicks.

use crosstally_core::browser::{BrowserEvent, BrowserRecorded};
use crosstally_core::conversion::DedupeKey;
use crosstally_core::ids::ClickId;

use crate::{Store, StoreError, on};

impl Store {
    /// Records the events of one click, up to so many of it; says of each what became of it, in their order. One that is
    /// there already stays as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn record_browser_events(
        &self,
        click: ClickId,
        events: Vec<BrowserEvent>,
        most: u32,
    ) -> Result<Vec<BrowserRecorded>, StoreError> {
        on!(self, record_browser_events(click, events, most))
    }

    /// The events of a click, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn browser_events(&self, click: ClickId) -> Result<Vec<BrowserEvent>, StoreError> {
        on!(self, browser_events(click))
    }

    /// The events of the click whose event the conversion under this key has; if it has none, those of the named click.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn browser_events_for(
        &self,
        key: DedupeKey,
        click: Option<ClickId>,
    ) -> Result<Vec<BrowserEvent>, StoreError> {
        on!(self, browser_events_for(key, click))
    }

    /// Gives an event to the conversion under this key; whether it has it now. Another one may have been faster.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn take_browser_event(&self, event: &BrowserEvent, key: DedupeKey) -> Result<bool, StoreError> {
        let (click, name, event_id) = (event.click, event.name.clone(), event.event_id.clone());
        on!(self, take_browser_event(click, name, event_id, key))
    }
}
