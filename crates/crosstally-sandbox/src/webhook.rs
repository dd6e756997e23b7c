//! A receiver of signed webhooks, played: `POST /webhook/{receiver}`, one JSON message per call, signed as Standard
//! Webhooks asks for.
//!
//! Every receiver has the same two keys: the shared secret [`SECRET`], and the public half of the Ed25519 key whose
//! private half is 32 bytes of the value 7. A call must have one good signature by either, made within five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Uri;
use http::request::Parts;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, segment};
use crate::json::{Checked, Part};
use crate::platform::Platform;

/// The secret that a sender and every receiver here share.
pub(crate) const SECRET: &str = "whsec_Y3Jvc3N0YWxseSBzYW5kYm94IHdlYmhvb2sga2V5";
/// The public half of the Ed25519 key.
const PUBLIC: &str = "whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
const TOLERANCE_SECONDS: i64 = 300;

/// The receiving edge.
pub(crate) struct Webhook;

impl Edge for Webhook {
    fn platform(&self) -> Platform {
        Platform::Webhook
    }

    fn token(&self) -> Token {
        Token::Own
    }

    fn check_call(&self, parts: &Parts, body: &[u8], now_ms: i64) -> Result<(), Trouble> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let call = Call {
            id: header("webhook-id").unwrap_or_default(),
            timestamp: header("webhook-timestamp").unwrap_or_default(),
            signatures: header("webhook-signature").unwrap_or_default(),
            body,
        };
        let good = call.is_signed(SECRET, now_ms) || call.is_signed(PUBLIC, now_ms);
        if good { Ok(()) } else { Err(Trouble::Token) }
    }

    fn list(&self) -> &'static [&'static str] {
        &[]
    }

    fn events_max(&self) -> usize {
        1
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        segment(uri, 1)
    }

    fn check_main(&self, _main: &Map<String, Value>) -> Checked {
        Ok(())
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let id = event.get("data").and_then(|data| data.get("event_id")?.as_str());
        (event.get("type").and_then(Value::as_str), id)
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, _now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.required("type", event.text("type")?)?;
        event.required("timestamp", event.text("timestamp")?)?;
        event.required("data", event.object("data")?).map(drop)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        match verdicts.iter().find_map(|verdict| verdict.as_ref().err()) {
            Some(words) => Said(400, json!({ "error": words })),
            None => Said(204, Value::Null),
        }
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        let (status, words) = match trouble {
            Trouble::Token => (401, "the signature does not fit"),
            Trouble::Permission => (403, "forbidden"),
            Trouble::Throttled => (429, "too many calls"),
            Trouble::Server(status) | Trouble::Asked(status, _) => (*status, "asked for by a fault"),
            Trouble::Bad(words) => (400, words.as_str()),
            Trouble::Nowhere => (404, "there is no such receiver"),
        };
        Said(status, json!({ "error": words }))
    }
}

/// A call as it came.
struct Call<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    /// Whether one of its signatures was made with this key, and lately.
    fn is_signed(&self, key: &str, now_ms: i64) -> bool {
        let Ok(seconds) = self.timestamp.parse::<i64>() else { return false };
        if self.id.is_empty() || self.id.contains('.') || (now_ms / 1000 - seconds).abs() > TOLERANCE_SECONDS
        {
            return false;
        }
        let mut message = format!("{}.{}.", self.id, self.timestamp).into_bytes();
        message.extend_from_slice(self.body);
        self.signatures.split(' ').filter_map(|one| one.split_once(',')).any(|(version, signature)| {
            let Ok(signature) = BASE64.decode(signature) else { return false };
            fits(version, key, &message, &signature)
        })
    }
}

fn fits(version: &str, key: &str, message: &[u8], signature: &[u8]) -> bool {
    if let Some(public) = key.strip_prefix("whpk_") {
        let public = UnparsedPublicKey::new(&ED25519, BASE64.decode(public).unwrap_or_default());
        return version == "v1a" && public.verify(message, signature).is_ok();
    }
    let secret = BASE64.decode(key.strip_prefix("whsec_").unwrap_or(key)).unwrap_or_default();
    let secret_fits = !secret.is_empty();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    version == "v1" && secret_fits && hmac::verify(&secret, message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const SECRET_A: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const SIGNATURE_A: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    const A: Call<'static> = Call {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: "1649367553",
        signatures: SIGNATURE_A,
        body: br#"{"email":"test@example.com","username":"test_user"}"#,
    };
    const NOW_A: i64 = 1_649_367_553_000;
    const SECRET_B: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const B: Call<'static> = Call {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        body: br#"{"test": 2432232314}"#,
    };

    #[test]
    fn the_published_vectors_are_good() {
        assert!(A.is_signed(SECRET_A, NOW_A));
        assert!(B.is_signed(SECRET_B, 1_614_265_330_000));
        for (id, signatures) in
            [(A.id, format!("v1,AAAA {SIGNATURE_A}")), (A.id, format!("v2,x v1a,AAAA {SIGNATURE_A} v1,"))]
        {
            assert!(Call { id, signatures: &signatures, ..A }.is_signed(SECRET_A, NOW_A), "{signatures}");
        }
    }

    #[test]
    fn the_published_negatives_are_not() {
        let signed = |signatures: &str| Call { signatures, ..A }.is_signed(SECRET_A, NOW_A);
        let piece = SIGNATURE_A.get(..20).unwrap_or_default();
        let other_version = SIGNATURE_A.replace("v1,", "v2,");
        for bad in [
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kk0=",
            "v1,",
            "v1",
            "",
            piece,
            &other_version,
            "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ] {
            assert!(!signed(bad), "{bad}");
        }
        assert!(
            !Call { signatures: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", ..B }
                .is_signed(SECRET_B, 1_614_265_330_000)
        );
        assert!(!Call { id: "", ..A }.is_signed(SECRET_A, NOW_A));
        assert!(!Call { id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk.1", ..A }.is_signed(SECRET_A, NOW_A));
        assert!(!Call { timestamp: "", ..A }.is_signed(SECRET_A, NOW_A));
        assert!(
            !Call { body: b"{\"email\":\"test@example.com\",\"username\":\"test_usex\"}", ..A }
                .is_signed(SECRET_A, NOW_A)
        );
        for key in ["", "whsec_", SECRET_B] {
            assert!(!A.is_signed(key, NOW_A), "{key}");
        }
        for (off_ms, good) in [(300_000, true), (301_000, false), (-300_000, true), (-301_000, false)] {
            assert_eq!(A.is_signed(SECRET_A, NOW_A + off_ms), good, "{off_ms}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_signed_as_they_are() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(SECRET_B).unwrap_or_default());
        let tag = BASE64.encode(hmac::sign(&key, b"msg_1.1614265330.\xff\xfe"));
        let call = Call { id: "msg_1", body: b"\xff\xfe", signatures: &format!("v1,{tag}"), ..B };
        assert!(call.is_signed(SECRET_B, 1_614_265_330_000));
    }

    #[test]
    fn the_public_key_is_that_of_the_private_one_in_the_docs() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
        assert_eq!(format!("whpk_{}", BASE64.encode(pair.public_key())), PUBLIC);
        let signature = format!("v1a,{}", BASE64.encode(pair.sign(b"m.1614265330.{}")));
        let call = Call { id: "m", signatures: &signature, body: b"{}", ..B };
        assert!(call.is_signed(PUBLIC, 1_614_265_330_000));
        assert!(!call.is_signed(SECRET, 1_614_265_330_000));
    }
}
