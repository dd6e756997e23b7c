//! The leases that a batch holds, kept alive while it works. They are short, so that another node soon carries on where
//! this one was killed; why that is safe stands in `docs/adr/0003-leases.md`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crosstally_core::ids::DeliveryId;
use crosstally_store::{Held, LeasedDelivery, StoreError};

use crate::Engine;

/// How long a lease holds without being renewed.
pub(super) const LEASE_MS: i64 = 8_000;
const RENEW_EVERY_MS: u64 = 2_500;
/// After a renewal that failed.
const RENEW_AGAIN_MS: u64 = 500;

/// What a batch still holds.
#[derive(Debug)]
pub(super) struct Leases(Mutex<BTreeMap<DeliveryId, i64>>);

impl Leases {
    pub(super) fn of(leased: &[LeasedDelivery]) -> Self {
        Self(Mutex::new(leased.iter().map(|one| (one.id, one.fence)).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeliveryId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These have ended, were given back or were lost.
    pub(super) fn forget(&self, held: impl IntoIterator<Item = Held>) {
        let mut kept = self.lock();
        for one in held {
            kept.remove(&one.id);
        }
    }

    /// Everything that is still held.
    pub(super) fn held(&self) -> Vec<Held> {
        self.lock().iter().map(|(&id, &fence)| Held { id, fence }).collect()
    }

    pub(super) fn holds(&self, held: Held) -> bool {
        self.lock().contains_key(&held.id)
    }

    /// Renews the leases for ever. What turns out to be lost is forgotten: it is not sent any more, but the result of a
    /// call that is under way is still handed in, and the store decides by the fence.
    pub(super) async fn keep_alive(&self, engine: &Engine) {
        let mut wait_ms = RENEW_EVERY_MS;
        loop {
            engine.clock.sleep(wait_ms).await;
            wait_ms = match self.renew(engine).await {
                Ok(()) => RENEW_EVERY_MS,
                Err(_) => RENEW_AGAIN_MS,
            };
        }
    }

    async fn renew(&self, engine: &Engine) -> Result<(), StoreError> {
        let asked = self.held();
        if asked.is_empty() {
            return Ok(());
        }
        let until = engine.clock.now().plus_millis(LEASE_MS);
        let still = engine.store.renew_leases(asked.clone(), until).await?;
        if still.len() < asked.len() {
            self.forget(asked.into_iter().filter(|held| !still.contains(held)));
        }
        Ok(())
    }
}
