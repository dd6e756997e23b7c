//! Pinterest: the API for Conversions, version 5.
//!
//! The rules and their sources stand in `docs/destinations/pinterest.md`.

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of Pinterest's API for Conversions.
pub static PINTEREST: Platform = Platform {
    kind: "pinterest",
    help: "An ad account of Pinterest, through the API for Conversions.",
    fields: config::FIELDS,
    test_mode: TestMode::Flag("test"),
    check: config::check,
    limits: request::LIMITS,
    told: Told::BOTH,
    adjusts: |_, _| false,
    recognises_for_ms: None,
    max_age_ms: config::max_age_ms,
    write: request::write,
    request: request::request,
    read: response::read,
};
