//! The little that is read of a string of the Transparency and Consent Framework: which purposes the visitor allows.

/// What a string allows, by the purposes that Google names for its two choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Purposes 1 and 7: storing on the device, and measuring advertising.
    pub(super) user_data: bool,
    /// Purposes 3 and 4: a profile, and advertising by it.
    pub(super) personalization: bool,
}

impl Allowed {
    pub(super) const NOTHING: Self = Self { user_data: false, personalization: false };
}

/// The version, in the first six bits.
const VERSION: u8 = 2;
/// Where the 24 bits of the purposes begin in the core segment.
const PURPOSES_AT: usize = 152;

/// Reads the core segment, if it is one of version 2.
pub(super) fn read(text: &str) -> Option<Allowed> {
    let core = text.split('.').next()?;
    let sextets: Vec<u8> = core.bytes().map(sextet).collect::<Option<_>>()?;
    if sextets.first() != Some(&VERSION) || sextets.len() * 6 < PURPOSES_AT + 24 {
        return None;
    }
    let allows = |purpose: usize| {
        let bit = PURPOSES_AT + purpose - 1;
        sextets.get(bit / 6).is_some_and(|sextet| sextet >> (5 - bit % 6) & 1 == 1)
    };
    Some(Allowed { user_data: allows(1) && allows(7), personalization: allows(3) && allows(4) })
}

/// One character of base64 for URLs.
const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}
