//! Vectors of the schemes and every way in which a signature can be wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::config::Word;
use crate::postback::Headers;

/// Vectors A and B of Standard Webhooks' own libraries.
const A: [&str; 5] = [
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    "1649367553",
    r#"{"email":"test@example.com","username":"test_user"}"#,
    "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
];
const B: [&str; 5] = [
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "1614265330",
    r#"{"test": 2432232314}"#,
    "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
];

fn signing(scheme: Scheme, secret: &str) -> Signing {
    Signing::new(scheme, &Secret::new(secret), None).unwrap()
}

fn call(body: &[u8], headers: &[(&str, &str)]) -> Inbound {
    let mut inbound = Inbound { method: "POST".into(), body: body.to_vec(), ..Inbound::default() };
    for (name, value) in headers {
        inbound.headers.push(name, *value);
    }
    inbound
}

fn webhook(vector: [&str; 5], signature: &str) -> Inbound {
    let [_, id, stamp, body, _] = vector;
    call(
        body.as_bytes(),
        &[("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature)],
    )
}

fn at(stamp: &str) -> Timestamp {
    Timestamp::parse(stamp).unwrap()
}

fn verdict(vector: [&str; 5], inbound: &Inbound, off_ms: i64) -> Option<Reason> {
    let now = at(vector[2]).plus_millis(off_ms);
    signing(Scheme::StandardWebhooks, vector[0]).check(inbound, now).err().map(|stop| stop.reason)
}

#[test]
fn b1_both_vectors_are_accepted_with_their_ids() {
    for vector in [A, B] {
        let inbound = webhook(vector, &format!("v1,{}", vector[4]));
        let signed = signing(Scheme::StandardWebhooks, vector[0]).check(&inbound, at(vector[2])).unwrap();
        assert_eq!(signed, Signed { by: SecretUsed::Current, nonce: Some(vector[1].to_owned()) });
        let key = Key::new(Scheme::StandardWebhooks, &Secret::new(vector[0])).unwrap();
        assert_eq!(key.sign(&inbound, vector[2], vector[1]), vector[4]);
    }
}

#[test]
fn b2_every_negative_of_the_reference_is_refused() {
    let good = B[4];
    for (signature, expected) in [
        (format!("v1,{good}"), None),
        (format!("v1,AAAA v2,{good} v1,{good}"), None),
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=".to_owned(), Some(Reason::SignatureWrong)),
        ("v1,".to_owned(), Some(Reason::SignatureWrong)),
        ("v1".to_owned(), Some(Reason::SignatureWrong)),
        (format!("v1,{}", good.get(..20).unwrap()), Some(Reason::SignatureWrong)),
        (format!("v1,{good}A"), Some(Reason::SignatureWrong)),
        (format!("v2,{good}"), Some(Reason::SignatureWrong)),
        (good.to_owned(), Some(Reason::SignatureWrong)),
        (String::new(), Some(Reason::SignatureMissing)),
    ] {
        assert_eq!(verdict(B, &webhook(B, &signature), 0), expected, "{signature}");
    }
    let signature = format!("v1,{good}");
    let whole =
        [("webhook-id", B[1]), ("webhook-timestamp", B[2]), ("webhook-signature", signature.as_str())];
    for missing in 0..whole.len() {
        let rest: Vec<_> =
            whole.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, one)| *one).collect();
        assert_eq!(verdict(B, &call(B[3].as_bytes(), &rest), 0), Some(Reason::SignatureMissing), "{missing}");
    }
    for (body, id) in
        [("{\"test\": 2432232315}", B[1]), ("{\"test\":  2432232314}", B[1]), (B[3], "msg_other")]
    {
        let vector = [B[0], id, B[2], body, good];
        assert_eq!(verdict(vector, &webhook(vector, &signature), 0), Some(Reason::SignatureWrong), "{body}");
    }
    for empty in ["", "whsec_", "whsec_***", "whsec_not base64"] {
        assert!(Signing::new(Scheme::StandardWebhooks, &Secret::new(empty), None).is_none(), "{empty}");
    }
}

