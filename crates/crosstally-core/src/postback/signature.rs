//! The schemes by which senders sign their calls, by name.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// The names of the schemes, as a configuration writes them.
pub const SCHEMES: &[&str] = &["crosstally", "standard_webhooks", "stripe", "shopify", "github", "woocommerce", "paddle", "lemonsqueezy"];

/// The signature that a call must carry: lower-case hex of HMAC-SHA256 over timestamp, method, raw query and raw body,
/// joined by newlines.
#[must_use]
pub fn signature(secret: &Secret, timestamp: &str, method: &str, query: &[u8], body: &[u8]) -> String {
    let mut mac: Hmac<Sha256> =
        KeyInit::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    for part in [timestamp.as_bytes(), b"\n", method.as_bytes(), b"\n", query, b"\n", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
