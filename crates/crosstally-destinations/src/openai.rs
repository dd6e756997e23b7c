//! OpenAI Ads: the Conversions API of ads in ChatGPT, version 1.
//!
//! The rules and their sources stand in `docs/destinations/openai.md`.

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of OpenAI's Conversions API.
pub static OPENAI: Platform = Platform {
    kind: "openai",
    help: "A pixel of OpenAI Ads, through the Conversions API.",
    fields: config::FIELDS,
    test_mode: TestMode::Flag("validate_only"),
    check: config::check,
    limits: request::LIMITS,
    told: Told::OPT_OUT,
    adjusts: |_, _| false,
    recognises_for_ms: None,
    max_age_ms: config::max_age_ms,
    write: request::write,
    request: request::request,
    read: response::read,
};
