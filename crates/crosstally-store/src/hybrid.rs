//! Looking at what browsers told beside what the server sent.

use crosstally_core::conversion::DedupeKey;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::hybrid::Told;
use crosstally_core::ids::{ClickId, ConversionId, DeliveryId};
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// An event of the server on its way to one destination, with what its click's browser told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEvent {
    /// The delivery.
    pub id: DeliveryId,
    /// Its destination.
    pub destination: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it does not arrive.
    pub reason: Option<Reason>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When the event was made.
    pub created_at: Timestamp,
    /// The goal.
    pub goal: String,
    /// The name that it is sent under.
    pub event_name: String,
    /// Its id.
    pub event_id: String,
    /// Where it happened, as `website`.
    pub action_source: String,
    /// Its conversion.
    pub conversion: ConversionId,
    /// Under which name that is unique.
    pub key: DedupeKey,
    /// The conversion's click.
    pub click: Option<ClickId>,
    /// The click's campaign; empty without one.
    pub campaign: String,
    /// The names and ids of all events of its conversion.
    pub beside: Vec<(String, String)>,
    /// What the click's browser told.
    pub told: Vec<Told>,
}

/// Some of what was sent, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPage {
    /// The events for the destinations that were asked for, newest first; adjustments of sales are not among them.
    pub rows: Vec<SentEvent>,
    /// The last delivery that was looked at, if there may be more.
    pub next: Option<DeliveryId>,
}

/// A click whose browser told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldClick {
    /// The click.
    pub click: ClickId,
    /// The campaign that its page named first.
    pub campaign: String,
    /// What was told, oldest first.
    pub told: Vec<Told>,
    /// The names and ids of the events that its conversions have for the destinations that were asked for.
    pub sent: Vec<(String, String)>,
}

impl Store {
    /// What was booked for destinations in a span of time, newest first, of so many deliveries before one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sent_events(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<SentPage, StoreError> {
        on!(self, sent_events(destinations, span, before, limit))
    }

    /// The clicks of a span of time of which a browser told something, newest first, from one on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn told_clicks(
        &self,
        destinations: Vec<String>,
        span: (Timestamp, Timestamp),
        from: Option<ClickId>,
        limit: u32,
    ) -> Result<Vec<ToldClick>, StoreError> {
        on!(self, told_clicks(destinations, span, from, limit))
    }
}

/// The deliveries of a span of time as a range of their ids, ended by the last that was looked at.
pub(crate) fn deliveries_of(
    (from, to): (Timestamp, Timestamp),
    before: Option<DeliveryId>,
) -> (DeliveryId, DeliveryId) {
    let end = DeliveryId::new(to, [0; 10]);
    (DeliveryId::new(from, [0; 10]), before.map_or(end, |before| before.min(end)))
}

/// The click before which a span ends: the one to go on with belongs to it.
pub(crate) fn clicks_of((from, to): (Timestamp, Timestamp), at: Option<ClickId>) -> (ClickId, ClickId) {
    let end = ClickId::earliest(to);
    let behind = |click: ClickId| {
        ClickId::from_bytes(u128::from_be_bytes(*click.as_bytes()).saturating_add(1).to_be_bytes())
    };
    (ClickId::earliest(from), at.map_or(end, |at| behind(at).min(end)))
}
