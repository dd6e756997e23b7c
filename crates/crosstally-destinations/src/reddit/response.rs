//! What Reddit's answers mean: the status alone. One bad event refuses its batch.

use crosstally_core::time::Timestamp;

use crate::answer::by_status_alone;
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, _sent: usize, now: Timestamp) -> Reading {
    by_status_alone(settings, response, now)
}
