//! Reversals: once a sale is taken back, what waits is withdrawn and what has left is adjusted where that can be told.
//!
//! That there is something to follow is written down with the movement itself; whoever comes first follows it, and a second
//! one finds nothing left to do.

use crosstally_core::conversion::Conversion;
use crosstally_core::delivery::DeliveryState;
use crosstally_core::reason::Reason;
use crosstally_core::reversal::{self, Context, Follows, Sent};
use crosstally_core::route::GoalEvent;
use crosstally_core::time::Timestamp;
use crosstally_store::{DeliveryRecord, OpenReversal, StoreError};

use crate::Engine;
use crate::snapshot::Snapshot;

const AT_ONCE: u32 = 200;

impl Engine {
    /// Follows every reversal that is open. Returns how many were followed. One that cannot be read stays open and keeps
    /// none behind it waiting.
    ///
    /// # Errors
    /// See [`StoreError`]; what is open stays so.
    pub async fn follow_reversals(&self) -> Result<u64, StoreError> {
        let mut followed = 0;
        for open in self.store.open_reversals(AT_ONCE).await? {
            match self.follow_reversal(open).await {
                Ok(done) => followed += u64::from(done),
                Err(StoreError::Corrupt(error)) => {
                    tracing::error!(conversion = %open.conversion, error, "a reversal cannot be followed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(followed)
    }

    /// The same at once after a booking: if it fails, the clock brings it back.
    pub(crate) async fn follow_reversals_now(&self) {
        if let Err(error) = self.follow_reversals().await {
            tracing::warn!(error = %error, "a reversal is followed later");
        }
    }

    async fn follow_reversal(&self, open: OpenReversal) -> Result<bool, StoreError> {
        let snapshot = self.snapshot.load_full();
        let now = self.clock.now();
        let Some(conversion) = self.store.conversion(open.conversion).await? else {
            return self.store.follow_reversal(open, Follows::default(), now).await;
        };
        let events = self.store.goal_events_of_conversion(conversion.id).await?;
        let mut sent = self.sent(open).await?;
        let waiting = reversal::to_withdraw(&conversion, &events, &sent, open.is_of_movement());
        if !waiting.is_empty() {
            self.store.withdraw_deliveries(open, waiting, Reason::TakenBack, now).await?;
            sent = self.sent(open).await?;
        }
        let standing_again = reversal::to_restore(&conversion, &sent);
        if !standing_again.is_empty() {
            self.store.restore_deliveries(open, standing_again, now).await?;
            sent = self.sent(open).await?;
        }
        let overtaken = reversal::overtaken(&conversion, &events, &sent, &|destination, event| {
            snapshot.destination(destination).is_some_and(|ready| ready.retracts(event))
        });
        if !overtaken.is_empty() {
            self.store.withdraw_deliveries(open, overtaken, Reason::StandsAgain, now).await?;
            sent = self.sent(open).await?;
        }
        let (happened_at, hops) = self.cause_of(open, &conversion).await?;
        let mut follows = self.decide_reversal(&snapshot, &conversion, (&events, &sent), happened_at);
        for event in &mut follows.events {
            event.event.origin.hops = event.event.origin.hops.max(hops);
        }
        let booked = follows.deliveries.iter().map(|delivery| delivery.destination.clone());
        let waiting = sent.iter().filter(|one| one.state == DeliveryState::Pending);
        let destinations: Vec<String> = booked.chain(waiting.map(|one| one.destination.clone())).collect();
        let followed = self.store.follow_reversal(open, follows, now).await?;
        for destination in destinations.iter().filter(|_| followed) {
            self.wakeups.wake(destination);
        }
        Ok(followed)
    }

    /// When it happened that something was taken back, and how far the call had come that told of it.
    async fn cause_of(
        &self,
        open: OpenReversal,
        conversion: &Conversion,
    ) -> Result<(Timestamp, u8), StoreError> {
        let entries = self.store.entries(open.conversion).await?;
        let Some(entry) = entries.iter().find(|entry| entry.sequence == open.sequence) else {
            return Ok((conversion.updated_at, 0));
        };
        let receipt = self.store.receipt(entry.receipt).await?;
        Ok((entry.event_time, receipt.map_or(0, |receipt| receipt.headers.hops())))
    }

    fn decide_reversal(
        &self,
        snapshot: &Snapshot,
        conversion: &Conversion,
        (events, sent): (&[GoalEvent], &[Sent]),
        happened_at: Timestamp,
    ) -> Follows {
        let mut context = Context {
            config: &snapshot.config,
            takes: &|destination, event| {
                snapshot.destination(&destination.slug).is_some_and(|ready| ready.adjusts(event))
            },
            max_age_ms: &|destination, action_source| snapshot.max_age_ms(destination, action_source),
            happened_at,
            now: self.clock.now(),
            random: &mut || self.random.bytes(),
        };
        reversal::follow(conversion, events, sent, &mut context)
    }

    async fn sent(&self, open: OpenReversal) -> Result<Vec<Sent>, StoreError> {
        let deliveries = self.store.deliveries_of_conversion(open.conversion).await?;
        Ok(deliveries.iter().map(as_sent).collect())
    }
}

fn as_sent(delivery: &DeliveryRecord) -> Sent {
    Sent {
        id: delivery.id,
        goal_event: delivery.goal_event,
        destination: delivery.destination.clone(),
        state: delivery.state,
        attempts: delivery.attempts,
        reason: delivery.reason,
        asked_for: delivery.by_job,
    }
}
