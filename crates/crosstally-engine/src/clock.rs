//! The only place that asks what time it is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crosstally_core::time::Timestamp;
use tokio::sync::Notify;

/// A wait that somebody else's clock decides about.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present wall-clock time, for what is stored.
    fn now(&self) -> Timestamp;
    /// Waits by a clock that never jumps.
    fn sleep(&self, ms: u64) -> Sleep<'_>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep(&self, ms: u64) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

/// Time since it was first asked, by a clock that never jumps: for measuring how long something takes, never for deciding
/// what is true.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the clock that never jumps is read")]
pub fn watch() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

/// A clock that a test moves by hand. Sleepers wake when it has been moved past their time.
#[derive(Debug, Clone)]
pub struct FakeClock {
    now: Arc<AtomicI64>,
    moved: Arc<Notify>,
}

impl FakeClock {
    /// A clock that stands at this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: Arc::new(AtomicI64::new(now.as_millis())), moved: Arc::new(Notify::new()) }
    }

    /// Moves the clock.
    pub fn advance(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, ms: u64) -> Sleep<'_> {
        let until = self.now().plus_millis(i64::try_from(ms).unwrap_or(i64::MAX));
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if self.now() >= until {
                    return;
                }
                moved.await;
            }
        })
    }
}
