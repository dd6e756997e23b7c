//! Signatures: whatever stands in the headers is read or refused; a call that is signed by its scheme's rule is taken; and
//! with any bit of it changed it is not.

use crosstally_core::config::Word as _;
use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::{Key, Scheme, SecretUsed, Signing, TOLERANCE_MS, canonical};
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;

use crate::input::{Input, text};
use crate::{partners, samples};

pub(super) const WORDS: &[&str] = &[
    "\0",
    "t=",
    "v1=",
    "ts=",
    "h1=",
    ",",
    ";",
    "v1,",
    "sha256=",
    "whsec_",
    "1795255200",
    "1795255200000",
    "&signature=",
    "&timestamp=1795255200",
    "&nonce=n",
    "sign%61ture=",
    "%2A",
    "%2a",
    "+",
    "%20",
    "&",
    "=",
    "msg_1",
    ".",
    "2026-11-21T10:00:00Z",
];

/// The headers that some scheme reads.
const HEADERS: &[&str] = &[
    "x-crosstally-signature",
    "x-crosstally-timestamp",
    "x-crosstally-nonce",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "stripe-signature",
    "paddle-signature",
    "x-shopify-hmac-sha256",
    "x-wc-webhook-signature",
    "x-signature",
    "x-hub-signature-256",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, sample) in samples::ALL.iter().enumerate().step_by(5) {
        let choices = format!("{}{}{}", number % 8, number % 7, number % 9);
        let parts = [choices.as_bytes(), b"n1", sample.query.as_bytes(), sample.body.as_bytes()];
        seeds.push([parts[0], &parts[1..].join(&0)].concat());
    }
    for (scheme, shown) in [
        (0, "v1=abcdef\x001795255200"),
        (1, "msg_1\x001795255200\x00v1,AAAA v1,BBBB"),
        (2, "t=1795255200,v1=ab,v1=cd"),
        (6, "ts=1795255200;h1=ab"),
        (4, "sha256=ab"),
    ] {
        seeds.push(format!("{scheme}00n\0a=1&signature=ab&timestamp=1795255200\0{{}}\0{shown}").into_bytes());
    }
    seeds
}

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let scheme = *input.pick(Scheme::ALL);
    let (place, bit) = (usize::from(input.byte()) << 3 | usize::from(input.byte()), input.byte());
    let nonce = text(input.part()).into_owned();
    let inbound = Inbound {
        method: "POST".into(),
        query: input.part().to_vec(),
        body: input.part().to_vec(),
        ..Inbound::default()
    };
    let secrets =
        [Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Secret::new("bm90IHRoZSBzYW1lIHNlY3JldA==")];
    let [current, old] = &secrets;
    let signing = Signing::new(scheme, current, Some(old)).expect("secrets of any scheme");
    check_any(&inbound, &signing, input);
    for (secret, by) in [(current, SecretUsed::Current), (old, SecretUsed::Old)] {
        check_signed(&inbound, &signing, &Key::new(scheme, secret).expect("a key"), &nonce, by, (place, bit));
    }
}

/// Headers that nobody has signed.
fn check_any(inbound: &Inbound, signing: &Signing, mut input: Input<'_>) {
    let mut inbound = inbound.clone();
    for header in HEADERS {
        let value = input.part();
        if !value.is_empty() {
            inbound.headers.push(header, text(value));
        }
    }
    let stop = signing.check(&inbound, partners::NOW).expect_err("nobody has signed it");
    assert!(
        matches!(stop.reason, Reason::SignatureMissing | Reason::SignatureWrong | Reason::RepeatedField),
        "{stop:?}"
    );
    assert!(!stop.detail.chars().any(char::is_control));
    // Any secret is a key or is refused.
    drop(Key::new(signing.scheme(), &Secret::new(text(&inbound.body))));
    let canonical = canonical::query(&inbound.query, None);
    assert_eq!(canonical::query(&canonical, None), canonical, "there is one canonical form");
}

