//! One log line when a destination is paused and one when it goes on, however many calls find out.

use std::sync::atomic::{AtomicBool, Ordering};

use crosstally_store::DestinationState;

/// What a lane has told about its destination.
#[derive(Debug, Default)]
pub(super) struct Told {
    paused: AtomicBool,
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
}