#[test]
fn b2_bodies_that_are_not_utf8_are_signed_like_any_other() {
    for scheme in Scheme::ALL.iter().copied() {
        let secret = Secret::new(B[0]);
        let mut inbound = call(b"\xff\xfe{\x00}", &[]);
        for (name, value) in Key::new(scheme, &secret).unwrap().headers(&inbound, B[2], "n1") {
            inbound.headers.push(name, value);
        }
        let signing = Signing::new(scheme, &secret, None).unwrap();
        assert!(signing.check(&inbound, at(B[2])).is_ok(), "{scheme:?}");
        inbound.body[1] ^= 1;
        assert_eq!(
            signing.check(&inbound, at(B[2])).unwrap_err().reason,
            Reason::SignatureWrong,
            "{scheme:?}"
        );
    }
}

#[test]
fn b4_the_tolerance_is_five_minutes_either_way() {
    let inbound = webhook(A, &format!("v1,{}", A[4]));
    for (off_s, fits) in [(299, true), (300, true), (301, false), (-299, true), (-301, false)] {
        let expected = (!fits).then_some(Reason::SignatureWrong);
        assert_eq!(verdict(A, &inbound, off_s * 1_000), expected, "{off_s}");
    }
    for stamp in ["", "x", "1649367553.0", "2022-04-07T21:39:13Z", "-1649367553", "9999999999999999999"] {
        let vector = [A[0], A[1], stamp, A[3], A[4]];
        let inbound = webhook(vector, &format!("v1,{}", A[4]));
        assert!(signing(Scheme::StandardWebhooks, A[0]).check(&inbound, at(A[2])).is_err(), "{stamp}");
    }
}

/// Made with OpenSSL over `{"id":7}`, bare, behind `1649367553.` and behind `1649367553:`.
const BODY_HEX: &str = "c48dcba22b49a9371cdf607a41016238221e38c78d72e9eccb55c75bdc0f3ebc";
const BODY_BASE64: &str = "xI3LoitJqTcc32B6QQFiOCIeOMeNcunsy1XHW9wPPrw=";
const STRIPE_HEX: &str = "ee4ed35e1d46550170ddc125368fef0604e942c91cfe4a2e3fd1b04324cec59e";
const PADDLE_HEX: &str = "fc4efd892e90ad705bcc9d826a12e1f2ee6dedf6ad2aadd28766223491bc041f";

/// Vectors made with OpenSSL: `printf BODY | openssl dgst -sha256 -hmac s3cret`.
#[test]
fn every_scheme_has_its_own_header_and_its_own_text() {
    let body = br#"{"id":7}"#;
    for (scheme, header, shown) in [
        (Scheme::Github, "X-Hub-Signature-256", format!("sha256={BODY_HEX}")),
        (Scheme::Lemonsqueezy, "X-Signature", BODY_HEX.to_owned()),
        (Scheme::Lemonsqueezy, "X-Signature", BODY_HEX.to_uppercase()),
        (Scheme::Shopify, "X-Shopify-Hmac-Sha256", BODY_BASE64.to_owned()),
        (Scheme::Woocommerce, "X-WC-Webhook-Signature", BODY_BASE64.to_owned()),
        (Scheme::Stripe, "Stripe-Signature", format!("t=1649367553,v1=00,v1={STRIPE_HEX},v0=ff")),
        (Scheme::Paddle, "Paddle-Signature", format!("ts=1649367553;h1={PADDLE_HEX}")),
    ] {
        let now = at("1649367553");
        let signing = signing(scheme, "s3cret");
        assert!(signing.check(&call(body, &[(header, &shown)]), now).is_ok(), "{scheme:?}");
        let missing = signing.check(&call(body, &[]), now).unwrap_err();
        assert_eq!(missing.reason, Reason::SignatureMissing, "{scheme:?}");
        let other = self::signing(scheme, "other").check(&call(body, &[(header, &shown)]), now).unwrap_err();
        assert_eq!(other.reason, Reason::SignatureWrong, "{scheme:?}");
    }
    let two = format!("t=1649367553,t=1649367554,v1={STRIPE_HEX}");
    let two = call(body, &[("stripe-signature", &two)]);
    assert!(signing(Scheme::Stripe, "s3cret").check(&two, at("1649367553")).is_err(), "two timestamps");
}

const STAMP: &str = "1795255200";

