//! Every kind of id in one list.
//!
//! All ids are 128 bits and begin with 48 bits of UTC milliseconds, so that they sort by time and new rows land at
//! the end of an index. Ids that stay inside the house carry a prefix (`rcp_`, `cnv_`, …). A click id travels through
//! other people's URLs, so it has no punctuation, and its last 24 bits are a keyed tag: a truncated or invented click
//! id is recognised without asking the database.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Timestamp;

/// Length of the text form of 128 bits in base 32.
pub const TEXT_LEN: usize = 26;

// Crockford's alphabet in lower case: no i, l, o, u, so that an id survives being read aloud or retyped.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has the wrong length, prefix or characters.
    #[error("not an id of this kind")]
    Malformed,
    /// The text looks like a click id but its integrity tag does not fit: truncated, altered or invented.
    #[error("the integrity tag of the click id does not fit")]
    Forged,
}

fn encode(bytes: [u8; 16]) -> [u8; TEXT_LEN] {
    let mut value = u128::from_be_bytes(bytes);
    let mut text = [b'0'; TEXT_LEN];
    for slot in text.iter_mut().rev() {
        let digit = usize::try_from(value & 31).expect("five bits fit in usize");
        *slot = ALPHABET[digit];
        value >>= 5;
    }
    text
}

fn digit(byte: u8) -> Option<u128> {
    let lower = byte.to_ascii_lowercase();
    ALPHABET.iter().position(|&candidate| candidate == lower).and_then(|at| u128::try_from(at).ok())
}

fn decode(text: &[u8]) -> Result<[u8; 16], IdError> {
    if text.len() != TEXT_LEN {
        return Err(IdError::Malformed);
    }
    let mut value: u128 = 0;
    for (at, &byte) in text.iter().enumerate() {
        let five = digit(byte).ok_or(IdError::Malformed)?;
        // 26 characters hold 130 bits; the first may only use its lower three.
        if at == 0 && five > 7 {
            return Err(IdError::Malformed);
        }
        value = (value << 5) | five;
    }
    Ok(value.to_be_bytes())
}

fn with_time(at: Timestamp, rest: [u8; 10]) -> [u8; 16] {
    let ms = at.as_millis().max(0).to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&ms[2..]);
    bytes[6..].copy_from_slice(&rest);
    bytes
}

fn time_of(bytes: [u8; 16]) -> Timestamp {
    let mut ms = [0; 8];
    ms[2..].copy_from_slice(&bytes[..6]);
    Timestamp::from_millis(i64::from_be_bytes(ms))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix of the text form.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from a time and ten random bytes.
            #[must_use]
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                Self(with_time(at, random))
            }

            /// Takes the id from its stored bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes to store; they sort by time.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// When the id was made.
            #[must_use]
            pub fn time(&self) -> Timestamp {
                time_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode(self.0);
                out.write_str($prefix)?;
                out.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text.trim().strip_prefix($prefix).ok_or(IdError::Malformed)?;
                decode(rest.as_bytes()).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// One HTTP call to a destination, carrying one or many deliveries.
    CallId = "cal_";
    /// One conversion: the thing a partner reports on, under one dedupe key.
    ConversionId = "cnv_";
    /// One delivery: one goal event on its way to one destination.
    DeliveryId = "dlv_";
    /// One request to erase a person.
    ErasureId = "era_";
    /// One goal event: a conversion met a goal.
    GoalEventId = "evt_";
    /// One job over many deliveries.
    JobId = "job_";
    /// One inbound call, kept as it came, with its verdict.
    ReceiptId = "rcp_";
    /// One run of a tool.
    RunId = "run_";
    /// One API token.
    TokenId = "tok_";
}

impl DeliveryId {
    /// Names one of the deliveries of a goal event. It begins with the event's own id, so that the deliveries of an event
    /// stand side by side and are found without an index.
    #[must_use]
    pub fn of(event: GoalEventId, number: u32) -> Self {
        let mut bytes = *event.as_bytes();
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// The id behind this one among the deliveries of a goal event; `None` behind the last there can be.
    #[must_use]
    pub fn next_of(self, event: GoalEventId) -> Option<Self> {
        let number = u32::from_be_bytes([self.0[12], self.0[13], self.0[14], self.0[15]]);
        number.checked_add(1).map(|number| Self::of(event, number))
    }
}

/// The id of a click: 48 bits of time, 56 random bits, 24 bits of keyed tag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClickId([u8; 16]);

/// The key behind the integrity tag of click ids. One per installation, shared by its nodes.
#[derive(Clone)]
pub struct ClickIdKey(Hmac<Sha256>);

impl fmt::Debug for ClickIdKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClickIdKey(..)")
    }
}

impl ClickIdKey {
    /// Takes 32 random bytes as the key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    fn tag(&self, head: &[u8]) -> [u8; 3] {
        // The keyed state is cloned, so that the key schedule is paid once and not on every click.
        let mut mac = self.0.clone();
        mac.update(head);
        let full = mac.finalize().into_bytes();
        [full[0], full[1], full[2]]
    }

    /// What the id of a test visitor's click has where others are random.
    fn test_sign(&self, head: &[u8]) -> [u8; 4] {
        let mut mac = self.0.clone();
        // No tag is made of as many bytes, so that neither ever stands for the other.
        mac.update(b"a test visitor's click");
        mac.update(head);
        let full = mac.finalize().into_bytes();
        [full[0], full[1], full[2], full[3]]
    }
}

