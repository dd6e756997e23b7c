//! How the calls go that are made with the same settings, and how hard a destination is tried that does not answer. In this
//! process only: a restart merely tries once more.
//!
//! Without it a dead destination would burn one attempt of every waiting delivery as fast as the calls fail. Other settings
//! begin a course of their own: what calls with the old ones still come to says nothing of them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;

use super::standing;

/// Failed calls in a row that are taken for bad luck.
pub(super) const BAD_LUCK: u32 = 2;
const FIRST_WAIT_MS: u64 = 250;
/// Short enough that whatever is due goes out within five seconds of the destination's return.
const WAIT_MS_MAX: u64 = 4_000;

/// The course of the calls with the same settings.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The digest of the settings.
    settings_digest: String,
    /// Calls in a row that came to nothing.
    failures: AtomicU32,
    /// What the last of them came to, once they are more than bad luck would do; and whether there is that.
    trouble: Mutex<Option<Trouble>>,
    is_trouble: AtomicBool,
    /// Whether any call came to something of which nobody has been told.
    came_to_something: AtomicBool,
    /// How long the door has been shut to these settings; and whether it is.
    shut: Mutex<Option<Shut>>,
    is_shut: AtomicBool,
}

/// What calls came to that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What the last one came to.
    pub(super) reason: Reason,
    /// In its words.
    pub(super) detail: String,
    /// Since when they are more than bad luck would do.
    pub(super) since: Timestamp,
}

/// How a destination's calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Going {
    /// Too few have ended to tell, or none since it was told last.
    Unknown,
    /// The last one came to something.
    Well,
    /// They come to nothing.
    Fails(Trouble),
}

/// A door found shut.
#[derive(Debug, Clone, Copy)]
struct Shut {
    since: Timestamp,
    again_at: Timestamp,
}

impl Course {
    /// Nothing has been called yet.
    pub(super) fn of(settings_digest: &str) -> Self {
        Self { settings_digest: settings_digest.to_owned(), ..Self::default() }
    }

    /// Whether the calls are made with these settings.
    pub(super) fn is_of(&self, settings_digest: &str) -> bool {
        self.settings_digest == settings_digest
    }

    /// A call has ended, which came to this if to nothing.
    pub(super) fn note(&self, nothing: Option<Trouble>) {
        let Some(trouble) = nothing else {
            self.failures.store(0, Ordering::Relaxed);
            self.came_to_something.store(true, Ordering::Relaxed);
            if self.is_trouble.swap(false, Ordering::Relaxed) {
                *lock(&self.trouble) = None;
            }
            return;
        };
        if self.failures.fetch_add(1, Ordering::Relaxed) >= BAD_LUCK {
            let mut known = lock(&self.trouble);
            let since = known.as_ref().map_or(trouble.since, |known| known.since);
            *known = Some(Trouble { since, ..trouble });
            self.is_trouble.store(true, Ordering::Relaxed);
        }
    }

    /// How they go.
    pub(super) fn going(&self) -> Going {
        if let Some(trouble) = lock(&self.trouble).clone() {
            return Going::Fails(trouble);
        }
        let is_well =
            self.failures.load(Ordering::Relaxed) == 0 && self.came_to_something.load(Ordering::Relaxed);
        if is_well { Going::Well } else { Going::Unknown }
    }

    /// That they go well has been told: until the next one ends, others may know better.
    pub(super) fn told_well(&self) {
        self.came_to_something.store(false, Ordering::Relaxed);
    }

    /// The door was found shut.
    pub(super) fn shut(&self, now: Timestamp) {
        let mut shut = lock(&self.shut);
        let since = shut.map_or(now, |known| known.since);
        *shut = Some(Shut { since, again_at: standing::next_probe(since, now) });
        self.is_shut.store(true, Ordering::Relaxed);
    }

    /// Something was let in.
    pub(super) fn let_in(&self) {
        if self.is_shut.swap(false, Ordering::Relaxed) {
            *lock(&self.shut) = None;
        }
    }

    /// When a door that was found shut is worth a try again, even if others are let in; `None` if it stood open.
    pub(super) fn again_at(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back behind it all says nothing of how long it has been.
        lock(&self.shut).map(|shut| if now < shut.since { now } else { shut.again_at })
    }

    /// How long to wait before the next call.
    pub(super) fn wait_ms(&self) -> u64 {
        wait_ms(self.failures.load(Ordering::Relaxed))
    }

    /// How many calls may be under way.
    pub(super) fn in_flight(&self, most: usize) -> usize {
        if self.is_failing() { 1 } else { most }
    }

    /// Whether more calls in a row came to nothing than bad luck would do.
    pub(super) fn is_failing(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > BAD_LUCK
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_ms(failures: u32) -> u64 {
    match failures.checked_sub(BAD_LUCK + 1) {
        None => 0,
        Some(further) => (FIRST_WAIT_MS << further.min(10)).min(WAIT_MS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_destination_is_tried_ever_more_slowly_and_one_answer_ends_that() {
        let waits: Vec<u64> = (0..9).map(wait_ms).collect();
        assert_eq!(waits, [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000]);
        assert_eq!(wait_ms(u32::MAX), WAIT_MS_MAX);
        let course = Course::of("digest");
        let trouble = |reason, ms| Trouble { reason, detail: "x".into(), since: Timestamp::from_millis(ms) };
        let now = || (course.in_flight(64), course.wait_ms(), course.going());
        assert_eq!(course.going(), Going::Unknown);
        for ms in 0..2 {
            course.note(Some(trouble(Reason::DestTimeout, ms)));
            assert_eq!(now(), (64, 0, Going::Unknown));
        }
        course.note(Some(trouble(Reason::DestTimeout, 2)));
        assert_eq!(now(), (1, 250, Going::Fails(trouble(Reason::DestTimeout, 2))));
        course.note(Some(trouble(Reason::DestServerError, 3)));
        let latest = Going::Fails(trouble(Reason::DestServerError, 2));
        assert_eq!(course.going(), latest, "the latest, since the first");
        course.note(None);
        assert_eq!(now(), (64, 0, Going::Well));
        course.told_well();
        assert_eq!(course.going(), Going::Unknown, "told once");
        course.note(None);
        assert_eq!(course.going(), Going::Well, "another one has ended");
        course.note(Some(trouble(Reason::DestTimeout, 4)));
        assert_eq!(course.going(), Going::Unknown);
    }

    #[test]
    fn a_shut_door_is_left_alone_for_doubling_waits_until_something_is_let_in() {
        let course = Course::of("digest");
        let mut now = Timestamp::from_millis(1_764_201_600_000);
        assert_eq!(course.again_at(now), None);
        let mut waits = Vec::new();
        for _ in 0..7 {
            course.shut(now);
            let again_at = course.again_at(now).unwrap_or(now);
            waits.push(again_at.millis_since(now) / 60_000);
            now = again_at;
        }
        assert_eq!(waits, [1, 1, 2, 4, 8, 15, 15]);
        let back = now.plus_millis(-7 * 86_400_000);
        assert_eq!(course.again_at(back), Some(back), "the clock was set back");
        course.let_in();
        assert_eq!(course.again_at(now), None);
    }
}
