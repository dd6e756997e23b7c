//! One JSON object of an event, read strictly, for the platforms whose answers name a field and its rule in words.
//! `null` is absent. A broken rule is a text without the sender's values.

use serde_json::{Map, Value};
use url::Url;

/// An object and its name in messages.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    name: &'static str,
    map: &'a Map<String, Value>,
}

/// Whether a rule holds, or the rule that is broken.
pub(crate) type Checked<T = ()> = Result<T, String>;

impl<'a> Part<'a> {
    /// The event itself.
    pub(crate) const fn of(map: &'a Map<String, Value>) -> Self {
        Self { name: "", map }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(crate) fn must<T>(&self, key: &str, rule: &str) -> Checked<T> {
        Err(format!("{} must be {rule}", self.path(key)))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(_) => self.must(key, "a string that is not empty"),
        }
    }

    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Checked<T> {
        value.ok_or_else(|| format!("{} is required", self.path(key)))
    }

    pub(crate) fn word(&self, key: &str, words: &[&str]) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if !words.contains(&text) => self.must(key, &format!("one of {}", words.join(", "))),
            other => Ok(other),
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Checked<Option<i64>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => {
                value.as_i64().map_or_else(|| self.must(key, "an integer"), |number| Ok(Some(number)))
            }
        }
    }

    /// A number of 0 or more, without an exponent.
    pub(crate) fn amount(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if is_decimal(number.as_str()) => Ok(Some(number.as_str())),
            Some(_) => self.must(key, "a number of 0 or more, not a string"),
        }
    }

    /// A string that is a decimal of 0 or more.
    pub(crate) fn amount_text(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if !is_decimal(text) => self.must(key, "a decimal of 0 or more as a string"),
            other => Ok(other),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Checked<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => self.must(key, "true or false"),
        }
    }

    pub(crate) fn object(&self, key: &'static str) -> Checked<Option<Part<'a>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Part { name: key, map })),
            Some(_) => self.must(key, "an object"),
        }
    }

    /// The objects of a list.
    pub(crate) fn objects(&self, key: &'static str) -> Checked<Vec<Part<'a>>> {
        let items = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return self.must(key, "a list of objects"),
        };
        let part = |item: &'a Value| match item {
            Value::Object(map) => Ok(Part { name: key, map }),
            _ => self.must(key, "a list of objects"),
        };
        items.iter().map(part).collect()
    }

    /// Whether there is a SHA-256 in lower-case hexadecimal, or a list of them; anything else is refused.
    pub(crate) fn hashes(&self, key: &str, shape: Shape) -> Checked<bool> {
        let rule = "SHA-256 in lower-case hexadecimal";
        let fine = match self.get(key) {
            None => return Ok(false),
            Some(Value::String(text)) if shape != Shape::List => is_sha256(text),
            Some(Value::Array(items)) if shape != Shape::One => {
                !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(is_sha256))
            }
            Some(_) => false,
        };
        if fine { Ok(true) } else { self.must(key, rule) }
    }

    /// Refuses a string that looks hashed where the platform wants it plain.
    pub(crate) fn plain(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if is_sha256(text) => self.must(key, "plain, not hashed"),
            other => Ok(other),
        }
    }

    pub(crate) fn address(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if text.parse::<std::net::IpAddr>().is_err() => self.must(key, "an IP address"),
            other => Ok(other),
        }
    }

    pub(crate) fn web_address(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if !Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) => {
                self.must(key, "an http or https address")
            }
            other => Ok(other),
        }
    }

    pub(crate) fn currency(&self, key: &str) -> Checked<Option<&'a str>> {
        match self.text(key)? {
            Some(text) if iso_currency::Currency::from_code(text).is_none() => {
                self.must(key, "a currency of ISO 4217 in capitals")
            }
            other => Ok(other),
        }
    }

    /// Refuses a time in `unit_ms` that is older or further ahead than the platform takes.
    pub(crate) fn time(&self, key: &str, unit_ms: i64, now_ms: i64, bounds: Bounds) -> Checked {
        let number = self.required(key, self.integer(key)?)?;
        self.near(key, number.saturating_mul(unit_ms), now_ms, bounds)
    }

    /// The same for a time of RFC 3339.
    pub(crate) fn instant(&self, key: &str, now_ms: i64, bounds: Bounds) -> Checked {
        let text = self.required(key, self.text(key)?)?;
        let Ok(at) = text.parse::<jiff::Timestamp>() else {
            return self.must(key, "a time of RFC 3339");
        };
        self.near(key, at.as_millisecond(), now_ms, bounds)
    }

    fn near(&self, key: &str, at_ms: i64, now_ms: i64, bounds: Bounds) -> Checked {
        let age = now_ms.saturating_sub(at_ms);
        if age > bounds.age_ms {
            return Err(format!("{} is too old", self.path(key)));
        }
        if age < -bounds.ahead_ms {
            return Err(format!("{} is in the future", self.path(key)));
        }
        Ok(())
    }

    /// The names of all that is there.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str)
    }

    /// Refuses keys that the platform does not know.
    pub(crate) fn only(&self, known: &[&str]) -> Checked {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("unknown field {}", self.path(key))),
            None => Ok(()),
        }
    }
}

/// How hashes may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
    Either,
}

/// How old, and how far ahead, an event may be.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) age_ms: i64,
    pub(crate) ahead_ms: i64,
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && fraction.is_none_or(digits)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