impl ClickId {
    /// The first id that a click of this time can have; it is no click's, as it has no tag.
    #[must_use]
    pub fn earliest(at: Timestamp) -> Self {
        Self(with_time(at, [0; 10]))
    }

    /// Makes a click id from a time and seven random bytes.
    #[must_use]
    pub fn new(key: &ClickIdKey, at: Timestamp, random: [u8; 7]) -> Self {
        let mut rest = [0; 10];
        rest[..7].copy_from_slice(&random);
        let mut bytes = with_time(at, rest);
        let tag = key.tag(&bytes[..13]);
        bytes[13..].copy_from_slice(&tag);
        Self(bytes)
    }

    /// Makes the id of a test visitor's click from a time and three random bytes. It says by itself that it is one, to whoever
    /// has the key: what follows the click counts nowhere either, and nobody has to look the click up for that.
    #[must_use]
    pub fn new_test(key: &ClickIdKey, at: Timestamp, random: [u8; 3]) -> Self {
        let mut seven = [0; 7];
        seven[..3].copy_from_slice(&random);
        let mut rest = [0; 10];
        rest[..3].copy_from_slice(&random);
        seven[3..].copy_from_slice(&key.test_sign(&with_time(at, rest)[..9]));
        Self::new(key, at, seven)
    }

    /// Whether it is a test visitor's. Of four thousand million others one is taken for it.
    #[must_use]
    pub fn is_test(&self, key: &ClickIdKey) -> bool {
        key.test_sign(&self.0[..9]) == self.0[9..13]
    }

    /// Reads a click id in any case and checks its tag.
    ///
    /// # Errors
    /// [`IdError::Malformed`] if the text has not the shape of a click id, [`IdError::Forged`] if the tag is wrong.
    pub fn parse(key: &ClickIdKey, text: &str) -> Result<Self, IdError> {
        let bytes = decode(text.trim().as_bytes())?;
        if key.tag(&bytes[..13]) == bytes[13..] { Ok(Self(bytes)) } else { Err(IdError::Forged) }
    }

    /// Reads the shape of a click id without checking its tag; for looking something up, never for trusting it.
    ///
    /// # Errors
    /// [`IdError::Malformed`] if the text has not the shape of a click id.
    pub fn parse_unchecked(text: &str) -> Result<Self, IdError> {
        decode(text.trim().as_bytes()).map(Self)
    }

    /// Takes the id from its stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store; they sort by time.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// When the click was made.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        time_of(self.0)
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&encode(self.0)).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for ClickId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl serde::Serialize for ClickId {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ClickId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        // A click id inside our own JSON was checked when it came in.
        Self::parse_unchecked(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn key() -> ClickIdKey {
        ClickIdKey::new(&[7; 32])
    }

    #[test]
    fn text_is_26_lower_case_characters_and_reads_in_any_case() {
        let id = ClickId::new(&key(), Timestamp::from_millis(1_764_201_600_000), [9; 7]);
        let text = id.to_string();
        assert_eq!(text.len(), 26);
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        assert_eq!(ClickId::parse(&key(), &text.to_uppercase()).unwrap(), id);
        assert_eq!(id.time().as_millis(), 1_764_201_600_000);
    }

    #[test]
    fn another_key_or_a_changed_character_is_recognised() {
        let id = ClickId::new(&key(), Timestamp::from_millis(1_764_201_600_000), [9; 7]);
        assert_eq!(ClickId::parse(&ClickIdKey::new(&[8; 32]), &id.to_string()), Err(IdError::Forged));
        let text = id.to_string();
        let (cut, last) = text.split_at(25);
        assert_eq!(ClickId::parse(&key(), cut), Err(IdError::Malformed));
        let other = if last == "0" { "1" } else { "0" };
        assert_eq!(ClickId::parse(&key(), &format!("{cut}{other}")), Err(IdError::Forged));
    }

    #[test]
    fn the_id_of_a_test_says_so_to_whoever_has_the_key() {
        let at = Timestamp::from_millis(1_764_201_600_000);
        let test = ClickId::new_test(&key(), at, [9; 3]);
        assert_eq!(ClickId::parse(&key(), &test.to_string()), Ok(test));
        assert!(test.is_test(&key()) && test.time() == at);
        assert_ne!(test, ClickId::new_test(&key(), at, [8; 3]));
        assert!(!test.is_test(&ClickIdKey::new(&[8; 32])));
        for random in [[0; 7], [9; 7], [9, 9, 9, 0, 0, 0, 0]] {
            assert!(!ClickId::new(&key(), at, random).is_test(&key()), "{random:?}");
        }
    }

    #[test]
    fn prefixes_keep_kinds_apart() {
        let receipt = ReceiptId::new(Timestamp::from_millis(5), [1; 10]);
        assert!(receipt.to_string().starts_with("rcp_"));
        assert_eq!(receipt.to_string().parse::<ConversionId>(), Err(IdError::Malformed));
    }

    proptest! {
        #[test]
        fn ids_survive_a_round_trip_and_sort_by_time(a in 0_i64..1 << 47, b in 0_i64..1 << 47, r in any::<[u8; 10]>()) {
            let (first, second) = (DeliveryId::new(Timestamp::from_millis(a), r), DeliveryId::new(Timestamp::from_millis(b), r));
            prop_assert_eq!(first.to_string().parse::<DeliveryId>().unwrap(), first);
            prop_assert_eq!(first.to_string() < second.to_string(), a < b);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            prop_assert!(ClickId::parse(&key(), &text).is_err());
            prop_assert!(text.parse::<ReceiptId>().is_err());
        }
    }
}
