//! Deliveries by hand: trying again, resuming a destination.

use crosstally_core::time::DAY_MS;
use crosstally_store::{DeliveryFilter, DestinationState, StoreError};

use crate::Engine;

/// How long a delivery that had run out of time gets when it is tried again by hand. The destination still has the last
/// word about the event's age, at send time.
const FRESH_DEADLINE_MS: i64 = DAY_MS;

impl Engine {
    /// Makes deliveries due at once; delivered ones are left alone. Returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retry_deliveries(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let requeued = self.store.requeue_deliveries(filter, now, now.plus_millis(FRESH_DEADLINE_MS)).await?;
        for ready in self.snapshot.load().destinations() {
            self.wakeups.wake(&ready.config.slug);
        }
        Ok(requeued)
    }

    /// Lets a paused destination go on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn resume_destination(&self, slug: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store
            .set_destination_state(DestinationState {
                destination: slug.to_owned(),
                paused: None,
                detail: String::new(),
                since: now,
                settings_digest: String::new(),
                not_before: now,
            })
            .await?;
        tracing::info!(destination = slug, "resumed by hand");
        self.wakeups.wake(slug);
        Ok(())
    }
}
