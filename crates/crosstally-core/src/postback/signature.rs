//! The schemes by which senders sign their calls, by name. A signature is checked over the bytes as they came, once, and
//! compared in constant time. What a call means, and whether its number was seen before, is not asked here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::limits;
use crate::postback::Inbound;
use crate::reason::Reason;
use crate::secret::Secret;
use crate::time::{MINUTE_MS, Timestamp};
use crate::verdict::Stop;

pub use crate::scheme::{SCHEMES, Scheme};

pub mod canonical;
mod shown;
#[cfg(test)]
mod tests;

use shown::Shown;

/// How far a signature's timestamp may be off, either way.
pub const TOLERANCE_MS: i64 = 5 * MINUTE_MS;
/// How far the clocks of two nodes may be apart.
const SKEW_MS: i64 = MINUTE_MS;
/// How long a number that may be used once is remembered: until every call that carries it is refused by its timestamp.
pub const NONCE_LIFE_MS: i64 = 2 * TOLERANCE_MS + SKEW_MS;

impl Scheme {
    const fn is_hex(self) -> bool {
        !matches!(self, Self::StandardWebhooks | Self::Shopify | Self::Woocommerce)
    }

    /// What a sender is told who has not signed.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Crosstally => "send `X-Crosstally-Timestamp` and `X-Crosstally-Signature`",
            Self::StandardWebhooks => "send `webhook-id`, `webhook-timestamp` and `webhook-signature`",
            Self::Stripe => "send `Stripe-Signature` with `t` and `v1`",
            Self::Shopify => "send `X-Shopify-Hmac-Sha256`",
            Self::Github => "send `X-Hub-Signature-256`",
            Self::Woocommerce => "send `X-WC-Webhook-Signature`",
            Self::Paddle => "send `Paddle-Signature` with `ts` and `h1`",
            Self::Lemonsqueezy => "send `X-Signature`",
        }
    }
}

/// A secret, ready to sign with.
#[derive(Clone)]
pub struct Key {
    scheme: Scheme,
    bytes: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Key({:?}, ***)", self.scheme)
    }
}

impl Key {
    /// The key in a secret; `None` if the secret cannot be one of this scheme.
    #[must_use]
    pub fn new(scheme: Scheme, secret: &Secret) -> Option<Self> {
        let bytes = scheme.key(secret.expose())?;
        Some(Self { scheme, bytes: Zeroizing::new(bytes) })
    }

    /// The signature over a call with this timestamp and number, as the scheme writes it.
    #[must_use]
    pub fn sign(&self, inbound: &Inbound, stamp: &str, nonce: &str) -> String {
        self.signature(inbound, &Shown { stamp, nonce, offered: Vec::new(), left_out: None })
    }

    /// The headers of a signed call: what a sender adds, and what a test sends.
    #[must_use]
    pub fn headers(&self, inbound: &Inbound, stamp: &str, nonce: &str) -> Vec<(&'static str, String)> {
        let signature = self.sign(inbound, stamp, nonce);
        match self.scheme {
            Scheme::Crosstally => {
                let mut headers =
                    vec![("x-crosstally-timestamp", stamp.to_owned()), ("x-crosstally-signature", signature)];
                if !nonce.is_empty() {
                    headers.push(("x-crosstally-nonce", nonce.to_owned()));
                }
                headers
            }
            Scheme::StandardWebhooks => vec![
                ("webhook-id", nonce.to_owned()),
                ("webhook-timestamp", stamp.to_owned()),
                ("webhook-signature", format!("v1,{signature}")),
            ],
            Scheme::Stripe => vec![("stripe-signature", format!("t={stamp},v1={signature}"))],
            Scheme::Paddle => vec![("paddle-signature", format!("ts={stamp};h1={signature}"))],
            Scheme::Shopify => vec![("x-shopify-hmac-sha256", signature)],
            Scheme::Github => vec![("x-hub-signature-256", format!("sha256={signature}"))],
            Scheme::Woocommerce => vec![("x-wc-webhook-signature", signature)],
            Scheme::Lemonsqueezy => vec![("x-signature", signature)],
        }
    }