fn ours(query: &str, headers: &[(&str, &str)]) -> Inbound {
    Inbound { query: query.into(), ..call(b"", headers) }
}

fn key() -> Key {
    Key::new(Scheme::Crosstally, &Secret::new("s3cret")).unwrap()
}

/// The same value by hand: timestamp, nonce, method and canonical query each on a line, then the body.
#[test]
fn our_own_form_is_what_the_documentation_says() {
    let inbound = Inbound { query: b"b=2%20c&a=1".to_vec(), ..call(b"x=y", &[]) };
    let mut mac: Hmac<Sha256> = KeyInit::new_from_slice(b"s3cret").unwrap();
    mac.update(b"1795255200\nn-1\nPOST\na=1&b=2%20c\nx=y");
    assert_eq!(key().sign(&inbound, STAMP, "n-1"), hex(&mac.finalize().into_bytes()));
}

#[test]
fn b8_order_and_escapes_do_not_matter_and_repeats_are_refused() {
    let signature = key().sign(&ours("payout=1&tid=a b&x=%7e", &[]), STAMP, "");
    for (query, expected) in [
        ("payout=1&tid=a%20b&x=~", None),
        ("tid=a+b&x=%7E&&payout=%31", None),
        ("tid=a%2520b&x=~&payout=1", Some(Reason::SignatureWrong)),
        ("tid=a%20b&x=~&payout=9", Some(Reason::SignatureWrong)),
        ("tid=a%20b&x=~", Some(Reason::SignatureWrong)),
        ("tid=a%20b&x=~&payout=1&more=1", Some(Reason::SignatureWrong)),
        ("payout=1&payout=9&tid=a%20b&x=~", Some(Reason::RepeatedField)),
        ("payout=1&PAYOUT=1&tid=a%20b&x=~", Some(Reason::RepeatedField)),
        ("payout=1&pay%6fut=9&tid=a%20b&x=~", Some(Reason::RepeatedField)),
    ] {
        let headers = [("x-crosstally-timestamp", STAMP), ("x-crosstally-signature", signature.as_str())];
        let checked = signing(Scheme::Crosstally, "s3cret").check(&ours(query, &headers), at(STAMP));
        assert_eq!(checked.err().map(|stop| stop.reason), expected, "{query}");
    }
}

#[test]
fn a_url_can_carry_its_own_signature() {
    let unsigned = "tid=1&payout=2&timestamp=1795255200&nonce=n7";
    let signature = key().sign(&ours(unsigned, &[]), STAMP, "n7");
    let whole = format!("{unsigned}&signature={signature}");
    let signed = signing(Scheme::Crosstally, "s3cret").check(&ours(&whole, &[]), at(STAMP)).unwrap();
    assert_eq!(signed.nonce.as_deref(), Some("n7"));
    let other = whole.replace("nonce=n7", "nonce=n8");
    assert!(signing(Scheme::Crosstally, "s3cret").check(&ours(&other, &[]), at(STAMP)).is_err());
    // With the signature in the header a parameter of that name is signed like any other.
    let headers = [("x-crosstally-timestamp", STAMP), ("x-crosstally-signature", signature.as_str())];
    assert!(signing(Scheme::Crosstally, "s3cret").check(&ours(&whole, &headers), at(STAMP)).is_err());
}

#[test]
fn b7_both_secrets_are_taken_during_a_rotation_and_told_apart() {
    let rotating = Signing::new(Scheme::Crosstally, &Secret::new("new"), Some(&Secret::new("old"))).unwrap();
    let after = signing(Scheme::Crosstally, "new");
    for (secret, expected, later) in [
        ("new", Some(SecretUsed::Current), true),
        ("old", Some(SecretUsed::Old), false),
        ("none", None, false),
    ] {
        let mut inbound = ours("tid=1", &[]);
        let key = Key::new(Scheme::Crosstally, &Secret::new(secret)).unwrap();
        for (name, value) in key.headers(&inbound, STAMP, "n") {
            inbound.headers.push(name, value);
        }
        assert_eq!(rotating.check(&inbound, at(STAMP)).ok().map(|signed| signed.by), expected, "{secret}");
        assert_eq!(after.check(&inbound, at(STAMP)).is_ok(), later, "{secret}");
    }
}

