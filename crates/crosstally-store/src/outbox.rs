//! The outbox: leasing, calling, settling. Every write shows the fence of its lease; a write under an old fence changes
//! nothing.

use std::sync::Arc;

use crosstally_core::time::Timestamp;

use crate::{
    CallEnd, CallResult, DeliveryFilter, DestinationState, Held, LeaseWanted, LeasedDelivery, NewCall,
    Settled, Settlement, Store, StoreError, Unsent, on,
};

impl Store {
    /// Leases due deliveries of a destination, oldest due first. A delivery whose earlier lease has run out is leased
    /// anew under a higher fence, and its open attempt is closed with an unknown outcome.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lease_deliveries(&self, wanted: LeaseWanted) -> Result<Vec<LeasedDelivery>, StoreError> {
        on!(self, lease_deliveries(wanted))
    }

    /// Writes down that a call is about to be made with these deliveries. Returns those whose lease still holds; the
    /// others must not be sent.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_call(&self, call: NewCall) -> Result<Vec<Held>, StoreError> {
        on!(self, open_call(call))
    }

    /// The same for many calls, whose writing down costs less together. Each of them stands or fails by itself.
    pub async fn open_calls(&self, calls: Arc<Vec<NewCall>>) -> Vec<Result<Vec<Held>, StoreError>> {
        on!(self, open_calls(calls))
    }

    /// Writes down what came of a call: the answer, each delivery's outcome and next due time, and, if the destination
    /// has to be paused or slowed down, its new state. One transaction.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn settle_call(
        &self,
        result: CallResult,
        settlements: Vec<Settlement>,
        state: Option<DestinationState>,
    ) -> Result<Settled, StoreError> {
        on!(self, settle_call(result, settlements, state))
    }

    /// The same for many calls, whose writing down costs less together. Each of them stands or fails by itself.
    pub async fn settle_calls(&self, ends: Arc<Vec<CallEnd>>) -> Vec<Result<Settled, StoreError>> {
        on!(self, settle_calls(ends))
    }

    /// Ends leased deliveries that are not sent at all.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn settle_unsent(&self, unsent: Vec<Unsent>, now: Timestamp) -> Result<Settled, StoreError> {
        on!(self, settle_unsent(unsent, now))
    }

    /// Lengthens leases; returns those that still hold.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn renew_leases(&self, held: Vec<Held>, until: Timestamp) -> Result<Vec<Held>, StoreError> {
        on!(self, renew_leases(held, until))
    }

    /// Gives leased deliveries back unsent, due at once.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn release_leases(&self, held: Vec<Held>) -> Result<(), StoreError> {
        on!(self, release_leases(held, None))
    }

    /// The same for what cannot be sent before this time: nobody has it until then, so that it can be called off.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off(&self, held: Vec<Held>, until: Timestamp) -> Result<(), StoreError> {
        on!(self, release_leases(held, Some(until)))
    }

    /// Marks pending deliveries whose deadline has passed as expired, at most `limit`, leased ones excepted. Returns how
    /// many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn expire_overdue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        on!(self, expire_overdue(now, limit))
    }

    /// Makes deliveries due at once: dead and expired ones start anew with a fresh schedule and, where theirs has passed,
    /// the given deadline; waiting ones lose their wait. Delivered ones are left alone. Returns how many.
    ///
    /// Many deliveries are taken in several steps, so that a million of them do not keep everybody else waiting.
    ///
    /// # Errors
    /// See [`StoreError`]. Some deliveries may be due by then; asking again is safe.
    pub async fn requeue_deliveries(
        &self,
        filter: DeliveryFilter,
        now: Timestamp,
        deadline_at: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self, requeue_deliveries(filter, now, deadline_at))
    }
}
