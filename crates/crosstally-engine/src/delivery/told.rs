//! One log line when a destination is paused or its calls come to nothing, and one when it goes on, however many calls find
//! out.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crosstally_core::time::{MINUTE_MS, Timestamp};
use crosstally_store::{DestinationState, Outage};

/// What a lane has told about its destination.
#[derive(Debug, Default)]
pub(super) struct Told {
    paused: AtomicBool,
    fails: AtomicBool,
    /// When an outage was told last: some destinations fail and go on many times a minute.
    fails_at: AtomicI64,
}

impl Told {
    /// How the destination stands, as the store has it: somebody else may have paused it or let it go on.
    pub(super) fn seen(&self, state: Option<&DestinationState>) {
        if let Some(state) = state {
            self.about(None, state);
        }
    }

    /// A call or a look at the settings has changed the state.
    pub(super) fn about(&self, before: Option<&DestinationState>, now: &DestinationState) {
        let was_paused = before.is_some_and(|before| before.paused.is_some());
        match now.paused {
            Some(reason) => {
                if !self.paused.swap(true, Ordering::Relaxed) && !was_paused {
                    let about = reason.about();
                    tracing::warn!(
                        destination = now.destination,
                        reason = about.code,
                        fix = about.fix,
                        "paused: {}",
                        about.sentence
                    );
                }
            }
            None => {
                if self.paused.swap(false, Ordering::Relaxed) || was_paused {
                    tracing::info!(destination = now.destination, "goes on");
                }
            }
        }
    }

    /// Whether its calls come to nothing.
    pub(super) fn outage(&self, destination: &str, outage: Option<&Outage>, now: Timestamp) {
        let Some(outage) = outage else {
            if self.fails.swap(false, Ordering::Relaxed) {
                tracing::info!(destination, "goes on");
            }
            return;
        };
        let told_at = Timestamp::from_millis(self.fails_at.load(Ordering::Relaxed));
        if now.millis_since(told_at).abs() >= MINUTE_MS && !self.fails.swap(true, Ordering::Relaxed) {
            self.fails_at.store(now.as_millis(), Ordering::Relaxed);
            let about = outage.reason.about();
            let (reason, fix) = (about.code, about.fix);
            tracing::warn!(destination, reason, fix, "fails, and is tried again: {}", about.sentence);
        }
    }
}
