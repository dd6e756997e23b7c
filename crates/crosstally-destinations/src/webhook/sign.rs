//! The signatures of Standard Webhooks: over id, timestamp and the body's own bytes, whatever these are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crosstally_core::secret::Secret;
use ring::hmac;
use ring::signature::Ed25519KeyPair;

const SHARED_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const SEED_BYTES: usize = 32;

/// A secret without what says of which form it is.
pub(super) fn bare(secret: &Secret) -> Secret {
    let text = secret.expose();
    let bare = [SHARED_PREFIX, PRIVATE_PREFIX].iter().find_map(|prefix| text.strip_prefix(prefix));
    Secret::new(bare.unwrap_or(text))
}

/// A secret, ready to sign with.
pub(super) enum Key {
    /// Shared with the receiver: HMAC-SHA256, version `v1`.
    Shared(hmac::Key),
    /// Known to us alone: Ed25519, version `v1a`.
    Private(Box<Ed25519KeyPair>),
}

impl Key {
    /// The key in a secret; `None` if it is of neither form.
    pub(super) fn read(secret: &Secret) -> Option<Self> {
        let text = secret.expose();
        if let Some(text) = text.strip_prefix(PRIVATE_PREFIX) {
            let bytes = BASE64.decode(text).ok()?;
            // Some write the seed alone, some the public half behind it.
            let pair = match bytes.split_at_checked(SEED_BYTES)? {
                (seed, []) => Ed25519KeyPair::from_seed_unchecked(seed).ok()?,
                (seed, public) => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?,
            };
            return Some(Self::Private(Box::new(pair)));
        }
        let bytes = BASE64.decode(text.strip_prefix(SHARED_PREFIX).unwrap_or(text)).ok()?;
        SHARED_BYTES.contains(&bytes.len()).then(|| Self::Shared(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The signature of one message, with its version.
    pub(super) fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut message = format!("{id}.{timestamp_s}.").into_bytes();
        message.extend_from_slice(body);
        match self {
            Self::Shared(key) => format!("v1,{}", BASE64.encode(hmac::sign(key, &message))),
            Self::Private(pair) => format!("v1a,{}", BASE64.encode(pair.sign(&message))),
        }
    }
}
