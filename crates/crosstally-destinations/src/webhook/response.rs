//! What a receiver's answer means: its status alone, as Standard Webhooks says.

use crosstally_core::delivery::Outcome;
use crosstally_core::time::Timestamp;

use crate::answer::of_partner;
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    of_partner(settings, response, now, |said| Reading::whole(Outcome::Delivered, said))
}
