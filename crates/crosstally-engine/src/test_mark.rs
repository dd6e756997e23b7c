//! The mark of a test that this installation makes itself: behind the query of a click link or a postback, good for some
//! minutes, and made by nobody who has not the installation's key. What is marked is checked like the real thing and
//! counts nowhere.

use crosstally_core::preflight::{self, MARK_DIGITS, MARK_LIFE_MS};
use crosstally_core::secret::Secret;
use crosstally_core::time::Timestamp;

use crate::Engine;
use crate::keys::{Keys, hex_of};

/// Digits of the time.
const TIME_DIGITS: usize = 8;

/// What a mark is good for, by its slug.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MarkedFor<'a> {
    /// The link of this campaign.
    Link(&'a str),
    /// Steps to this offer.
    Step(&'a str),
    /// The door of this partner.
    Partner(&'a str),
}

impl Engine {
    /// A mark for calls of the next minutes, to one campaign's or offer's link or one partner's door.
    pub(crate) fn test_mark(&self, to: MarkedFor<'_>) -> String {
        made(&self.keys, self.clock.now(), to)
    }

    /// Where a query ends before its mark; `None` if it has none that is good.
    pub(crate) fn end_before_mark(&self, query: &[u8], to: MarkedFor<'_>) -> Option<usize> {
        let (end, digits) = preflight::mark(query)?;
        let seconds = u32::from_str_radix(digits.get(..TIME_DIGITS)?, 16).ok()?;
        let age_ms = self.clock.now().as_millis() - i64::from(seconds) * 1_000;
        // Two processes of one installation may differ by a little.
        let is_fresh = (-MARK_LIFE_MS..=MARK_LIFE_MS).contains(&age_ms);
        (is_fresh && Secret::new(mark_of(&self.keys, seconds, to)).matches(digits)).then_some(end)
    }
}

/// The mark of this time.
pub(crate) fn made(keys: &Keys, now: Timestamp, to: MarkedFor<'_>) -> String {
    mark_of(keys, u32::try_from(now.as_seconds()).unwrap_or_default(), to)
}

fn mark_of(keys: &Keys, seconds: u32, to: MarkedFor<'_>) -> String {
    let (what, slug) = match to {
        MarkedFor::Link(campaign) => ("test mark of a link", campaign),
        MarkedFor::Step(offer) => ("test mark of a step", offer),
        MarkedFor::Partner(partner) => ("test mark of a partner", partner),
    };
    let shown = keys.keyed_hash(what, &[&seconds.to_be_bytes(), slug.as_bytes()].concat());
    let mark = format!("{seconds:08x}{}", hex_of(shown));
    debug_assert_eq!(mark.len(), MARK_DIGITS, "readers look for a mark of this length");
    mark
}
