//! How many calls a destination with a rate of its own gets: a bucket of which only the time is kept at which it is full
//! again. Pure; who asks waits.

use crosstally_core::config::Rate;
use crosstally_core::time::Timestamp;

const SECOND_US: i64 = 1_000_000;
const MS_US: i64 = 1_000;
/// Calls gather for one part of this many of a second before any is leased: one at a time would cost a lease's transaction
/// each.
const GATHERINGS_PER_SECOND: u32 = 10;

/// Calls that may be made besides, when a batch is halved or what was in hand goes on, and are paid back: as many as halving
/// may take.
const OVERDRAFT_MAX: i64 = 256;

/// What is left of a rate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    /// In microseconds.
    full_at: i64,
}

/// A rate in microseconds.
struct Bucket {
    each: i64,
    depth: i64,
    overdraft: i64,
}

impl Bucket {
    fn of(rate: Rate) -> Self {
        let each = (SECOND_US / i64::from(rate.per_second.max(1))).max(1);
        Self {
            each,
            depth: each.saturating_mul(i64::from(rate.burst.max(1))),
            overdraft: each.saturating_mul(OVERDRAFT_MAX),
        }
    }
}

impl Allowance {
    /// How many of so many calls may begin now; if none, when the next one may.
    pub(super) fn of(&mut self, rate: Rate, now: Timestamp, wanted: usize) -> Result<usize, Timestamp> {
        let bucket = Bucket::of(rate);
        let now = now.as_millis().saturating_mul(MS_US);
        // Kept: a clock that was set back once must not hold it up again each time.
        self.full_at = self.full_at(now, &bucket);
        let room = now.saturating_add(bucket.depth).saturating_sub(self.full_at);
        let least = (rate.per_second / GATHERINGS_PER_SECOND).min(rate.burst).max(1);
        let least = usize::try_from(least).unwrap_or(usize::MAX).min(wanted).max(1);
        match usize::try_from(room / bucket.each).unwrap_or(0) {
            calls if calls < least => {
                let wait =
                    bucket.each.saturating_mul(i64::try_from(least).unwrap_or(i64::MAX)).saturating_sub(room);
                Err(Timestamp::from_millis(now.saturating_add(wait).saturating_add(MS_US - 1) / MS_US))
            }
            calls => Ok(calls.min(wanted)),
        }
    }

    /// So many calls begin.
    pub(super) fn take(&mut self, rate: Rate, now: Timestamp, calls: usize) {
        let bucket = Bucket::of(rate);
        let now = now.as_millis().saturating_mul(MS_US);
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.full_at = self.full_at(now, &bucket).saturating_add(bucket.each.saturating_mul(calls));
    }

    /// Instead of so many calls so many were made.
    pub(super) fn correct(&mut self, rate: Rate, now: Timestamp, begun_for: usize, made: usize) {
        self.take(rate, now, made.saturating_sub(begun_for));
        let bucket = Bucket::of(rate);
        let unused = i64::try_from(begun_for.saturating_sub(made)).unwrap_or(i64::MAX);
        self.full_at = self.full_at.saturating_sub(bucket.each.saturating_mul(unused));
    }

    /// A clock that was set back leaves the bucket empty for no longer than it takes to fill after all that one batch can
    /// overdraw.
    fn full_at(self, now: i64, bucket: &Bucket) -> i64 {
        self.full_at.clamp(now, now.saturating_add(bucket.depth.saturating_add(bucket.overdraft)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_201_600_000);

    #[test]
    fn a_rate_is_kept_and_a_burst_is_given_once() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut allowance = Allowance::default();
        assert_eq!(allowance.of(rate, NOW, 2), Ok(2));
        assert_eq!(allowance.of(rate, NOW, 100), Ok(3));
        allowance.take(rate, NOW, 3);
        assert_eq!(allowance.of(rate, NOW, 1), Err(NOW.plus_millis(100)));
        assert_eq!(allowance.of(rate, NOW.plus_millis(99), 1), Err(NOW.plus_millis(100)));
        assert_eq!(allowance.of(rate, NOW.plus_millis(100), 9), Ok(1));
        allowance.take(rate, NOW.plus_millis(100), 1);
        assert_eq!(allowance.of(rate, NOW.plus_millis(10_000), 100), Ok(3));
        let rate = Rate { per_second: 100, burst: 50 };
        let mut allowance = Allowance::default();
        allowance.take(rate, NOW, 50);
        assert_eq!(allowance.of(rate, NOW.plus_millis(10), 99), Err(NOW.plus_millis(100)), "they gather");
        assert_eq!(allowance.of(rate, NOW.plus_millis(10), 1), Ok(1));
    }

    #[test]
    fn what_began_unasked_is_paid_back_and_no_clock_keeps_it_shut() {
        let rate = Rate { per_second: 1, burst: 1 };
        let mut allowance = Allowance::default();
        allowance.take(rate, NOW, 50);
        assert_eq!(allowance.of(rate, NOW, 1), Err(NOW.plus_millis(50_000)));
        allowance.correct(rate, NOW, 1, 3);
        assert_eq!(allowance.of(rate, NOW, 1), Err(NOW.plus_millis(52_000)), "nothing is forgiven");
        let day_ago = NOW.plus_millis(-24 * 3_600_000);
        for waited_s in [0, 100, 256] {
            let then = day_ago.plus_millis(waited_s * 1_000);
            assert_eq!(allowance.of(rate, then, 1), Err(day_ago.plus_millis(257_000)), "{waited_s}");
        }
        assert_eq!(allowance.of(rate, day_ago.plus_millis(257_000), 1), Ok(1));
        let mut allowance = Allowance::default();
        allowance.take(rate, NOW, 1);
        allowance.correct(rate, NOW, 1, 0);
        assert_eq!(allowance.of(rate, NOW, 1), Ok(1), "what was not sent");
        allowance.correct(rate, NOW, 0, 1);
        assert_eq!(allowance.of(rate, NOW, 1), Err(NOW.plus_millis(1_000)), "what was sent besides");
        let fast = Rate { per_second: u32::MAX, burst: u32::MAX };
        let mut allowance = Allowance::default();
        assert_eq!(allowance.of(fast, NOW, 512), Ok(512));
    }
}
