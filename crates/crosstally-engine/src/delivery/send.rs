//! One request to a destination and its answer: no longer than a call may take, and no longer than a stop lets it. Whether to
//! send, and what the answer means, is its callers' business.

use crosstally_core::reason::Reason;
use crosstally_destinations::dialect::{Request, Response};

use super::stopping::{Phase, Stopping};
use crate::Engine;
use crate::http_out::{SendError, SendOptions};
use crate::snapshot::ReadyDestination;

/// How long a call may take. Tests of destinations that hang have no ten seconds.
pub(super) const CALL_MS_MAX: u64 = if cfg!(test) { 5_000 } else { 10_000 };

/// Sends a request of a destination. A stop that comes as far as `cut` cuts it off.
pub(super) async fn send(
    engine: &Engine,
    ready: &ReadyDestination,
    (stopping, cut): (&Stopping, Phase),
    request: &Request,
) -> Result<Response, SendError> {
    let options = SendOptions {
        deadline_ms: CALL_MS_MAX,
        allow_private: ready.config.allow_private,
        ..SendOptions::default()
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
