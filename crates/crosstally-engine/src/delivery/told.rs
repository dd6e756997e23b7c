//! One log line when a destination is paused or its calls come to nothing, and one when it goes on, however many calls find
//! out.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crosstally_core::reason::Reason;
use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_store::DestinationState;

/// What a lane has told about its destination.
#[derive(Debug, Default)]
pub(super) struct Told {
    paused: AtomicBool,
    failing: AtomicBool,
    /// When it was told last that calls come to nothing: some destinations fail and go on many times a second.
    failing_at: AtomicI64,
}

impl Told {
    /// How the destination stands, as the store has it: somebody else may have paused it or let it go on.
    pub(super) fn seen(&self, state: Option<&DestinationState>, now: Timestamp) {
        if let Some(state) = state {
            self.about(None, state, now);
        }
    }

    /// A call or a look at the settings has changed the state.
    pub(super) fn about(&self, before: Option<&DestinationState>, state: &DestinationState, now: Timestamp) {
        let was_paused = before.is_some_and(|before| before.paused.is_some());
        if let Some(reason) = state.paused {
            self.failing.store(false, Ordering::Relaxed);
            if !self.paused.swap(true, Ordering::Relaxed) && !was_paused {
                tell(state, reason, "paused");
            }
            return;
        }
        let mut goes_on = self.paused.swap(false, Ordering::Relaxed) || was_paused;
        if let Some(reason) = state.failing {
            if self.is_time(now) && !self.failing.swap(true, Ordering::Relaxed) {
                self.failing_at.store(now.as_millis(), Ordering::Relaxed);
                tell(state, reason, "fails, and is tried again");
            }
        } else {
            goes_on |= self.failing.swap(false, Ordering::Relaxed);
        }
        if goes_on {
            tracing::info!(destination = state.destination, "goes on");
        }
    }

    fn is_time(&self, now: Timestamp) -> bool {
        let told_at = Timestamp::from_millis(self.failing_at.load(Ordering::Relaxed));
        now.millis_since(told_at).abs() >= MINUTE_MS
    }
}

fn tell(state: &DestinationState, reason: Reason, what: &str) {
    let about = reason.about();
    let (code, fix) = (about.code, about.fix);
    tracing::warn!(destination = state.destination, reason = code, fix, "{what}: {}", about.sentence);
}
