//! Liveness, readiness, metrics.

use http::StatusCode;

use crate::answer::{Answer, json, text};
use crate::state::State;

/// The process answers.
pub(crate) fn healthz() -> Answer {
    text(StatusCode::OK, "ok\n")
}

/// The process can do its work: a write gets through to disk.
pub(crate) async fn readyz(state: &State) -> Answer {
    let snapshot = state.engine.snapshot.load();
    match state.engine.store.check_writable().await {
        Ok(()) => {
            let ready = serde_json::json!({"ready": true, "store": state.engine.store.kind(), "config_version": snapshot.version});
            json(StatusCode::OK, &ready)
        }
        Err(error) => {
            tracing::warn!(error = %error, "not ready: the store does not take writes");
            let ready = serde_json::json!({"ready": false, "store": state.engine.store.kind(), "why": "the store does not take writes"});
            json(StatusCode::SERVICE_UNAVAILABLE, &ready)
        }
    }
}

/// Prometheus text.
pub(crate) fn metrics(state: &State) -> Answer {
    crate::answer::body(StatusCode::OK, "text/plain; version=0.0.4", state.engine.metrics.render())
}
