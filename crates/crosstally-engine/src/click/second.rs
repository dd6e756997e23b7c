//! The second of two pages: what the first asks for holds the target, sealed with the installation's key, so that nobody
//! else can make one. A link that was passed around leads nowhere after a while, and never to where the configuration did
//! not lead.

use crosstally_core::time::{HOUR_MS, Timestamp};

use crate::Engine;

/// The parameter that holds a sealed target.
pub const SECOND_PARAM: &str = "ct_to";
/// What a target is sealed for.
const RECORD: &str = "second page";

impl Engine {
    /// The query that leads from the first page to the second.
    pub(super) fn second_page(&self, target: &str) -> String {
        let sealed = self.keys.seal(RECORD, &format!("{} {target}", self.clock.now().as_millis()));
        format!("?{SECOND_PARAM}={sealed}")
    }

    /// Where the second page leads; `None` if nobody of ours sealed it, or long ago.
    #[must_use]
    pub fn second_target(&self, query: &str) -> Option<String> {
        let sealed = query.strip_prefix(SECOND_PARAM)?.strip_prefix('=')?.split('&').next()?;
        let opened = self.keys.unseal(RECORD, sealed)?;
        let (at, target) = opened.split_once(' ')?;
        let age_ms = self.clock.now().millis_since(Timestamp::from_millis(at.parse().ok()?));
        (age_ms <= HOUR_MS).then(|| target.to_owned())
    }
}