fn check_signed(
    inbound: &Inbound,
    signing: &Signing,
    key: &Key,
    nonce: &str,
    by: SecretUsed,
    flip: (usize, u8),
) {
    let stamp = (partners::NOW.as_millis() / 1_000).to_string();
    let headers = key.headers(inbound, &stamp, nonce);
    let signed = with_headers(inbound, &headers);
    let has_nonce = headers.iter().any(|(_, value)| !nonce.is_empty() && value == nonce);
    let nonce_is_clean = nonce.bytes().all(|byte| byte.is_ascii_graphic()) && nonce.len() <= 512;
    let is_webhook = signing.scheme() == Scheme::StandardWebhooks;
    let checked = signing.check(&signed, partners::NOW);
    if signing.scheme().signs_query() && canonical::repeated(&inbound.query).is_some() {
        assert_eq!(checked.expect_err("a repeated parameter").reason, Reason::RepeatedField);
        return;
    }
    if has_nonce && (!nonce_is_clean || is_webhook && nonce.contains('.')) || is_webhook && nonce.is_empty() {
        assert!(checked.is_err(), "a number that is none: {nonce:?}");
        return;
    }
    let checked = checked.expect("a call by the scheme's own rule");
    assert_eq!((checked.by, checked.nonce.is_some()), (by, has_nonce));
    check_time(&signed, signing);
    check_flipped(&signed, signing, &headers, flip);
}

fn with_headers(inbound: &Inbound, headers: &[(&'static str, String)]) -> Inbound {
    let mut signed = inbound.clone();
    for (name, value) in headers {
        signed.headers.push(name, value.as_str());
    }
    signed
}

/// Where time is signed, it counts.
fn check_time(signed: &Inbound, signing: &Signing) {
    let has_time = !matches!(
        signing.scheme(),
        Scheme::Shopify | Scheme::Github | Scheme::Woocommerce | Scheme::Lemonsqueezy
    );
    for off in [-TOLERANCE_MS - 1_000, TOLERANCE_MS + 1_000] {
        assert_eq!(signing.check(signed, partners::NOW.plus_millis(off)).is_err(), has_time);
    }
}

/// One bit of the body, the query or a header.
fn check_flipped(
    signed: &Inbound,
    signing: &Signing,
    headers: &[(&'static str, String)],
    (place, bit): (usize, u8),
) {
    let bit = 1_u8 << (bit % 8);
    let mut body = signed.clone();
    if flip(&mut body.body, place, bit) {
        assert!(signing.check(&body, partners::NOW).is_err(), "another body");
    }
    let mut query = signed.clone();
    if signing.scheme().signs_query() && flip(&mut query.query, place, bit) {
        let same = canonical::query(&query.query, None) == canonical::query(&signed.query, None);
        let repeated = canonical::repeated(&query.query).is_some();
        assert_eq!(signing.check(&query, partners::NOW).is_ok(), same && !repeated, "another query");
    }
    for (at, (_, value)) in headers.iter().enumerate() {
        let mut changed = value.clone().into_bytes();
        flip(&mut changed, place, bit);
        let Ok(changed) = String::from_utf8(changed) else { continue };
        // Hex may be written in capitals; names and spaces around a value are not signed.
        if changed.eq_ignore_ascii_case(value) || changed.trim() == value.trim() {
            continue;
        }
        let mut others = headers.to_vec();
        if let Some((_, value)) = others.get_mut(at) {
            changed.clone_into(value);
        }
        let mut bare = signed.clone();
        bare.headers = Default::default();
        let checked = signing.check(&with_headers(&bare, &others), partners::NOW);
        assert!(checked.is_err(), "{changed} for {value}");
    }
}

fn flip(bytes: &mut [u8], place: usize, bit: u8) -> bool {
    let at = place % bytes.len().max(1);
    bytes.get_mut(at).map(|byte| *byte ^= bit).is_some()
}