    fn signature(&self, inbound: &Inbound, shown: &Shown<'_>) -> String {
        let mut mac: Hmac<Sha256> =
            KeyInit::new_from_slice(&self.bytes).expect("HMAC takes a key of any length");
        let (stamp, nonce) = (shown.stamp.as_bytes(), shown.nonce.as_bytes());
        match self.scheme {
            Scheme::Crosstally => {
                for line in [
                    stamp,
                    nonce,
                    inbound.method.as_bytes(),
                    &canonical::query(&inbound.query, shown.left_out),
                ] {
                    mac.update(line);
                    mac.update(b"\n");
                }
            }
            Scheme::StandardWebhooks => [nonce, b".", stamp, b"."].iter().for_each(|part| mac.update(part)),
            Scheme::Stripe => [stamp, b"."].iter().for_each(|part| mac.update(part)),
            Scheme::Paddle => [stamp, b":"].iter().for_each(|part| mac.update(part)),
            Scheme::Shopify | Scheme::Github | Scheme::Woocommerce | Scheme::Lemonsqueezy => {}
        }
        mac.update(&inbound.body);
        let tag = mac.finalize().into_bytes();
        if self.scheme.is_hex() { hex(&tag) } else { BASE64.encode(tag) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Which of a partner's secrets a call was signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUsed {
    /// The one in force.
    Current,
    /// The one before it, while both are taken.
    Old,
}

/// The scheme and the secrets that a partner signs with.
#[derive(Debug, Clone)]
pub struct Signing {
    scheme: Scheme,
    current: Key,
    old: Option<Key>,
}

/// What a good signature shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The secret it was made with.
    pub by: SecretUsed,
    /// The number that may be used once, if the scheme has one and the call carries it.
    pub nonce: Option<String>,
}

impl Signing {
    /// From a partner's secrets; `None` if one of them cannot be a secret of this scheme.
    #[must_use]
    pub fn new(scheme: Scheme, current: &Secret, old: Option<&Secret>) -> Option<Self> {
        let old = match old {
            Some(old) => Some(Key::new(scheme, old)?),
            None => None,
        };
        Some(Self { scheme, current: Key::new(scheme, current)?, old })
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Checks a call as it came.
    ///
    /// # Errors
    /// It is not signed, not by one of the secrets, too early or too late, or a signed parameter is repeated.
    pub fn check(&self, inbound: &Inbound, now: Timestamp) -> Result<Signed, Stop> {
        if self.scheme.signs_query()
            && let Some(name) = canonical::repeated(&inbound.query)
        {
            let name = crate::postback::parse::printable(&name);
            return Err(Stop::refused(
                Reason::RepeatedField,
                format!("{name} is signed and came more than once"),
            ));
        }
        let Some(shown) = shown::read(self.scheme, inbound) else {
            return Err(Stop::refused(Reason::SignatureMissing, self.scheme.wanted()));
        };
        check_stamp(self.scheme, shown.stamp, now)?;
        check_nonce(self.scheme, shown.nonce)?;
        let fits = |key: &Key| {
            let expected = key.signature(inbound, &shown);
            // All of them are compared, so that time does not tell which one was near.
            shown.offered.iter().fold(subtle::Choice::from(0), |found, offered| {
                let offered =
                    if self.scheme.is_hex() { offered.to_ascii_lowercase() } else { (*offered).to_owned() };
                found | expected.as_bytes().ct_eq(offered.as_bytes())
            })
        };
        let by = if fits(&self.current).into() {
            SecretUsed::Current
        } else if self.old.as_ref().is_some_and(|old| fits(old).into()) {
            SecretUsed::Old
        } else {
            return Err(Stop::refused(Reason::SignatureWrong, "the signature does not fit the call"));
        };
        Ok(Signed { by, nonce: Some(shown.nonce.to_owned()).filter(|nonce| !nonce.is_empty()) })
    }
}

fn check_stamp(scheme: Scheme, stamp: &str, now: Timestamp) -> Result<(), Stop> {
    let at = match scheme {
        Scheme::Shopify | Scheme::Github | Scheme::Woocommerce | Scheme::Lemonsqueezy => return Ok(()),
        Scheme::Crosstally => Timestamp::parse(stamp),
        // Seconds and nothing else, so that one call can be written in one way only.
        Scheme::StandardWebhooks | Scheme::Stripe | Scheme::Paddle => {
            Some(stamp).filter(|stamp| stamp.bytes().all(|b| b.is_ascii_digit())).and_then(Timestamp::parse)
        }
    };
    if at.is_some_and(|at| now.millis_since(at).saturating_abs() <= TOLERANCE_MS) {
        return Ok(());
    }
    Err(Stop::refused(Reason::SignatureWrong, "the timestamp is more than five minutes off"))
}

fn check_nonce(scheme: Scheme, nonce: &str) -> Result<(), Stop> {
    let is_clean = nonce.len() <= limits::KEY_BYTES_MAX && nonce.bytes().all(|b| b.is_ascii_graphic());
    // A point would let one signed text be cut into id and timestamp in two ways.
    if is_clean && !(scheme == Scheme::StandardWebhooks && nonce.contains('.')) {
        return Ok(());
    }
    let detail =
        "the call's id must be of printable ASCII, at most 512 bytes, and without points in `webhook-id`";
    Err(Stop::refused(Reason::SignatureWrong, detail))
}
