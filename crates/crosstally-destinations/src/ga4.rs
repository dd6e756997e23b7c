//! Google Analytics 4: the Measurement Protocol of a web stream.
//!
//! One request is about one visitor, so each event is a request of its own. Google answers every call alike, which makes
//! "taken, not proven" the best that can be known. The rules and their sources stand in `docs/destinations/ga4.md`.

use crate::dialect::{TestMode, Told};
use crate::platform::Platform;

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

/// The dialect of the Measurement Protocol.
pub static GA4: Platform = Platform {
    kind: "ga4",
    help: "A web stream of Google Analytics 4, through the Measurement Protocol.",
    fields: config::FIELDS,
    test_mode: TestMode::Flag("validate_only"),
    check: config::check,
    limits: request::LIMITS,
    told: Told { denial: true, asked_in_europe: true, ..Told::LIMITS },
    adjusts: request::is_refund,
    recognises_for_ms: None,
    max_age_ms: |_| request::AGE_MAX_MS,
    write: request::write,
    request: request::request,
    read: response::read,
};
