//! The installation's master key and what it seals. A sealed secret is bound to its record: copied to another record it
//! cannot be opened.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::random::Random;

const NONCE_BYTES: usize = 24;

/// The master key.
#[derive(Clone)]
pub struct Keys {
    cipher: XChaCha20Poly1305,
    hasher: Hmac<Sha256>,
    random: Random,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Keys(..)")
    }
}

impl Keys {
    /// Takes 32 random bytes as the master key.
    #[must_use]
    pub fn new(master: &[u8; 32], random: Random) -> Self {
        let hasher = Hmac::new_from_slice(master).expect("HMAC takes keys of any length");
        Self { cipher: XChaCha20Poly1305::new(master.into()), hasher, random }
    }

    /// What a value of some kind is known by to whoever has the key.
    #[must_use]
    pub fn keyed_hash(&self, kind: &str, value: &[u8]) -> [u8; 16] {
        let mut hasher = self.hasher.clone();
        hasher.update(b"crosstally seen\0");
        hasher.update(kind.as_bytes());
        hasher.update(&[0]);
        hasher.update(value);
        let digest: [u8; 32] = hasher.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        half
    }

    /// Seals a secret for one record. The text form is lower-case hex of nonce and ciphertext.
    #[must_use]
    pub fn seal(&self, record: &str, secret: &str) -> String {
        let nonce: [u8; NONCE_BYTES] = self.random.bytes();
        let payload = Payload { msg: secret.as_bytes(), aad: record.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("encrypting a short text in memory cannot fail");
        hex_of(nonce.iter().chain(&sealed).copied())
    }

    /// Seals bytes for one record.
    #[must_use]
    pub fn seal_bytes(&self, record: &str, bytes: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = self.random.bytes();
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: bytes, aad: record.as_bytes() })
            .expect("encrypting in memory cannot fail");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens sealed bytes; `None` as for a secret.
    #[must_use]
    pub fn unseal_bytes(&self, record: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: body, aad: record.as_bytes() }).ok()
    }

    /// Opens a sealed secret; `None` if it was sealed for another record, with another key, or was changed.
    #[must_use]
    pub fn unseal(&self, record: &str, sealed: &str) -> Option<String> {
        let bytes = from_hex(sealed)?;
        let (nonce, body) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: body, aad: record.as_bytes() };
        let opened = self.cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
        String::from_utf8(opened).ok()
    }
}

/// Lower-case hex.
pub fn hex_of(bytes: impl IntoIterator<Item = u8>) -> String {
    use fmt::Write as _;
    bytes.into_iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Reads hex; `None` if it is not hex.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_own_record_only() {
        let keys = Keys::new(&[3; 32], Random::seeded(1));
        let sealed = keys.seal("partner/acme/auth.token", "s3cret");
        assert!(!sealed.contains("s3cret"));
        assert_eq!(keys.unseal("partner/acme/auth.token", &sealed).as_deref(), Some("s3cret"));
        assert_eq!(keys.unseal("partner/other/auth.token", &sealed), None);
        assert_eq!(Keys::new(&[4; 32], Random::seeded(1)).unseal("partner/acme/auth.token", &sealed), None);
        assert_ne!(sealed, keys.seal("partner/acme/auth.token", "s3cret"));
        assert_eq!(keys.unseal("partner/acme/auth.token", "zz"), None);
    }
}
