//! When to ask a platform what became of the events that it took and judges later.

use crate::time::{HOUR_MS, MINUTE_MS};

/// The wait before the first look, the second, and so on. After the last nobody asks any more.
const WAITS_MS: [i64; 6] =
    [30 * MINUTE_MS, 2 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS, 48 * HOUR_MS];

/// How long an event waits before it is sent once more that does not count for a reason which passes. The longest that one asks
/// for is that of a click which is too young: six hours.
pub const PASSES_MS: i64 = 6 * HOUR_MS;

/// How long to wait before the next look after so many; `None` if that was the last.
#[must_use]
pub fn wait_ms(looks: u32) -> Option<i64> {
    WAITS_MS.get(usize::try_from(looks).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_later_and_later_and_end() {
        let waits: Vec<i64> = (0..).map_while(wait_ms).collect();
        assert!(waits.is_sorted() && waits.len() == 6, "{waits:?}");
        assert_eq!(waits.iter().sum::<i64>(), 92 * HOUR_MS + 30 * MINUTE_MS);
        assert_eq!(wait_ms(u32::MAX), None);
    }
}
