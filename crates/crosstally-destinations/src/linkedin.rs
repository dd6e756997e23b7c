//! LinkedIn: the Conversions API.
//!
//! One bad event sinks the whole batch, but LinkedIn names its place, so its neighbours go again without it. The rules and
//! their sources stand in `docs/destinations/linkedin.md`.

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of LinkedIn's Conversions API.
pub static LINKEDIN: Platform = Platform {
    kind: "linkedin",
    help: "Conversion rules of LinkedIn, through the Conversions API.",
    fields: config::FIELDS,
    test_mode: TestMode::Missing("make a conversion rule of its own for tests"),
    check: config::check,
    limits: request::LIMITS,
    told: Told::NOTHING,
    adjusts: |_, _| false,
    recognises_for_ms: None,
    max_age_ms: |_| request::AGE_MAX_MS,
    write: request::write,
    request: request::request,
    read: response::read,
};
