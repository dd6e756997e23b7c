//! What a call shows of its signature: where each scheme puts timestamp, number and signatures.

use super::Scheme;
use crate::postback::Inbound;

/// Signatures of one call that are looked at: more than a rotation of secrets ever needs.
const OFFERED_MAX: usize = 16;

/// What a call shows.
#[derive(Debug, Default)]
pub(super) struct Shown<'a> {
    /// The timestamp as it came; empty if the scheme has none.
    pub(super) stamp: &'a str,
    /// The number that may be used once; empty if there is none.
    pub(super) nonce: &'a str,
    /// The signatures.
    pub(super) offered: Vec<&'a str>,
    /// The parameter that carries the signature and cannot sign itself.
    pub(super) left_out: Option<&'static str>,
}

/// Reads what a call shows; `None` if something that the scheme needs is not there.
pub(super) fn read(scheme: Scheme, inbound: &Inbound) -> Option<Shown<'_>> {
    let header = |name: &str| Some(inbound.header(name).trim()).filter(|value| !value.is_empty());
    let bare = |signature: &'static str| {
        header(signature).map(|offered| Shown { offered: vec![offered], ..Shown::default() })
    };
    match scheme {
        Scheme::Crosstally => crosstally(inbound),
        Scheme::StandardWebhooks => {
            let list = header("webhook-signature")?.split_ascii_whitespace();
            let offered = list.filter_map(|one| one.strip_prefix("v1,")).filter(|one| !one.is_empty());
            Some(Shown {
                stamp: header("webhook-timestamp")?,
                nonce: header("webhook-id")?,
                offered: offered.take(OFFERED_MAX).collect(),
                left_out: None,
            })
        }
        Scheme::Stripe => listed(header("stripe-signature")?, ',', "t", "v1"),
        Scheme::Paddle => listed(header("paddle-signature")?, ';', "ts", "h1"),
        Scheme::Shopify => bare("x-shopify-hmac-sha256"),
        Scheme::Woocommerce => bare("x-wc-webhook-signature"),
        Scheme::Lemonsqueezy => bare("x-signature"),
        Scheme::Github => {
            let offered = header("x-hub-signature-256")?.strip_prefix("sha256=").unwrap_or("");
            Some(Shown { offered: vec![offered], ..Shown::default() })
        }
    }
}

/// Our own: headers, or for senders that can only set a URL parameters.
fn crosstally(inbound: &Inbound) -> Option<Shown<'_>> {
    let header = |name: &str| Some(inbound.header(name).trim()).filter(|value| !value.is_empty());
    let (offered, stamp, nonce, left_out) = match header("x-crosstally-signature") {
        Some(offered) => (offered, header("x-crosstally-timestamp")?, header("x-crosstally-nonce"), None),
        None => {
            let param = |name: &str| parameter(&inbound.query, name);
            (param("signature")?, param("timestamp")?, param("nonce"), Some("signature"))
        }
    };
    let offered = vec![offered.strip_prefix("v1=").unwrap_or(offered)];
    Some(Shown { stamp, nonce: nonce.unwrap_or(""), offered, left_out })
}

/// A parameter whose value needs no escapes: hex, digits, an id.
fn parameter<'a>(query: &'a [u8], name: &str) -> Option<&'a str> {
    let piece = query
        .split(|&b| b == b'&')
        .find_map(|piece| piece.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(piece).ok().filter(|value| !value.is_empty())
}

/// `t=1,v1=ab,v1=cd`: a timestamp and signatures by their names.
fn listed<'a>(header: &'a str, between: char, stamp: &str, signature: &str) -> Option<Shown<'a>> {
    let pairs = || header.split(between).filter_map(|pair| pair.trim().split_once('='));
    let mut stamps = pairs().filter(|(name, _)| *name == stamp).map(|(_, value)| value);
    let at = stamps.next()?;
    // Two timestamps would leave open which one is signed.
    let is_single = stamps.next().is_none();
    let offered: Vec<&str> =
        pairs().filter(|(name, _)| *name == signature).map(|(_, value)| value).take(OFFERED_MAX).collect();
    (is_single && !offered.is_empty()).then_some(Shown { stamp: at, nonce: "", offered, left_out: None })
}
