//! How many calls are taken: of a partner who has shown who it is, and of strangers by their address. Time and patience
//! are the caller's; nothing here waits.
//!
//! A bucket is one number, the time at which it is full again, so the whole is smaller than a library for it; and the
//! keyed limiters of `governor` have their own clock and no cap on their memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crosstally_core::config::Rate;
use crosstally_core::fraud::neighbourhood;
use crosstally_core::time::Timestamp;

/// How long a partner's call waits for its turn rather than being turned away.
pub const PATIENCE_MS: i64 = 2_000;
/// What an address may send that shows nothing good.
const STRANGERS: Rate = Rate { per_second: 20, burst: 500 };
/// What the browsers behind one address may tell: a whole office or mobile network may share it.
const BROWSERS: Rate = Rate { per_second: 100, burst: 2_000 };
/// Addresses that are remembered; two generations of half of them.
const ADDRESSES_MAX: usize = 16_384;
const MICROS: i64 = 1_000;

/// The budgets of one process.
#[derive(Debug, Default)]
pub struct Throttle {
    partners: Mutex<HashMap<String, Bucket>>,
    strangers: Mutex<Generations>,
    browsers: Mutex<Generations>,
    away: Mutex<HashMap<String, Away>>,
}

/// A sender's calls that were turned away.
#[derive(Debug, Default)]
struct Away {
    /// The second of the last one that was told.
    told_s: i64,
    /// Those after it that nothing tells of yet.
    untold: u64,
}

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once.
    Now,
    /// After this many milliseconds; the place in the queue is taken.
    After(u64),
    /// Not at all.
    TurnedAway,
}

/// A budget of calls.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// The time at which it is full again, in microseconds.
    full_at: i64,
    /// When it was last asked.
    asked_at: i64,
}

impl Bucket {
    /// Takes so many at once; `patience` is how long the taker would wait. Whose first has its turn has it for all of
    /// them, as a list is never taken in part, and those after it wait the longer.
    fn take(&mut self, count: u32, rate: Rate, now: Timestamp, patience_ms: i64) -> Turn {
        let now = now.as_millis().saturating_mul(MICROS);
        let each = (1_000 * MICROS / i64::from(rate.per_second.max(1))).max(1);
        let depth = each.saturating_mul(i64::from(rate.burst.max(1)));
        // A clock that was set back leaves no bucket empty for longer than single calls do.
        let latest = if now < self.asked_at { depth.saturating_add(patience_ms * MICROS) } else { i64::MAX };
        let full_at = self.full_at.clamp(now, now.saturating_add(latest));
        *self = Self { full_at, asked_at: now };
        let next = full_at.saturating_add(each);
        let wait = next.saturating_sub(now).saturating_sub(depth);
        if wait > patience_ms * MICROS {
            return Turn::TurnedAway;
        }
        self.full_at = full_at.saturating_add(each.saturating_mul(i64::from(count.max(1))));
        match u64::try_from(wait) {
            Ok(wait @ 1..) => Turn::After(wait.div_ceil(MICROS.unsigned_abs())),
            _ => Turn::Now,
        }
    }
}

/// Buckets by address. When the young ones are many the old ones go: memory is bounded and each step costs the same,
/// whoever invents addresses.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Bucket>,
    old: HashMap<u64, Bucket>,
}

impl Generations {
    fn bucket(&mut self, key: u64) -> &mut Bucket {
        if self.young.len() >= ADDRESSES_MAX / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&key).unwrap_or_default();
        self.young.entry(key).or_insert(known)
    }
}

impl Throttle {
    /// Takes a partner's call of so many rows, which has shown that it is the partner's.
    pub fn partner(&self, slug: &str, rows: u32, rate: Rate, now: Timestamp) -> Turn {
        let mut partners = self.partners.lock().unwrap_or_else(PoisonError::into_inner);
        // Slugs come from the configuration, so they are few.
        if let Some(bucket) = partners.get_mut(slug) {
            return bucket.take(rows, rate, now, PATIENCE_MS);
        }
        partners.entry(slug.to_owned()).or_default().take(rows, rate, now, PATIENCE_MS)
    }

    /// Takes one call of somebody who has shown nothing good; whether it may still cost something.
    pub fn stranger(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.bucket(key_of(address)).take(1, STRANGERS, now, 0) == Turn::Now
    }

    /// Takes one call of a browser.
    pub fn browser(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let mut browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        browsers.bucket(key_of(address)).take(1, BROWSERS, now, 0) == Turn::Now
    }

    /// Notes that a call was turned away. Once a second there is one to tell of, with the number of those before it that
    /// nothing tells of: a receipt for each call of a flood would be the flood's second victim. `sender` is a slug of the
    /// configuration, or one word for all strangers.
    pub fn turned_away(&self, sender: &str, now: Timestamp) -> Option<u64> {
        let second = now.as_millis().div_euclid(1_000);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match away.get_mut(sender) {
            Some(known) => known,
            None => away.entry(sender.to_owned()).or_insert(Away { told_s: i64::MIN, untold: 0 }),
        };
        if known.told_s == second {
            known.untold += 1;
            return None;
        }
        known.told_s = second;
        Some(std::mem::take(&mut known.untold))
    }

    /// Takes the calls turned away of which nothing has told for a whole second: no later one brings their number to light.
    /// `all` takes those of this second as well.
    pub fn untold(&self, now: Timestamp, all: bool) -> Vec<(String, u64)> {
        let second = now.as_millis().div_euclid(1_000);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = away.iter_mut().filter(|(_, known)| {
            let is_over = second < known.told_s || second > known.told_s.saturating_add(1);
            known.untold > 0 && (all || is_over)
        });
        quiet.map(|(sender, known)| (sender.clone(), std::mem::take(&mut known.untold))).collect()
    }

