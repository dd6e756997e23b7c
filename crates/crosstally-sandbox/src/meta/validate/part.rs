//! One JSON object of an event, read strictly: numbers are numbers, strings are strings, `null` is absent.

use serde_json::{Map, Number, Value};
use url::Url;

use crate::meta::rule::{Broken, Rule};

/// An exponent beyond this is no finite number where Meta reads it.
const EXPONENT_MAX: u32 = 300;

/// An object and its name in messages.
pub(crate) struct Part<'a> {
    name: &'static str,
    map: &'a Map<String, Value>,
}

impl<'a> Part<'a> {
    /// The event itself has the name "".
    pub(crate) const fn new(name: &'static str, map: &'a Map<String, Value>) -> Self {
        Self { name, map }
    }

    /// `user_data.em`, for messages.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether there is anything under the key: an empty string or list is nothing.
    pub(crate) fn has(&self, key: &str) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }

    fn malformed<T>(&self, key: &str, must: &str) -> Result<T, Broken> {
        Err(Broken::new(Rule::Malformed, format!("{} must be {must}", self.path(key))))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.malformed(key, "a string"),
        }
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<&'a str, Broken> {
        let text = self.text(key)?.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Broken::new(Rule::Missing, format!("{} is required", self.path(key))));
        }
        Ok(text)
    }

    /// An id that some senders write as a number.
    pub(crate) fn text_or_integer(&self, key: &str) -> Result<Option<&'a str>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if is_integer(number) => Ok(Some(number.as_str())),
            Some(_) => self.malformed(key, "a string or an integer"),
        }
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => self.malformed(key, "true or false"),
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if is_integer(number) => match number.as_str().parse() {
                Ok(integer) => Ok(Some(integer)),
                Err(_) => self.malformed(key, "an integer of at most 64 bits"),
            },
            Some(_) => self.malformed(key, "an integer, not a string and without a fraction"),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<&'a Number>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Number(number)) if is_finite(number) => Ok(Some(number)),
            Some(Value::Number(_)) => self.malformed(key, "a finite number"),
            Some(_) => self.malformed(key, "a number, not a string"),
        }
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&self, key: &str) -> Result<(), Broken> {
        let Some(number) = self.number(key)? else { return Ok(()) };
        let text = number.as_str();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fine = match whole {
            "0" => fraction.bytes().all(|byte| byte.is_ascii_digit()),
            "1" => fraction.bytes().all(|byte| byte == b'0'),
            _ => false,
        };
        if fine { Ok(()) } else { self.malformed(key, "a number from 0 to 1") }
    }

    pub(crate) fn object(&self, key: &'static str) -> Result<Option<Part<'a>>, Broken> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Part::new(key, map))),
            Some(_) => self.malformed(key, "an object"),
        }
    }

    /// Refuses a string that is not one of `words`.
    pub(crate) fn word(&self, key: &str, words: &[&str]) -> Result<(), Broken> {
        match self.text(key)? {
            Some(text) if !words.contains(&text) => {
                self.malformed(key, &format!("one of {}", words.join(", ")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a string that is not an absolute http or https address. An empty one counts as absent.
    pub(crate) fn web_address(&self, key: &str) -> Result<(), Broken> {
        let Some(text) = self.text(key)?.filter(|text| !text.is_empty()) else { return Ok(()) };
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
            _ => self.malformed(key, "an http or https address"),
        }
    }

    /// A warning for each key that is in none of the `known` lists.
    pub(crate) fn unknown_keys(&self, known: &[&[&str]]) -> Vec<String> {
        let unknown = self.map.keys().filter(|key| !known.iter().any(|list| list.contains(&key.as_str())));
        unknown
            .map(|key| format!("{} is not a parameter of this API and was ignored", self.path(key)))
            .collect()
    }
}

fn is_integer(number: &Number) -> bool {
    let text = number.as_str();
    text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
}

fn is_finite(number: &Number) -> bool {
    let text = number.as_str();
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return text.len() <= 300 };
    let exponent = exponent.trim_start_matches(['+', '-']);
    mantissa.len() <= 300 && exponent.parse::<u32>().is_ok_and(|exponent| exponent <= EXPONENT_MAX)
}

/// Whether a number is below zero. `-0` is not.
pub(crate) fn is_negative(number: &Number) -> bool {
    let text = number.as_str();
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    mantissa.starts_with('-') && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}
