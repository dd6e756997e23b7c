//! Liveness, readiness, metrics.

use crosstally_core::fx::Day;
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

/// Whether Global Privacy Control is obeyed here, as its specification asks sites to say: not where the configuration ignores
/// it.
pub(crate) fn gpc(state: &State) -> Answer {
    let snapshot = state.engine.snapshot.load();
    let mut said = serde_json::json!({"gpc": snapshot.obeys_gpc()});
    if snapshot.version > 0 {
        said["lastUpdate"] = Day::of(snapshot.applied_at).to_string().into();
    }
    json(StatusCode::OK, &said)
}

/// Prometheus text.
pub(crate) fn metrics(state: &State) -> Answer {
    crate::answer::body(StatusCode::OK, "text/plain; version=0.0.4", state.engine.metrics.render())
}
