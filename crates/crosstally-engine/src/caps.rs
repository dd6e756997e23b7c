//! How many visitors offers with caps have had: counted in memory, written every second, together with those of all other
//! nodes.
//!
//! No redirect waits for a count. So a cap holds to within what all nodes send in about a second: one node alone never goes
//! over it, several may by as much as the others sent since this one last looked. What a node that is killed had counted
//! and not written, a second's worth at most, is forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crosstally_core::offer::{Cap, Taken};
use crosstally_core::time::DAY_MS;
use crosstally_store::{StoreError, Visitors};

use crate::Engine;

/// How many days of counts are kept.
const DAYS_KEPT: i64 = 7;

/// The counts of one process.
#[derive(Debug, Default)]
pub struct Caps(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    day: i64,
    offers: HashMap<String, Count>,
}

/// What this process sent, and what all others did as far as it knows.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    mine: Taken,
    others: Taken,
}

impl Count {
    const fn all(self) -> Taken {
        Taken {
            today: self.mine.today.saturating_add(self.others.today),
            total: self.mine.total.saturating_add(self.others.total),
        }
    }
}

impl Counts {
    /// A new day begins at zero.
    fn move_to(&mut self, day: i64) {
        if self.day != day {
            self.day = day;
            for count in self.offers.values_mut() {
                (count.mine.today, count.others.today) = (0, 0);
            }
        }
    }
}

impl Caps {
    /// Counts a visitor of an offer, if there is room for one on this day.
    pub fn take(&self, offer: &str, cap: &Cap, day: i64) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.move_to(day);
        if !counts.offers.contains_key(offer) {
            counts.offers.insert(offer.to_owned(), Count::default());
        }
        let Some(count) = counts.offers.get_mut(offer) else { return true };
        if cap.is_full(count.all()) {
            return false;
        }
        count.mine.today += 1;
        count.mine.total += 1;
        true
    }

    /// Whether there is room for a visitor, of whom nothing is counted.
    pub fn has_room(&self, offer: &str, cap: &Cap, day: i64) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.move_to(day);
        !cap.is_full(counts.offers.get(offer).copied().unwrap_or_default().all())
    }

    /// What this process sent.
    fn mine(&self, day: i64) -> HashMap<String, Taken> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.move_to(day);
        let mine = |(offer, count): (&String, &Count)| (offer.clone(), count.mine);
        counts.offers.iter().filter(|(_, count)| count.mine.total > 0).map(mine).collect()
    }

    /// Takes up what all nodes sent, this one's part of it being what it wrote before.
    fn learn(&self, day: i64, all: HashMap<String, Taken>, written: &HashMap<String, Taken>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.move_to(day);
        for (offer, all) in all {
            let mine = written.get(&offer).copied().unwrap_or_default();
            counts.offers.entry(offer).or_default().others = Taken {
                today: all.today.saturating_sub(mine.today),
                total: all.total.saturating_sub(mine.total),
            };
        }
    }
}

impl Engine {
    /// Writes what this node sent to offers with caps, and takes up what the others did.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sync_caps(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot.load_full();
        if snapshot.config.offers.iter().all(|offer| offer.cap.is_none()) {
            return Ok(());
        }
        let now = self.clock.now();
        let day = snapshot.zone.day(now);
        let mine = self.caps.mine(day);
        if !mine.is_empty() {
            let mut counts: Vec<Visitors> = mine
                .iter()
                .flat_map(|(offer, taken)| {
                    let count = |day, visitors| Visitors { offer: offer.clone(), day, visitors };
                    [count(0, taken.total), count(day, taken.today)]
                })
                .collect();
            // Nodes write in one order, so that none waits for another in a circle.
            counts.sort();
            let forget_before = snapshot.zone.day(now.plus_millis(-DAYS_KEPT * DAY_MS));
            self.store.set_visitors(self.node.to_string(), counts, forget_before).await?;
        }
        let all = self.store.visitors(day).await?;
        self.caps.learn(day, all, &mine);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(daily: Option<u64>, total: Option<u64>) -> Cap {
        Cap { daily, total, overflow: "other".into() }
    }

    #[test]
    fn one_node_never_goes_over_a_cap_and_a_new_day_begins_at_zero() {
        let caps = Caps::default();
        let taken = |cap: &Cap, day| (0..10).filter(|_| caps.take("shop", cap, day)).count();
        assert_eq!(taken(&cap(Some(3), None), 20_261_122), 3);
        assert_eq!(taken(&cap(Some(5), None), 20_261_122), 2);
        assert_eq!(taken(&cap(Some(5), Some(7)), 20_261_123), 2);
        assert_eq!(taken(&cap(Some(0), None), 20_261_124), 0);
    }

    #[test]
    fn what_others_sent_counts_once() {
        let (caps, day) = (Caps::default(), 20_261_122);
        let cap = cap(Some(10), None);
        assert!(caps.take("shop", &cap, day) && caps.take("shop", &cap, day));
        let written = caps.mine(day);
        assert!(caps.take("shop", &cap, day));
        // Of the eight that all nodes wrote two are this one's.
        let all = HashMap::from([("shop".to_owned(), Taken { today: 8, total: 8 })]);
        caps.learn(day, all, &written);
        assert!(caps.take("shop", &cap, day), "nine were sent");
        assert!(!caps.take("shop", &cap, day));
        assert!(caps.take("shop", &cap, day + 1));
    }
}
