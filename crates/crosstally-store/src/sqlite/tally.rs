//! Counts of one transaction, written once for all its pieces.

use crosstally_core::delivery::DeliveryState;
use crosstally_core::postback::Booking;
use crosstally_core::verdict::Verdict;
use rusqlite::{Connection, params};

use crate::{StoreError, WORKSPACE};

/// Adds to the count of an hour's receipts.
pub(super) const COUNT_RECEIPTS: &str = "INSERT INTO receipt_hours (workspace, partner, hour, verdict, count)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workspace, partner, hour, verdict) DO UPDATE SET count = count + excluded.count";
/// Adds to the count of a destination's deliveries.
pub(super) const COUNT_DELIVERIES: &str =
    "INSERT INTO delivery_counts (workspace, destination, state, count) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (workspace, destination, state) DO UPDATE SET count = count + ?4";

/// How many receipts and deliveries the pieces of a transaction add to each count. There are few different ones.
#[derive(Debug, Default)]
pub(super) struct Tally {
    receipts: Vec<((String, i64, Verdict), i64)>,
    deliveries: Vec<((String, DeliveryState), i64)>,
}

impl Tally {
    /// Counts the receipt and the deliveries of a booking.
    pub(super) fn add(&mut self, booking: &Booking) {
        let receipt = &booking.receipt;
        let (partner, hour) = (receipt.counted_under(), receipt.received_at.hour().as_millis());
        let is = |one: &(String, i64, Verdict)| one.0 == partner && one.1 == hour && one.2 == receipt.verdict;
        match self.receipts.iter_mut().find(|(one, _)| is(one)) {
            Some((_, count)) => *count += 1,
            None => self.receipts.push(((partner.to_owned(), hour, receipt.verdict), 1)),
        }
        self.add_deliveries(booking);
    }

    /// Counts only the deliveries of a booking.
    pub(super) fn add_deliveries(&mut self, booking: &Booking) {
        for delivery in &booking.deliveries {
            self.add_to(&delivery.destination, delivery.state, 1);
        }
    }

    /// Counts pending deliveries that reached another state.
    pub(super) fn move_deliveries(&mut self, destination: &str, to: DeliveryState, count: i64) {
        self.add_to(destination, DeliveryState::Pending, -count);
        self.add_to(destination, to, count);
    }

    fn add_to(&mut self, destination: &str, state: DeliveryState, count: i64) {
        let is = |one: &(String, DeliveryState)| one.0 == destination && one.1 == state;
        match self.deliveries.iter_mut().find(|(one, _)| is(one)) {
            Some((_, counted)) => *counted += count,
            None => self.deliveries.push(((destination.to_owned(), state), count)),
        }
    }

    /// Adds to the counts that are stored.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        for ((partner, hour, verdict), count) in &self.receipts {
            let counted = params![WORKSPACE, partner, hour, verdict.as_str(), count];
            connection.prepare_cached(COUNT_RECEIPTS)?.execute(counted)?;
        }
        for ((destination, state), count) in &self.deliveries {
            let counted = params![WORKSPACE, destination, state.as_str(), count];
            connection.prepare_cached(COUNT_DELIVERIES)?.execute(counted)?;
        }
        Ok(())
    }
}
