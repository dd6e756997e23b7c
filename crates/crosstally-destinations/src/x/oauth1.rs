//! OAuth 1.0a: every call is signed with the app's and the user's secrets (RFC 5849). A body of JSON is not signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crosstally_core::identity::sha256_hex;
use crosstally_core::time::Timestamp;
use percent_encoding::utf8_percent_encode;
use ring::hmac;

use crate::dialect::Settings;
use crate::mask::RESERVED;

/// The setting that names the app.
pub(super) const CONSUMER_KEY: &str = "consumer_key";
/// The setting that proves the app.
pub(super) const CONSUMER_SECRET: &str = "consumer_secret";
/// The setting that names the user.
pub(super) const ACCESS_TOKEN: &str = "access_token";
/// The setting that proves the user.
pub(super) const ACCESS_TOKEN_SECRET: &str = "access_token_secret";
/// All four of them.
pub(super) const SETTINGS: [&str; 4] = [CONSUMER_KEY, CONSUMER_SECRET, ACCESS_TOKEN, ACCESS_TOKEN_SECRET];

/// The `Authorization` header of a POST without parameters; `None` without the four settings.
pub(super) fn authorization(settings: &Settings, url: &str, body: &[u8], now: Timestamp) -> Option<String> {
    let [consumer_key, consumer_secret, token, token_secret] =
        SETTINGS.map(|name| settings.secret(name).map(|secret| secret.expose()));
    let seconds = now.as_seconds().to_string();
    // It has to differ from call to call and nothing more, so that chance is not needed.
    let nonce = sha256_hex(&format!("{}.{}", now.as_millis(), String::from_utf8_lossy(body)));
    let nonce = nonce.get(..32).unwrap_or(&nonce);
    // In the order of their names, as the signature wants them.
    let params = [
        ("oauth_consumer_key", consumer_key?),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &seconds),
        ("oauth_token", token?),
        ("oauth_version", "1.0"),
    ];
    let key = format!("{}&{}", encode(consumer_secret?), encode(token_secret?));
    let signature = sign(&key, url, &params);
    let mut header: Vec<String> =
        params.iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value))).collect();
    header.push(format!("oauth_signature=\"{}\"", encode(&signature)));
    Some(format!("OAuth {}", header.join(", ")))
}

fn sign(key: &str, url: &str, params: &[(&str, &str)]) -> String {
    let joined: Vec<String> =
        params.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let base = format!("POST&{}&{}", encode(url), encode(&joined.join("&")));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    BASE64.encode(hmac::sign(&key, base.as_bytes()))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of X's own page about creating a signature.
    #[test]
    fn the_published_example_is_met() {
        let params = [
            ("include_entities", "true"),
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            ("oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
            ("oauth_version", "1.0"),
            ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
        ];
        let key = "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw&LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE";
        let signature = sign(key, "https://api.x.com/1.1/statuses/update.json", &params);
        assert_eq!(signature, "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=");
    }
}
