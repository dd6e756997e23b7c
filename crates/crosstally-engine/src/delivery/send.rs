//! One request to a destination and its answer: no longer than a call may take, and no longer than a stop lets it. Whether to
//! send, and what the answer means, is its callers' business.

use crosstally_core::limits::{RESPONSE_READ_BYTES, RESPONSE_READ_BYTES_EACH, RESPONSE_READ_BYTES_MAX};
use crosstally_core::reason::Reason;
use crosstally_destinations::dialect::{Request, Response};

use super::stopping::{Phase, Stopping};
use crate::Engine;
use crate::http_out::{SendError, SendOptions};
use crate::snapshot::ReadyDestination;

/// How long a call may take. Tests of destinations that hang have no ten seconds.
pub(super) const CALL_MS_MAX: u64 = if cfg!(test) { 5_000 } else { 10_000 };

/// Sends a request of a destination that carries so many events. A stop that comes as far as `cut` cuts it off.
pub(super) async fn send(
    engine: &Engine,
    ready: &ReadyDestination,
    (stopping, cut): (&Stopping, Phase),
    request: &Request,
    events: usize,
) -> Result<Response, SendError> {
    let options = SendOptions {
        deadline_ms: CALL_MS_MAX,
        read_bytes_max: read_bytes_max(events),
        allow_private: ready.config.allow_private,
    };
    tokio::select! {
        answer = engine.http_out.send(request, options) => answer,
        () = stopping.reached(cut) => Err(SendError {
            reason: Reason::OutcomeUnknown,
            detail: "this server was stopped before the answer came".to_owned(),
            may_have_arrived: true,
        }),
    }
}

/// How much of an answer about so many events is read: one that is cut off tells nothing of any of them.
fn read_bytes_max(events: usize) -> usize {
    let more = events.saturating_sub(1).saturating_mul(RESPONSE_READ_BYTES_EACH);
    RESPONSE_READ_BYTES.saturating_add(more).min(RESPONSE_READ_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_many_events_may_be_longer() {
        for (events, bytes) in [(0, 65_536), (1, 65_536), (2, 66_560), (1_000, 1_088_512), (5_000, 4_194_304)]
        {
            assert_eq!(read_bytes_max(events), bytes, "{events}");
        }
        assert_eq!(read_bytes_max(usize::MAX), RESPONSE_READ_BYTES_MAX);
    }
}
