//! What two sides compare to find out whether both have the same events: a count and a digest over their ids. Knows
//! nothing of where the ids come from.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A digest over distinct ids that are handed in sorted by their bytes: SHA-256 over the ids with a line feed between each
/// two of them.
#[derive(Debug, Clone, Default)]
pub struct IdsDigest {
    hash: Sha256,
    count: u64,
}

impl IdsDigest {
    /// Takes the next id.
    pub fn push(&mut self, id: &str) {
        if self.count > 0 {
            self.hash.update(b"\n");
        }
        self.hash.update(id.as_bytes());
        self.count += 1;
    }

    /// How many ids there were, and the digest in lower-case hexadecimal.
    #[must_use]
    pub fn finish(self) -> (u64, String) {
        let digest = self.hash.finalize();
        let hex = digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        });
        (self.count, hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::sha256_hex;

    fn of(ids: &[&str]) -> (u64, String) {
        let mut digest = IdsDigest::default();
        ids.iter().for_each(|id| digest.push(id));
        digest.finish()
    }

    #[test]
    fn ids_are_joined_by_line_feeds() {
        assert_eq!(of(&[]), (0, sha256_hex("")));
        assert_eq!(of(&["a"]), (1, sha256_hex("a")));
        assert_eq!(of(&["a", "b", "\u{e9}"]), (3, sha256_hex("a\nb\n\u{e9}")));
        assert_ne!(of(&["ab"]).1, of(&["a", "b"]).1);
    }
}
