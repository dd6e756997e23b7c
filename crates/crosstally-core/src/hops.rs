//! How many servers of this kind what is told has come through: a partner's call that is booked here and told there may
//! come back as another partner's call. Every call that can do so says its number, and whoever gets one that has come too
//! far books nothing. Knows nothing of who is called.

use crate::reason::Reason;
use crate::verdict::Stop;

/// The header that carries the number.
pub const HEADER: &str = "crosstally-hops";
/// The highest number that is still booked.
pub const MAX: u8 = 5;

/// How many servers a call has come through by what its header says; none if that is no number in plain digits.
#[must_use]
pub fn read(text: &str) -> u8 {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that fits nowhere has come too far in any case.
    if is_number { text.parse().unwrap_or(u8::MAX) } else { 0 }
}

/// The header of a call that tells an event whose own call came through so many.
#[must_use]
pub fn header(hops: u8) -> (String, String) {
    (HEADER.to_owned(), hops.saturating_add(1).to_string())
}

/// Makes sure that a call has not come too far.
///
/// # Errors
/// Refused: it goes round.
pub fn check(hops: u8) -> Result<(), Stop> {
    if hops <= MAX {
        return Ok(());
    }
    let detail = format!("it has come through {hops} servers; at most {MAX} are followed");
    Err(Stop::refused(Reason::TooManyHops, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_a_number() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1),
            ("5", 5),
            ("007", 7),
            ("255", 255),
            ("256", 255),
            ("99999999999999999999999", 255),
            ("", 0),
            ("+6", 0),
            ("-6", 0),
            ("6.0", 0),
            (" 6", 0),
            ("6, 6", 0),
            ("0x6", 0),
            ("six", 0),
            ("\u{0666}", 0),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn each_call_counts_one_more_until_it_is_too_far() {
        assert_eq!(header(0), ("crosstally-hops".to_owned(), "1".to_owned()));
        assert_eq!(header(u8::MAX).1, "255");
        let refused = |hops| check(hops).err().map(|stop| stop.reason);
        assert_eq!(refused(MAX), None);
        assert_eq!(refused(MAX + 1), Some(Reason::TooManyHops));
        assert_eq!(refused(u8::MAX), Some(Reason::TooManyHops));
    }
}
