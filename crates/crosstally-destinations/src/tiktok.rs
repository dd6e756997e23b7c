//! TikTok: the Events API, version 1.3, with the payload that TikTok calls Events API 2.0.
//!
//! The rules and their sources stand in `docs/destinations/tiktok.md`.

use crosstally_core::time::DAY_MS;

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of TikTok's Events API.
pub static TIKTOK: Platform = Platform {
    kind: "tiktok",
    help: "A pixel or event set of TikTok, through the Events API.",
    fields: config::FIELDS,
    test_mode: TestMode::Code {
        setting: "test_event_code",
        from: "Events Manager, Test Events",
        counts: false,
    },
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
