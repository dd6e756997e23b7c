//! The schemes by which senders sign, by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The names of the schemes, as a configuration writes them.
pub const SCHEMES: &[&str] = &[
    "crosstally",
    "standard_webhooks",
    "stripe",
    "shopify",
    "github",
    "woocommerce",
    "paddle",
    "lemonsqueezy",
];

/// A way of signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Our own: over timestamp, nonce, method, canonical query and body, in hex.
    #[default]
    Crosstally,
    /// Standard Webhooks: over id, timestamp and body, in base64.
    StandardWebhooks,
    /// Stripe: over timestamp and body, in hex.
    Stripe,
    /// Shopify: over the body, in base64.
    Shopify,
    /// GitHub: over the body, in hex.
    Github,
    /// WooCommerce: over the body, in base64.
    Woocommerce,
    /// Paddle: over timestamp and body, in hex.
    Paddle,
    /// Lemon Squeezy: over the body, in hex.
    Lemonsqueezy,
}

impl crate::word::Word for Scheme {
    const ALL: &'static [Self] = &[
        Self::Crosstally,
        Self::StandardWebhooks,
        Self::Stripe,
        Self::Shopify,
        Self::Github,
        Self::Woocommerce,
        Self::Paddle,
        Self::Lemonsqueezy,
    ];

    fn word(self) -> &'static str {
        SCHEMES[self as usize]
    }
}

impl Scheme {
    /// The scheme of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        use crate::word::Word as _;
        Self::ALL.iter().copied().find(|scheme| scheme.word() == name)
    }

    /// The key in a secret of this scheme; `None` if the secret cannot be one.
    #[must_use]
    pub fn key(self, secret: &str) -> Option<Vec<u8>> {
        let key = match self {
            Self::StandardWebhooks => BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?,
            _ => secret.as_bytes().to_vec(),
        };
        (!key.is_empty()).then_some(key)
    }

    /// Whether the query is signed. Where it is not, nothing may be read from it.
    #[must_use]
    pub const fn signs_query(self) -> bool {
        matches!(self, Self::Crosstally)
    }
}
