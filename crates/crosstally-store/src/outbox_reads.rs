//! Looking into the outbox.

use crosstally_core::ids::{ConversionId, DeliveryId};
use crosstally_core::time::{HOUR_MS, Timestamp};

use crate::{
    AttemptRecord, DayCount, DeliveredHour, DeliveryFilter, DeliveryRecord, OutboxCount, Places, Store,
    StoreError, on,
};

/// The earliest id that the delivery of an event of a time can have: a clock that is ahead may have stated the event's.
pub(crate) fn earliest_id(event_time: Timestamp) -> DeliveryId {
    DeliveryId::new(event_time.plus_millis(-HOUR_MS), [0; 10])
}

/// How an event's time is written as far as the hour.
pub(crate) const HOUR_CHARS: usize = "2026-11-21T10".len();

/// The hour of a time as the stored event has it, which is in UTC.
pub(crate) fn hour_text(at: Timestamp) -> String {
    at.to_string().chars().take(HOUR_CHARS).collect()
}

/// Reads it back.
pub(crate) fn hour_of(text: &str) -> Result<Timestamp, StoreError> {
    Timestamp::parse(&format!("{text}:00:00Z"))
        .ok_or_else(|| StoreError::Corrupt("goal_events.event: event_time".into()))
}

impl Store {
    /// The delivery of this id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        on!(self, delivery(id))
    }

    /// The deliveries of a conversion, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn deliveries_of_conversion(
        &self,
        id: ConversionId,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        on!(self, deliveries_of_conversion(id))
    }

    /// The attempts of a delivery, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRecord>, StoreError> {
        on!(self, attempts(id))
    }

    /// Deliveries, newest first; `before` is the last id of the page before. A page is short only if nothing is left.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_deliveries(
        &self,
        filter: DeliveryFilter,
        places: Places,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        on!(self, list_deliveries(filter, places, before, limit))
    }

    /// When the next delivery of a destination can be leased: its due time, or the end of its present lease. `None` if
    /// none is pending.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn next_due(&self, destination: String) -> Result<Option<Timestamp>, StoreError> {
        on!(self, next_due(destination))
    }

    /// How many deliveries stand where.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_deliveries(&self) -> Result<Vec<OutboxCount>, StoreError> {
        on!(self, count_deliveries())
    }

    /// How the deliveries that were booked in a span of days stand, by day, destination and event name; newest day first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivery_days(&self, from: Timestamp, to: Timestamp) -> Result<Vec<DayCount>, StoreError> {
        on!(self, delivery_days(from, to))
    }

    /// The events that arrived and happened in a span of whole hours, by destination and hour. Reads what was booked since
    /// the beginning of the span.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivered_hours(
        &self,
        destination: Option<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<DeliveredHour>, StoreError> {
        on!(self, delivered_hours(destination, from, to))
    }
}
