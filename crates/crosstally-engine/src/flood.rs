//! How many clicks came from an address on a campaign lately. A hint in memory of one process, about right: it makes labels,
//! and nothing depends on it.
//!
//! A table of fixed size without a lock. Each place holds one counter in one atomic number: who is counted, in which span
//! of time, and the clicks of that span and of the one before. The clicks of the last span of time are those of the present
//! one and, of the one before, the part that still reaches into it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crosstally_core::fraud::{Often, neighbourhood};
use crosstally_core::time::Timestamp;

/// Counters that share a place to look: as many as one line of a processor's cache holds.
const WAYS: usize = 8;
/// Places to look. 65,536 counters in all, 512 KiB.
const SETS: usize = 8_192;
/// More clicks than the largest limit, so that a counter may stop there.
const COUNT_MAX: u64 = 0xfff;
/// Times that a counter is tried to be moved on while others move it.
const TRIES_MAX: usize = 4;

/// The counters of one process.
pub struct Flood {
    // So that nobody can choose addresses that push others out.
    seed: u64,
    sets: Box<[Set]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// A counter taken apart: 20 bits of who, 20 bits of when, and two counts of 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    who: u64,
    span: u64,
    before: u64,
    present: u64,
}

const BITS_20: u64 = 0xf_ffff;

impl Counter {
    const fn unpack(packed: u64) -> Self {
        Self {
            who: packed >> 44,
            span: packed >> 24 & BITS_20,
            before: packed >> 12 & COUNT_MAX,
            present: packed & COUNT_MAX,
        }
    }

    const fn pack(self) -> u64 {
        self.who << 44 | self.span << 24 | self.before << 12 | self.present
    }

    /// The counter in this span of time.
    fn moved_to(self, span: u64) -> Self {
        match span.wrapping_sub(self.span) & BITS_20 {
            0 => self,
            1 => Self { span, before: self.present, present: 0, ..self },
            _ => Self { span, before: 0, present: 0, ..self },
        }
    }
}

impl std::fmt::Debug for Flood {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Flood(..)")
    }
}

impl Flood {
    /// Counters at zero.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, sets: std::iter::repeat_with(Set::default).take(SETS).collect() }
    }

    /// Counts a click; whether there were too many before it.
    pub fn is_too_often(&self, campaign: &str, address: IpAddr, often: Often, now: Timestamp) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, neighbourhood(address)).hash(&mut hasher);
        campaign.hash(&mut hasher);
        let hash = hasher.finish();
        // Nobody is zero: that is a place where nobody was counted yet.
        let who = (hash >> 44).max(1);
        let at = usize::try_from(hash & 0xffff_ffff).unwrap_or(0) % SETS;
        let Some(set) = self.sets.get(at) else { return false };
        let within = often.within_ms.max(1).unsigned_abs();
        let now = now.as_millis().max(0).unsigned_abs();
        let (span, since) = ((now / within) & BITS_20, now % within);
        let Some(counted) = set.count(who, span) else { return false };
        // Both sides times the span's length, so that nothing is rounded.
        counted.before * (within - since) + counted.present * within > u64::from(often.more_than) * within
    }
}

