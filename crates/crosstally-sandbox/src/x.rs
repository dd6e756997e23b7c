//! X's Conversions API, played: `POST /12/measurement/conversions/{pixel}`.
//!
//! Whoever has a non-empty `X-Pixel-Token`, or an OAuth 1.0a header with all its parts and a timestamp of now, may send;
//! the signature itself is not checked. One bad conversion refuses all.

use http::Uri;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, segment};
use crate::json::{Bounds, Checked, Part, Shape};
use crate::platform::Platform;

const BOUNDS: Bounds = Bounds { age_ms: 90 * 24 * 60 * 60 * 1000, ahead_ms: 60_000 };
const OAUTH: &[&str] = &[
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_token",
    "oauth_version",
];
const TOLERANCE_SECONDS: i64 = 300;

/// The events edge.
pub(crate) struct X;

impl Edge for X {
    fn platform(&self) -> Platform {
        Platform::X
    }

    fn token(&self) -> Token {
        Token::Own
    }

    fn check_call(&self, parts: &Parts, _body: &[u8], now_ms: i64) -> Result<(), Trouble> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let good = |token: &str| !token.is_empty() && !token.to_ascii_lowercase().starts_with("expired");
        let signed = || header("authorization").and_then(|text| text.strip_prefix("OAuth "));
        let fine = match header("x-pixel-token") {
            Some(token) => good(token),
            None => {
                signed().is_some_and(|params| is_signed(params, now_ms) && good(part(params, "oauth_token")))
            }
        };
        if fine { Ok(()) } else { Err(Trouble::Token) }
    }

    fn list(&self) -> &'static [&'static str] {
        &["conversions"]
    }

    fn events_max(&self) -> usize {
        500
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        segment(uri, 3)
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        Part::of(main).only(&[])
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        (text("event_id"), text("conversion_id"))
    }

    fn check(&self, event: &Map<String, Value>, _main: &Map<String, Value>, now_ms: i64) -> Checked {
        let event = Part::of(event);
        event.required("event_id", event.text("event_id")?)?;
        event.instant("conversion_time", now_ms, BOUNDS)?;
        event.text("conversion_id")?;
        event.amount_text("value")?;
        event.currency("price_currency")?;
        if event.integer("number_items")?.is_some_and(|count| count < 1) {
            return event.must("number_items", "1 or more");
        }
        for item in event.objects("contents")? {
            item.amount("content_price")?;
            item.integer("num_items")?;
        }
        event.web_address("event_source_url")?;
        let mut known = false;
        for person in event.objects("identifiers")? {
            person.only(&["twclid", "hashed_email", "hashed_phone_number", "ip_address", "user_agent"])?;
            known |= person.plain("twclid")?.is_some();
            known |= person.hashes("hashed_email", Shape::One)?;
            known |= person.hashes("hashed_phone_number", Shape::One)?;
            person.address("ip_address")?;
            person.plain("user_agent")?;
        }
        if known { Ok(()) } else { Err("identifiers must hold at least one user identifier".to_owned()) }
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        true
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, trace: &str) -> Said {
        let wrong = verdicts.iter().filter_map(|verdict| verdict.as_ref().err());
        let errors: Vec<Value> = wrong.map(|words| error("INVALID_PARAMETER", words)).collect();
        if errors.is_empty() {
            let data = json!({"conversions_processed": verdicts.len(), "debug_id": trace});
            return Said(200, json!({"request": {"params": {}}, "data": data}));
        }
        Said(400, json!({ "errors": errors }))
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        let (status, code, words) = match trouble {
            Trouble::Token => (401, "UNAUTHORIZED_ACCESS", "This request is not properly authenticated"),
            Trouble::Permission => {
                (403, "UNAUTHORIZED_CLIENT_APPLICATION", "The client application is not allowed")
            }
            Trouble::Throttled => (429, "TOO_MANY_REQUESTS", "Rate limit exceeded"),
            Trouble::Server(status) => (*status, "INTERNAL_ERROR", "An internal error occurred"),
            Trouble::Bad(words) => (400, "INVALID", words.as_str()),
            Trouble::Nowhere => (404, "NOT_FOUND", "There is no such pixel"),
            Trouble::Asked(status, _) => (*status, "ASKED", "Asked for by a fault"),
        };
        Said(status, json!({ "errors": [error(code, words)] }))
    }
}

fn error(code: &str, words: &str) -> Value {
    json!({"code": code, "message": words, "parameter": words.split(' ').next()})
}

/// One value of an OAuth header.
fn part<'h>(params: &'h str, name: &str) -> &'h str {
    let mut pairs = params.split(", ").filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"')).unwrap_or_default()
}

fn is_signed(params: &str, now_ms: i64) -> bool {
    let stamp = part(params, "oauth_timestamp").parse::<i64>().unwrap_or_default();
    OAUTH.iter().all(|name| !part(params, name).is_empty())
        && part(params, "oauth_signature_method") == "HMAC-SHA1"
        && (now_ms / 1000 - stamp).abs() <= TOLERANCE_SECONDS
}
