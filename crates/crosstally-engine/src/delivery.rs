//! Delivery: leases due events, builds the requests, sends them, reads the answers, settles.

/// Wakes the delivery lanes; a hint, never the truth.
#[derive(Debug, Clone, Default)]
pub struct Wakeups;

impl Wakeups {
    /// Something may be due for this destination.
    pub fn wake(&self, _destination: &str) {}
}
