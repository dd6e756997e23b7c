//! What a receiver's answer means: its status alone, as Standard Webhooks says.

use crosstally_core::delivery::Outcome;
use crosstally_core::time::Timestamp;

use super::sign::bare;
use crate::answer::of_partner;
use crate::dialect::{Reading, Response, Settings};

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    // Receivers know a secret without its prefix, too, and may repeat it so.
    let bare = settings.secrets.iter().map(|(name, secret)| (format!("{name}, bare"), bare(secret)));
    let known = settings.secrets.clone().into_iter().chain(bare).collect();
    // Of the settings, only the secrets count here.
    let known = Settings { secrets: known, ..Settings::default() };
    of_partner(&known, response, now, |said| Reading::whole(Outcome::Delivered, said))
}
