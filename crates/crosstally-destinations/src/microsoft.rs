//! Microsoft Advertising: the UET Conversions API, version 1.
//!
//! The rules and their sources stand in `docs/destinations/microsoft.md`.

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of Microsoft's UET Conversions API.
pub static MICROSOFT: Platform = Platform {
    kind: "microsoft",
    help: "A UET tag of Microsoft Advertising, through the UET Conversions API.",
    fields: config::FIELDS,
    test_mode: TestMode::Missing("send to a tag of its own that is for tests"),
    check: config::check,
    limits: request::LIMITS,
    told: Told { denial: true, ..Told::OPT_OUT },
    adjusts: |_, _| false,
    recognises_for_ms: None,
    max_age_ms: config::max_age_ms,
    write: request::write,
    request: request::request,
    read: response::read,
};
