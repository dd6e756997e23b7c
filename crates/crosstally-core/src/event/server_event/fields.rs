//! The fields of one object, asked for one by one; what is wrong with them is gathered.

use serde_json::{Map, Number, Value};

use super::{Invalid, PROBLEMS_MAX, SHORT_BYTES_MAX};
use crate::limits;
use crate::nearest::nearest;
use crate::time::Timestamp;

/// Characters of a key that are repeated in a pointer.
const KEY_CHARS_SHOWN: usize = 64;

/// The mistakes found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<Invalid>);

impl Problems {
    pub(super) fn add(&mut self, pointer: &str, problem: impl Into<String>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(Invalid { pointer: pointer.to_owned(), problem: problem.into() });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_list(self) -> Vec<Invalid> {
        self.0
    }
}

/// The pointer of a member, its name escaped and, if it is a novel, cut.
pub(super) fn child(pointer: &str, key: &str) -> String {
    let shown: String =
        key.chars().take(KEY_CHARS_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{pointer}/{}", shown.replace('~', "~0").replace('/', "~1"))
}

/// One object, and where it stands.
pub(super) struct Fields<'a, 'p> {
    pointer: &'static str,
    object: &'a Map<String, Value>,
    problems: &'p mut Problems,
}

impl<'a, 'p> Fields<'a, 'p> {
    pub(super) fn new(
        pointer: &'static str,
        object: &'a Map<String, Value>,
        problems: &'p mut Problems,
    ) -> Self {
        Self { pointer, object, problems }
    }

    /// The fields of another object.
    pub(super) fn inside<'b>(
        &mut self,
        pointer: &'static str,
        object: &'b Map<String, Value>,
    ) -> Fields<'b, '_> {
        Fields { pointer, object, problems: self.problems }
    }

    /// Notes what is wrong with a field. `key` may be a path of several names.
    pub(super) fn problem(&mut self, key: &str, problem: impl Into<String>) {
        self.problems.add(&format!("{}/{key}", self.pointer), problem);
    }

    /// Reports every key that is not one of `keys`, with the one that was probably meant.
    pub(super) fn only(&mut self, keys: &[&[&str]], other_names: &[(&str, &str)]) {
        let known = || keys.iter().flat_map(|keys| keys.iter().copied());
        for key in self.object.keys().filter(|key| !known().any(|known| known == key.as_str())) {
            let named = other_names.iter().find(|(other, _)| key.eq_ignore_ascii_case(other));
            let meant = named.map(|(_, ours)| *ours).or_else(|| nearest(key, known()));
            let problem = match meant {
                Some(meant) => format!("is not a known key; did you mean `{meant}`?"),
                None => format!("is not a known key; known are {}", known().collect::<Vec<_>>().join(", ")),
            };
            self.problems.add(&child(self.pointer, key), problem);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    /// The raw value.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key)
    }

    /// A text of the usual length of ids, names and words; a whole number counts as its digits. A blank one is absent.
    pub(super) fn short_text(&mut self, key: &str) -> Option<String> {
        self.text(key, SHORT_BYTES_MAX)
    }

    /// A text of at most that many bytes.
    pub(super) fn text(&mut self, key: &str, bytes_max: usize) -> Option<String> {
        let value = self.get(key)?;
        let text = match as_text(value) {
            Some(text) => text.trim(),
            None => {
                self.problem(key, "must be a text");
                return None;
            }
        };
        if let Err(problem) = usable(text, bytes_max) {
            self.problem(key, problem);
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// One text or a list of texts; blank ones are left out. Forms bring lines and tabs along: each value's own reader knows
    /// what to do with those inside.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        self.texts_that(key, |text| fits(text, limits::PARAM_VALUE_BYTES_MAX).map(|()| text))
    }

    /// The same of ids and words, which are kept and passed on as they are.
    pub(super) fn ids(&mut self, key: &str) -> Vec<String> {
        self.texts_that(key, |text| {
            let text = text.trim();
            usable(text, limits::PARAM_VALUE_BYTES_MAX).map(|()| text)
        })
    }

    fn texts_that(&mut self, key: &str, checked: impl Fn(&str) -> Result<&str, String>) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let one = std::slice::from_ref(value);
        let (items, many) = match value {
            Value::Array(items) => (items.as_slice(), true),
            _ => (one, false),
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = if many { format!("{key}/{index}") } else { key.to_owned() };
            match as_text(item) {
                None => self.problem(&place, "must be a text, or a list of texts"),
                Some(text) => match checked(text) {
                    Err(problem) => self.problem(&place, problem),
                    Ok(text) if text.trim().is_empty() => {}
                    Ok(text) => texts.push(text.to_owned()),
                },
            }
        }
        texts
    }

    /// One of these words, in any case.
    pub(super) fn word<'w>(&mut self, key: &str, words: &[&'w str]) -> Option<&'w str> {
        let text = self.short_text(key)?;
        let known = words.iter().find(|word| word.eq_ignore_ascii_case(&text));
        if known.is_none() {
            self.problem(key, format!("must be one of {}", words.join(", ")));
        }
        known.copied()
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.problem(key, "must be true or false");
                None
            }
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Option<i64> {
        let number = self.get(key)?.as_i64();
        if number.is_none() {
            self.problem(key, "must be a whole number");
        }
        number
    }

    /// An absolute URL in the form that `canonical` gives it.
    pub(super) fn url(&mut self, key: &str, canonical: impl Fn(&str) -> Option<String>) -> Option<String> {
        let text = self.text(key, limits::TARGET_BYTES_MAX)?;
        let url = canonical(&text);
        if url.is_none() {
            self.problem(key, "is not an absolute URL; write it like https://shop.example/thanks");
        }
        url
    }

    pub(super) fn object(&mut self, key: &str) -> Option<&'a Map<String, Value>> {
        let value = self.get(key)?;
        let object = value.as_object();
        if object.is_none() {
            self.problem(key, "must be an object");
        }
        object
    }

    /// Turns a time of any form into Unix seconds, in place.
    pub(super) fn unix_seconds(&mut self, place: &str, value: Option<&mut Value>) {
        let Some(value) = value else { return };
        match as_text(value).and_then(Timestamp::parse) {
            Some(at) => *value = at.as_seconds().into(),
            None => self.problem(place, "is not a time; send RFC 3339, or Unix seconds"),
        }
    }

    /// Turns a text of digits into the number it says, in place and digit by digit.
    pub(super) fn number(&mut self, place: &str, value: Option<&mut Value>) {
        let Some(Value::String(text)) = value.as_deref() else { return };
        let plain = |c: u8| c.is_ascii_digit() || matches!(c, b'.' | b'-');
        let number = Some(text.trim()).filter(|text| text.len() <= 40 && text.bytes().all(plain));
        match (number.and_then(|text| text.parse::<Number>().ok()), value) {
            (Some(number), Some(value)) => *value = Value::Number(number),
            _ => self.problem(place, "is not a plain number such as 12.34"),
        }
    }
}

/// A text, or a whole number as its digits: ids and postal codes often come as numbers.
pub(super) fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.as_str()),
        _ => None,
    }
}

fn fits(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max { Err(format!("is longer than {bytes_max} bytes")) } else { Ok(()) }
}

fn usable(text: &str, bytes_max: usize) -> Result<(), String> {
    fits(text, bytes_max)?;
    if text.chars().any(char::is_control) {
        return Err("has control characters".to_owned());
    }
    Ok(())
}
