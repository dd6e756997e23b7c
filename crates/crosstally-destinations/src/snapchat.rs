//! Snapchat: the Conversions API, version 3.
//!
//! The rules and their sources stand in `docs/destinations/snapchat.md`.

use crosstally_core::time::DAY_MS;

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of Snapchat's Conversions API.
pub static SNAPCHAT: Platform = Platform {
    kind: "snapchat",
    help: "A pixel or app of Snapchat, through the Conversions API.",
    fields: config::FIELDS,
    test_mode: TestMode::Code {
        setting: "test_event_code",
        from: "Events Manager, Test Events",
        counts: false,
    },
    check: config::check,
    limits: request::LIMITS,
    told: Told::BOTH,
    adjusts: |_, _| false,
    recognises_for_ms: Some(2 * DAY_MS),
    max_age_ms: config::max_age_ms,
    write: request::write,
    request: request::request,
    read: response::read,
};
