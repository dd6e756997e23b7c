//! Which keys were seen within their window. Knows keys and times, not events.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::row::Source;

/// Below this many keys nothing is swept: looking through them would cost more than they do.
const SWEEP_FROM: usize = 100_000;

/// The first receipt behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) first_ms: i64,
    /// Its number in the list of accepted events.
    pub(crate) accepted: u64,
    /// Where the kept event of this key came from.
    pub(crate) source: Source,
}

/// The live keys. A key's window starts with its first receipt; duplicates do not prolong it.
pub(crate) struct Dedup {
    left: RandomState,
    right: RandomState,
    keys: HashMap<u128, Live>,
    sweep_at: usize,
}

struct Live {
    seen: Seen,
    ends_ms: i64,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            left: RandomState::new(),
            right: RandomState::new(),
            keys: HashMap::new(),
            sweep_at: SWEEP_FROM,
        }
    }
}

impl Dedup {
    pub(crate) fn find(&self, text: &str, now_ms: i64) -> Option<Seen> {
        let live = self.keys.get(&self.digest(text))?;
        (now_ms < live.ends_ms).then_some(live.seen)
    }

    /// Starts the key's window, unless one is running.
    pub(crate) fn register(&mut self, text: &str, window_ms: i64, seen: Seen) {
        if self.keys.len() >= self.sweep_at {
            self.sweep(seen.first_ms);
        }
        let digest = self.digest(text);
        let live = Live { seen, ends_ms: seen.first_ms.saturating_add(window_ms) };
        let running = self.keys.get(&digest).is_some_and(|old| seen.first_ms < old.ends_ms);
        if !running {
            self.keys.insert(digest, live);
        }
    }

    /// Notes that the kept event of a key now comes from elsewhere.
    pub(crate) fn change_source(&mut self, text: &str, source: Source) {
        if let Some(live) = self.keys.get_mut(&self.digest(text)) {
            live.seen.source = source;
        }
    }

    /// Whether `more` keys fit below `max`, after forgetting those whose window is over.
    pub(crate) fn has_room_for(&mut self, more: usize, max: usize, now_ms: i64) -> bool {
        if self.keys.len() + more > max {
            self.sweep(now_ms);
        }
        self.keys.len() + more <= max
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Forgets keys whose window is over. The next sweep waits until the rest has doubled: each key is looked at twice on average.
    fn sweep(&mut self, now_ms: i64) {
        self.keys.retain(|_, live| now_ms < live.ends_ms);
        self.sweep_at = (self.keys.len() * 2).max(SWEEP_FROM);
    }

    /// Two independently keyed hashes: 128 bits that nobody outside can steer.
    fn digest(&self, text: &str) -> u128 {
        let left = u128::from(self.left.hash_one(text));
        let right = u128::from(self.right.hash_one(text));
        (left << 64) | right
    }
}
