//! What OpenAI's answers mean: the status alone. One bad event refuses its batch.

use crosstally_core::time::Timestamp;

use crate::answer::{by_status_alone, only_checked};
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    only_checked(by_status_alone(settings, response, now), settings.flag("validate_only"))
}
