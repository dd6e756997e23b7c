//! The sandbox itself: what all routes share. Knows no route and no platform rule.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chance;
use crate::faults::Faults;
use crate::ledger::Ledger;

/// Says what time it is: UTC milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the sandbox may keep in memory. When a list is full its oldest rows go; counts and deduplication stay exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Accepted events kept with their full text.
    pub events_max: usize,
    /// Bytes of accepted events kept.
    pub event_bytes_max: usize,
    /// Duplicates kept with their full text.
    pub duplicates_max: usize,
    /// Refused requests kept.
    pub refused_max: usize,
    /// Bytes of duplicates kept, and as many of refused requests.
    pub other_bytes_max: usize,
    /// Keys of events that could still be duplicated; past it, calls are refused.
    pub dedup_keys_max: usize,
    /// Bytes of one request body; a longer one is answered 413, never cut.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_max: 2_000_000,
            event_bytes_max: 2 << 30,
            duplicates_max: 100_000,
            refused_max: 10_000,
            other_bytes_max: 128 << 20,
            dedup_keys_max: 20_000_000,
            body_bytes_max: 16 << 20,
        }
    }
}

/// One sandbox. Clones share everything.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    now: Clock,
    limits: Limits,
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
    calls: AtomicU64,
    connections: AtomicUsize,
}

impl Sandbox {
    /// An empty sandbox with this clock.
    #[must_use]
    pub fn new(now: Clock) -> Self {
        Self::with_limits(now, Limits::default())
    }

    /// An empty sandbox that keeps no more than `limits`.
    #[must_use]
    pub fn with_limits(now: Clock, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                now,
                limits,
                ledger: Mutex::new(Ledger::new(limits.into())),
                faults: Mutex::new(Faults::default()),
                calls: AtomicU64::new(0),
                connections: AtomicUsize::new(0),
            }),
        }
    }

    /// Forgets all events, counts and faults.
    pub fn clear(&self) {
        *self.ledger() = Ledger::new(self.shared.limits.into());
        *self.faults() = Faults::default();
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.shared.now)()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// The events and counts. Never held across an await.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults. Never held across an await.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(&self.shared))
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// A trace id that no other answer of this sandbox has.
    pub(crate) fn next_trace_id(&self) -> String {
        chance::trace_id(self.shared.calls.fetch_add(1, Ordering::Relaxed))
    }
}

/// An open connection.
pub(crate) struct Connected(Arc<Shared>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl From<Limits> for crate::ledger::Room {
    fn from(limits: Limits) -> Self {
        Self {
            events_max: limits.events_max,
            event_bytes_max: limits.event_bytes_max,
            duplicates_max: limits.duplicates_max,
            refused_max: limits.refused_max,
            other_bytes_max: limits.other_bytes_max,
            dedup_keys_max: limits.dedup_keys_max,
        }
    }
}
