//! Reddit: the Conversions API, version 3.
//!
//! The rules and their sources stand in `docs/destinations/reddit.md`.

use crosstally_core::time::DAY_MS;

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of Reddit's Conversions API.
pub static REDDIT: Platform = Platform {
    kind: "reddit",
    help: "A pixel of Reddit, through the Conversions API.",
    fields: config::FIELDS,
    test_mode: TestMode::Code { setting: "test_id", from: "Events Manager, Event Testing", counts: false },
    check: config::check,
    limits: request::LIMITS,
    told: Told::LIMITS,
    adjusts: |_, _| false,
    recognises_for_ms: Some(2 * DAY_MS),
    max_age_ms: config::max_age_ms,
    write: request::write,
    request: request::request,
    read: response::read,
};
