//! Which API versions there are. Knows the calendar of Meta's releases, not the time.

/// The newest version.
pub(crate) const LATEST: u32 = 26;
/// The oldest version that still answers, if only by being moved up.
const OLDEST: u32 = 24;
/// v24.0 ended on 2026-10-06.
const V24_ENDED_MS: i64 = 1_791_244_800_000;

/// What a version in a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Answered as asked.
    Live(u32),
    /// Ended; the call is carried out as the next live version, with a warning.
    MovedUp { asked: u32, served: u32 },
    /// Ended long ago.
    Ended,
    /// Never was, or is not a version.
    Unknown,
}

impl Version {
    /// Reads `v26.0`.
    pub(crate) fn read(segment: &str, now_ms: i64) -> Self {
        let digits = segment.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0")).unwrap_or_default();
        let number = match digits.as_bytes() {
            [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'] => digits.parse().unwrap_or(0),
            _ => return Self::Unknown,
        };
        match number {
            OLDEST if now_ms >= V24_ENDED_MS => Self::MovedUp { asked: OLDEST, served: OLDEST + 1 },
            OLDEST..=LATEST => Self::Live(number),
            0..OLDEST => Self::Ended,
            _ => Self::Unknown,
        }
    }

    /// The text of `X-Ad-Api-Version-Warning`, if it is due.
    pub(crate) fn warning(self) -> Option<String> {
        let Self::MovedUp { asked, served } = self else { return None };
        Some(format!("The call has been auto-upgraded to v{served}.0 as v{asked}.0 has been deprecated."))
    }
}
