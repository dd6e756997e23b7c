//! Google Analytics' Measurement Protocol, played: `POST /mp/collect`, and the validation server `POST /debug/mp/collect`.
//!
//! The first answers 204 and nothing else, whatever comes; what Google would throw away in silence is listed here as
//! refused. The second says what is wrong and keeps nothing. A purchase is recognised again by its `transaction_id`.

use http::Uri;
use serde_json::{Map, Value, json};

use crate::edge::{Edge, Said, Token, Trouble, Verdicts, query};
use crate::json::{Checked, Part, Shape};
use crate::platform::Platform;

const AGE_MS: i64 = 72 * 60 * 60 * 1000;
const NAME_BYTES_MAX: usize = 40;
const PARAMS_MAX: usize = 25;
const RESERVED: &[&str] =
    &["ad_click", "app_remove", "error", "first_open", "first_visit", "session_start", "user_engagement"];
const RESERVED_PREFIXES: &[&str] = &["_", "firebase_", "ga_", "google_", "gtag."];

/// The events edge.
pub(crate) struct Ga4 {
    /// Whether it is the validation server.
    pub(crate) debug: bool,
}

impl Edge for Ga4 {
    fn platform(&self) -> Platform {
        Platform::Ga4
    }

    fn token(&self) -> Token {
        Token::Query("api_secret")
    }

    fn list(&self) -> &'static [&'static str] {
        &["events"]
    }

    fn events_max(&self) -> usize {
        25
    }

    fn dataset(&self, uri: &Uri, _main: Option<&Map<String, Value>>) -> Option<String> {
        query(uri, "measurement_id").map(std::borrow::Cow::into_owned)
    }

    fn test_code(&self, _uri: &Uri, _main: &Map<String, Value>) -> Option<String> {
        self.debug.then(|| "debug".to_owned())
    }

    fn tests_are_forgotten(&self) -> bool {
        true
    }

    fn check_main(&self, main: &Map<String, Value>) -> Checked {
        let main = Part::of(main);
        main.only(&[
            "client_id",
            "user_id",
            "timestamp_micros",
            "user_properties",
            "consent",
            "user_data",
            "user_location",
            "ip_override",
            "user_agent",
            "device",
            "validation_behavior",
        ])?;
        main.required("client_id", main.text("client_id")?)?;
        main.address("ip_override")?;
        if let Some(consent) = main.object("consent")? {
            consent.only(&["ad_user_data", "ad_personalization"])?;
            for key in ["ad_user_data", "ad_personalization"] {
                consent.word(key, &["GRANTED", "DENIED"])?;
            }
        }
        if let Some(user) = main.object("user_data")? {
            user.hashes("sha256_email_address", Shape::Either)?;
            user.hashes("sha256_phone_number", Shape::Either)?;
        }
        Ok(())
    }

    fn names<'e>(&self, event: &'e Map<String, Value>) -> (Option<&'e str>, Option<&'e str>) {
        let name = event.get("name").and_then(Value::as_str);
        let order = event.get("params").and_then(|params| params.get("transaction_id")?.as_str());
        (name, order.filter(|_| name == Some("purchase")))
    }

    fn check(&self, event: &Map<String, Value>, main: &Map<String, Value>, now_ms: i64) -> Checked {
        let micros = main.get("timestamp_micros").and_then(Value::as_i64);
        let age = micros.map(|micros| now_ms.saturating_sub(micros / 1000));
        if age.is_some_and(|age| !(-60_000..=AGE_MS).contains(&age)) {
            return Err("timestamp_micros must lie within the last 72 hours".to_owned());
        }
        let event = Part::of(event);
        event.only(&["name", "params"])?;
        let name = event.required("name", event.text("name")?)?;
        is_name("name", name)?;
        if RESERVED.contains(&name) {
            return Err("name is reserved".to_owned());
        }
        let Some(params) = event.object("params")? else { return Ok(()) };
        params_of(name, params)
    }

    fn all_or_nothing(&self, _main: &Map<String, Value>) -> bool {
        false
    }

    fn taken(&self, verdicts: &Verdicts, _main: &Map<String, Value>, _trace: &str) -> Said {
        if !self.debug {
            return Said(204, Value::Null);
        }
        let wrong = verdicts.iter().filter_map(|verdict| verdict.as_ref().err());
        messages(wrong.map(|words| message(words)).collect())
    }

    fn trouble(&self, trouble: &Trouble, _trace: &str) -> Said {
        match trouble {
            Trouble::Asked(status, _) | Trouble::Server(status) => Said(*status, Value::Null),
            Trouble::Throttled => Said(429, Value::Null),
            Trouble::Permission => Said(403, Value::Null),
            Trouble::Bad(words) if self.debug => messages(vec![message(words)]),
            _ if self.debug => messages(vec![message("measurement_id and api_secret are required")]),
            // Nobody is told.
            _ => Said(204, Value::Null),
        }
    }
}

fn messages(messages: Vec<Value>) -> Said {
    Said(200, json!({ "validationMessages": messages }))
}

fn message(words: &str) -> Value {
    let field = words.split(' ').next().unwrap_or_default();
    json!({"fieldPath": field, "description": words, "validationCode": "VALUE_INVALID"})
}

fn is_name(what: &str, name: &str) -> Checked {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if fits { Ok(()) } else { Err(format!("{what} has a name that is not allowed")) }
}

fn params_of(event: &str, params: Part<'_>) -> Checked {
    let keys: Vec<&str> = params.keys().collect();
    if keys.len() > PARAMS_MAX {
        return Err(format!("params must be at most {PARAMS_MAX}"));
    }
    for key in keys {
        is_name("params", key)?;
    }
    let currency = params.currency("currency")?;
    let value = params.amount("value")?;
    if value.is_some() && currency.is_none() {
        return Err("params.currency is required beside a value".to_owned());
    }
    let order = params.text("transaction_id")?;
    if event == "purchase" {
        params.required("value", value)?;
        params.required("transaction_id", order)?;
    }
    for item in params.objects("items")? {
        if item.text("item_id")?.is_none() && item.text("item_name")?.is_none() {
            return Err("items must have item_id or item_name".to_owned());
        }
        item.amount("price")?;
    }
    Ok(())
}
