//! Which calls of a month are looked at where there are too many to look at all of them: the first few of each of many equal
//! parts, so that neither an hour nor a person decides which.

use crate::time::Timestamp;

/// Calls of one partner that are looked at.
pub const CALLS_MAX: u64 = 10_000;
/// Parts of a month with more.
const PARTS: i64 = 500;
const EACH: u32 = 20;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    /// Spans of time, the oldest first.
    pub parts: Vec<(Timestamp, Timestamp)>,
    /// How many calls of each.
    pub each: u32,
}

/// What to look at of a month with about so many calls.
#[must_use]
pub fn looks((from, to): (Timestamp, Timestamp), calls: u64) -> Looks {
    if calls <= CALLS_MAX {
        return Looks { parts: vec![(from, to)], each: u32::try_from(CALLS_MAX).unwrap_or(u32::MAX) };
    }
    let length_ms = to.millis_since(from).max(0);
    let edge = |part: i64| from.plus_millis(length_ms / PARTS * part + length_ms % PARTS * part / PARTS);
    Looks { parts: (0..PARTS).map(|part| (edge(part), edge(part + 1))).collect(), each: EACH }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_month_is_looked_at_in_equal_parts() {
        let at = Timestamp::from_millis;
        let month = (at(1_000), at(1_000 + 30 * 86_400_000 + 7));
        assert_eq!(looks(month, CALLS_MAX), Looks { parts: vec![month], each: 10_000 });
        let busy = looks(month, CALLS_MAX + 1);
        assert_eq!((busy.parts.len(), u64::from(busy.each) * 500), (500, CALLS_MAX));
        assert_eq!((busy.parts[0].0, busy.parts[499].1), month);
        for both in busy.parts.windows(2) {
            assert_eq!(both[0].1, both[1].0, "one begins where the other ends");
            assert!((5_183_999..=5_184_001).contains(&both[0].1.millis_since(both[0].0)));
        }
    }
}
