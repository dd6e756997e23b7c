//! Hints that something may be due, so that a lane need not wait for its next look. Losing one costs a second, never a
//! delivery: the store is the truth, and other nodes' bookings give no hint here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

/// Wakes the delivery lanes; a hint, never the truth.
#[derive(Debug, Clone, Default)]
pub struct Wakeups(Arc<RwLock<HashMap<String, Arc<Notify>>>>);

impl Wakeups {
    /// Something may be due for this destination. Without a lane for it nothing happens.
    pub fn wake(&self, destination: &str) {
        if let Some(bell) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(destination) {
            // One wake is kept if the lane is busy just now.
            bell.notify_one();
        }
    }

    /// The bell that the lane of this destination listens to.
    pub(super) fn bell(&self, destination: &str) -> Arc<Notify> {
        let mut bells = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(destination.to_owned()).or_default())
    }

    #[cfg(test)]
    pub(super) fn knows(&self, destination: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(destination)
    }

    /// The lane has ended.
    pub(super) fn forget(&self, destination: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(destination);
    }
}