impl Set {
    /// Adds one click; the counter as it was before it. Nothing if others were faster several times: then it is busy
    /// enough to be counted without this one.
    fn count(&self, who: u64, span: u64) -> Option<Counter> {
        for _ in 0..TRIES_MAX {
            let (place, packed) = self.place(who, span)?;
            let found = Counter::unpack(packed);
            let mine = if found.who == who {
                found.moved_to(span)
            } else {
                Counter { who, span, before: 0, present: 0 }
            };
            let next = Counter { present: (mine.present + 1).min(COUNT_MAX), ..mine };
            if place.compare_exchange(packed, next.pack(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some(mine);
            }
        }
        None
    }

    /// The counter of somebody, or else the place that is missed least: a free one, then one whose time is over, then the
    /// one with the fewest clicks.
    fn place(&self, who: u64, span: u64) -> Option<(&AtomicU64, u64)> {
        let mut best: Option<(u64, (&AtomicU64, u64))> = None;
        for place in &self.0 {
            let packed = place.load(Ordering::Relaxed);
            let counter = Counter::unpack(packed);
            if counter.who == who {
                return Some((place, packed));
            }
            let present = counter.moved_to(span);
            let weight = if packed == 0 { 0 } else { 1 + present.before + present.present };
            if best.as_ref().is_none_or(|(least, _)| weight < *least) {
                best = Some((weight, (place, packed)));
            }
        }
        best.map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::Ipv4Addr;

    use super::*;

    const OFTEN: Often = Often { more_than: 10, within_ms: 60_000 };

    fn at(ms: i64) -> Timestamp {
        // The beginning of a span of time.
        Timestamp::from_millis(1_795_255_200_000 + ms)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_click_after_the_tenth_within_a_minute_is_one_too_many() {
        let flood = Flood::new(1);
        let click = |ms| flood.is_too_often("summer", address("203.0.113.9"), OFTEN, at(ms));
        let marks: Vec<bool> = (0..13).map(click).collect();
        assert_eq!(marks.iter().filter(|mark| **mark).count(), 2, "{marks:?}");
        assert!(!marks[10] && marks[11] && marks[12], "more than ten came before these: {marks:?}");
        // A second into the next minute nearly all of them are still of the last minute.
        assert!(click(61_000));
        // Half of the next minute later half of them are.
        assert!(!click(90_000));
        assert!(!click(240_000), "an hour later nobody remembers");
    }

    #[test]
    fn campaigns_and_addresses_are_counted_apart_and_networks_together() {
        let flood = Flood::new(1);
        let click = |campaign, from| flood.is_too_often(campaign, address(from), OFTEN, at(0));
        for _ in 0..11 {
            click("summer", "203.0.113.9");
            click("summer", "2001:db8:1:2::1");
        }
        assert!(click("summer", "203.0.113.9") && !click("winter", "203.0.113.9"));
        assert!(!click("summer", "203.0.113.10") && click("summer", "::ffff:203.0.113.9"));
        assert!(click("summer", "2001:db8:1:2:3::9") && !click("summer", "2001:db8:1:3::1"));
    }

    #[test]
    fn a_million_addresses_do_not_push_out_the_one_that_floods() {
        let flood = Flood::new(1);
        let bot = address("203.0.113.9");
        let mut marked = 0;
        for number in 0..1_000_000_u32 {
            let other = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
            marked += u32::from(flood.is_too_often("summer", other, OFTEN, at(0)));
            if number % 20_000 == 0 {
                flood.is_too_often("summer", bot, OFTEN, at(0));
            }
        }
        assert!(flood.is_too_often("summer", bot, OFTEN, at(0)));
        // 20 bits and the place tell addresses apart; hardly any two are taken for one.
        assert_eq!(marked, 0);
        assert_eq!(size_of::<Set>() * SETS, 512 * 1_024);
    }

    #[test]
    fn many_threads_lose_hardly_a_click() {
        let flood = Flood::new(1);
        let often = Often { more_than: 1_000, within_ms: 60_000 };
        let marked = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        let mark = flood.is_too_often("summer", address("203.0.113.9"), often, at(0));
                        marked.fetch_add(u64::from(mark), Ordering::Relaxed);
                    }
                });
            }
        });
        let marked = marked.into_inner();
        assert!((2_500..=2_999).contains(&marked), "{marked} of 4,000 clicks");
    }

    #[test]
    fn a_full_counter_stays_full() {
        let counter = Counter { who: BITS_20, span: BITS_20, before: COUNT_MAX, present: COUNT_MAX };
        assert_eq!(Counter::unpack(counter.pack()), counter);
        assert_eq!(counter.moved_to(0).span, 0, "the number of the span begins again after the last");
        assert_eq!(counter.moved_to(0).before, COUNT_MAX);
    }
}