    /// Takes calls back of which nothing could tell after all.
    pub fn not_told(&self, sender: &str, calls: u64) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = away.get_mut(sender) {
            known.untold = known.untold.saturating_add(calls);
        }
    }

    /// How many addresses are remembered.
    #[must_use]
    pub fn addresses(&self) -> usize {
        let strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.young.len() + strangers.old.len()
    }
}

/// One key for an IPv4 address, one for a whole /64 of IPv6: whoever has one address of it has them all.
fn key_of(address: Option<IpAddr>) -> u64 {
    address.map_or(0, neighbourhood)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::net::Ipv6Addr;

    use super::*;

    const RATE: Rate = Rate { per_second: 100, burst: 200 };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_795_255_200_000 + ms)
    }

    #[test]
    fn a_partner_waits_for_its_turn_and_is_turned_away_when_the_wait_is_long() {
        let throttle = Throttle::default();
        let turns: Vec<Turn> = (0..500).map(|_| throttle.partner("acme", 1, RATE, at(0))).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Now).count(), 200);
        assert_eq!(turns[200], Turn::After(10));
        assert_eq!(turns[399], Turn::After(2_000));
        assert_eq!(turns[400], Turn::TurnedAway);
        assert_eq!(
            throttle.partner("other", 1, RATE, at(0)),
            Turn::Now,
            "everybody has a budget of their own"
        );
        assert_eq!(throttle.partner("acme", 1, RATE, at(10)), Turn::After(2_000));
        assert_eq!(throttle.partner("acme", 1, RATE, at(60_000)), Turn::Now);
    }

    #[test]
    fn the_rows_of_a_list_are_charged_one_by_one() {
        let throttle = Throttle::default();
        // A list that is longer than the budget is taken all the same; whoever comes next waits for all of it.
        assert_eq!(throttle.partner("acme", 1_000, RATE, at(0)), Turn::Now);
        assert_eq!(throttle.partner("acme", 1, RATE, at(0)), Turn::TurnedAway);
        assert_eq!(throttle.partner("acme", 1, RATE, at(5_000)), Turn::TurnedAway);
        assert_eq!(throttle.partner("acme", 1_000, RATE, at(6_010)), Turn::After(2_000));
        assert_eq!(throttle.partner("acme", 1, RATE, at(8_010)), Turn::TurnedAway);
        assert_eq!(throttle.partner("acme", 1, RATE, at(60_000)), Turn::Now);
    }

    #[test]
    fn a_flood_is_told_of_once_a_second_and_every_call_is_counted() {
        let throttle = Throttle::default();
        let told: Vec<_> = (0..3_000).filter_map(|ms| throttle.turned_away("acme", at(ms))).collect();
        assert_eq!(told, [0, 999, 999]);
        assert_eq!(throttle.turned_away("other", at(0)), Some(0), "everybody is told of apart");
        assert_eq!(
            throttle.turned_away("acme", at(90_000)),
            Some(999),
            "what was not told of is not forgotten"
        );
        assert_eq!(throttle.turned_away("acme", at(0)), Some(0), "also when the clock was set back");
    }

    #[test]
    fn the_end_of_a_flood_is_told_of_when_it_is_over() {
        let throttle = Throttle::default();
        for ms in 0..1_500 {
            throttle.turned_away("acme", at(ms));
        }
        throttle.turned_away("other", at(0));
        assert!(throttle.untold(at(2_999), false).is_empty(), "a flood that goes on tells of itself");
        assert_eq!(throttle.untold(at(3_000), false), [("acme".to_owned(), 499)]);
        assert!(throttle.untold(at(60_000), true).is_empty(), "once");
        throttle.not_told("acme", 499);
        assert_eq!(throttle.untold(at(1_600), true), [("acme".to_owned(), 499)], "at a stop, at once");
        throttle.not_told("acme", 499);
        assert_eq!(
            throttle.untold(at(0), false),
            [("acme".to_owned(), 499)],
            "also when the clock was set back"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_starves_nobody() {
        let throttle = Throttle::default();
        for _ in 0..200 {
            throttle.partner("acme", 1, RATE, at(86_400_000));
        }
        assert!(matches!(throttle.partner("acme", 1, RATE, at(0)), Turn::TurnedAway | Turn::After(_)));
        assert_eq!(throttle.partner("acme", 1, RATE, at(5_000)), Turn::Now);
    }

    #[test]
    fn c6_ten_million_addresses_of_one_network_are_one_key_and_memory_is_capped() {
        let throttle = Throttle::default();
        let mut let_in = 0;
        for number in 0..10_000_000_u64 {
            let address = Ipv6Addr::from(0x2001_0db8_0000_0007_u128 << 64 | u128::from(number));
            let_in += u32::from(throttle.stranger(Some(address.into()), at(0)));
        }
        assert_eq!((let_in, throttle.addresses()), (STRANGERS.burst, 1));
        for number in 0..100_000_u128 {
            let address = Ipv6Addr::from((0x2001_0db8_0001_0000_u128 + number) << 64);
            throttle.stranger(Some(address.into()), at(0));
            assert!(throttle.addresses() <= ADDRESSES_MAX);
        }
        let mapped: IpAddr = "::ffff:203.0.113.9".parse().unwrap();
        assert_eq!(key_of(Some(mapped)), key_of(Some("203.0.113.9".parse().unwrap())));
    }
}