#[test]
fn ids_that_could_be_read_in_two_ways_are_refused() {
    let long = "n".repeat(limits::KEY_BYTES_MAX + 1);
    for nonce in ["msg.1", "msg 1", "m\u{e9}", long.as_str()] {
        let mut inbound = call(b"{}", &[]);
        for (name, value) in
            Key::new(Scheme::StandardWebhooks, &Secret::new(B[0])).unwrap().headers(&inbound, B[2], nonce)
        {
            inbound.headers.push(name, value);
        }
        let stop = signing(Scheme::StandardWebhooks, B[0]).check(&inbound, at(B[2])).unwrap_err();
        assert_eq!(stop.reason, Reason::SignatureWrong, "{nonce}");
    }
}

#[test]
fn every_name_is_a_scheme_and_no_key_is_printed() {
    let named: Vec<&str> = Scheme::ALL.iter().map(|scheme| scheme.word()).collect();
    assert_eq!(named, SCHEMES);
    assert!(SCHEMES.iter().all(|name| Scheme::named(name).is_some_and(|scheme| scheme.word() == *name)));
    let shown = format!("{:?}", signing(Scheme::Stripe, "whsec_hunter2"));
    assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}

/// Wrong in the first byte and wrong in the last take the same time: the middle of many runs, side by side.
#[test]
#[expect(clippy::disallowed_methods, reason = "what is measured is time itself")]
fn b9_how_much_was_right_cannot_be_measured() {
    let secret = Secret::new("k".repeat(64 * 1024));
    let (mut first, mut last) =
        (secret.expose().to_owned().into_bytes(), secret.expose().to_owned().into_bytes());
    first[0] = b'x';
    *last.last_mut().unwrap() = b'x';
    let (first, last) = (String::from_utf8(first).unwrap(), String::from_utf8(last).unwrap());
    let time = |candidate: &str| {
        let begin = std::time::Instant::now();
        for _ in 0..20 {
            assert!(!std::hint::black_box(&secret).matches(std::hint::black_box(candidate)));
        }
        begin.elapsed().as_nanos()
    };
    let (mut early, mut late): (Vec<u128>, Vec<u128>) = (0..101).map(|_| (time(&first), time(&last))).unzip();
    early.sort_unstable();
    late.sort_unstable();
    let (early, late) = (early[50], late[50]);
    // A compare that stops at the first difference would be faster by a factor of hundreds.
    assert!(early * 2 > late && late * 2 > early, "{early} ns and {late} ns");
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(
        query in prop::collection::vec(any::<u8>(), 0..80),
        body in prop::collection::vec(any::<u8>(), 0..80),
        values in prop::collection::vec(".{0,40}", 8),
    ) {
        let mut headers = Headers::default();
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "paddle-signature",
            "x-crosstally-signature", "x-crosstally-timestamp", "x-hub-signature-256"];
        for (name, value) in names.iter().zip(&values) {
            headers.push(name, value.as_str());
        }
        let inbound = Inbound { query, body, headers, ..Inbound::default() };
        for scheme in Scheme::ALL.iter().copied() {
            prop_assert!(signing(scheme, B[0]).check(&inbound, at(B[2])).is_err());
        }
    }

    #[test]
    fn what_is_signed_is_accepted_and_any_other_bit_is_not(
        query in "[a-z]{1,5}=[ -~&&[^&#]]{0,12}",
        body in prop::collection::vec(any::<u8>(), 1..60),
        flip in any::<prop::sample::Index>(),
        scheme in 0..SCHEMES.len(),
    ) {
        let scheme = Scheme::ALL[scheme];
        let key = Key::new(scheme, &Secret::new(B[0])).unwrap();
        let mut inbound = Inbound { method: "POST".into(), query: query.into_bytes(), body, ..Inbound::default() };
        for (name, value) in key.headers(&inbound, B[2], "n1") {
            inbound.headers.push(name, value);
        }
        prop_assert!(signing(scheme, B[0]).check(&inbound, at(B[2])).is_ok());
        let at_bit = flip.index(inbound.body.len() * 8);
        inbound.body[at_bit / 8] ^= 1 << (at_bit % 8);
        prop_assert!(signing(scheme, B[0]).check(&inbound, at(B[2])).is_err());
    }
}
