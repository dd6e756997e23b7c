//! How a lane learns that the server stops: first no further calls, then the present one is cut off.

use tokio::sync::watch;

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// No stop.
    Working,
    /// The call in hand ends, everything else is given back.
    Draining,
    /// The call in hand is cut off as well.
    Cutting,
}

/// The stop as the workers see it.
#[derive(Debug, Clone)]
pub(super) struct Stopping(watch::Receiver<Phase>);

impl Stopping {
    pub(super) fn new() -> (watch::Sender<Phase>, Self) {
        let (phase, seen) = watch::channel(Phase::Working);
        (phase, Self(seen))
    }

    /// Whether no further call may be made.
    pub(super) fn asked(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Waits until the stop has come this far. Without anybody left to stop it, that is never.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut seen = self.0.clone();
        if seen.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
