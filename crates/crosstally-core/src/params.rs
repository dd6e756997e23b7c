//! Parameters of a query string or form body: parsed once, in order, with limits, kept as they came.

use crate::contract::Encoding;
use crate::limits;
use crate::macros::looks_like_macro;
use crate::reason::Reason;

/// One parameter after percent-decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Whether name or value was not valid UTF-8; the bytes that were not are shown as U+FFFD here and kept raw in the
    /// receipt.
    pub lossy: bool,
}

/// An ordered list of parameters. Names may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

impl Params {
    /// Parses `a=1&b=2` as browsers and servers of the field write it: `+` and `%20` are spaces, a broken escape
    /// stays as it is, empty pieces are skipped.
    ///
    /// # Errors
    /// More parameters, longer names or longer values than the limits.
    pub fn parse(raw: &[u8]) -> Result<Self, Reason> {
        let mut params = Self::default();
        params.parse_more(raw)?;
        Ok(params)
    }

    /// The same for senders that encode otherwise.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn read(raw: &[u8], encoding: Encoding) -> Result<Self, Reason> {
        let mut params = Self::default();
        params.read_more(raw, encoding)?;
        Ok(params)
    }

    /// Parses further parameters behind those already here: a form body behind a query string.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn parse_more(&mut self, raw: &[u8]) -> Result<(), Reason> {
        self.read_more(raw, Encoding::Once)
    }

    /// The same for senders that encode otherwise.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn read_more(&mut self, raw: &[u8], encoding: Encoding) -> Result<(), Reason> {
        for piece in raw.split(|&b| b == b'&').filter(|piece| !piece.is_empty()) {
            if self.0.len() == limits::PARAMS_MAX {
                return Err(Reason::TooManyParams);
            }
            let (name, value) = match memchr(b'=', piece) {
                Some(at) => (&piece[..at], &piece[at + 1..]),
                None => (piece, &piece[..0]),
            };
            if name.len() > limits::PARAM_NAME_BYTES_MAX * 3
                || value.len() > limits::PARAM_VALUE_BYTES_MAX * 3
            {
                return Err(Reason::ParamTooLong);
            }
            let (name, name_lossy) = decode(name);
            let (value, value_lossy) = match encoding {
                Encoding::Once => decode_value(value),
                Encoding::Twice => {
                    let (once, lossy) = decode_value(value);
                    let (twice, again) = decode_value(once.as_bytes());
                    (twice, lossy || again)
                }
                Encoding::Never => {
                    let text = String::from_utf8_lossy(value);
                    let lossy = matches!(text, std::borrow::Cow::Owned(_));
                    (text.into_owned(), lossy)
                }
            };
            if name.len() > limits::PARAM_NAME_BYTES_MAX || value.len() > limits::PARAM_VALUE_BYTES_MAX {
                return Err(Reason::ParamTooLong);
            }
            self.0.push(Param { name, value, lossy: name_lossy || value_lossy });
        }
        Ok(())
    }

    /// Adds one parameter.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push(Param { name: name.into(), value: value.into(), lossy: false });
    }

    /// Adds one parameter under the limits of parsed ones: a part of a multipart form.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn push_checked(&mut self, name: &str, value: &[u8]) -> Result<(), Reason> {
        if self.0.len() == limits::PARAMS_MAX {
            return Err(Reason::TooManyParams);
        }
        if name.len() > limits::PARAM_NAME_BYTES_MAX || value.len() > limits::PARAM_VALUE_BYTES_MAX {
            return Err(Reason::ParamTooLong);
        }
        let text = String::from_utf8_lossy(value);
        let lossy = matches!(text, std::borrow::Cow::Owned(_));
        self.0.push(Param { name: name.to_owned(), value: text.into_owned(), lossy });
        Ok(())
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many values are macros that nobody filled in.
    #[must_use]
    pub fn unfilled(&self) -> u64 {
        let unfilled = self.0.iter().filter(|param| looks_like_macro(&param.value)).count();
        u64::try_from(unfilled).unwrap_or(u64::MAX)
    }

    /// The first value under exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|param| param.name == name).map(|param| param.value.as_str())
    }

    /// The first value under this name in any case.
    #[must_use]
    pub fn get_ignoring_case(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| param.value.as_str())
    }
}

fn memchr(needle: u8, hay: &[u8]) -> Option<usize> {
    hay.iter().position(|&b| b == needle)
}

fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Percent-decodes a value. A macro between percent signs, `%cid%`, begins like an escape: it stays as it is, so that it
/// is told from an id. No escaped text ends in a percent sign.
fn decode_value(raw: &[u8]) -> (String, bool) {
    if raw.last() == Some(&b'%')
        && raw.first() == Some(&b'%')
        && let Ok(text) = std::str::from_utf8(raw)
        && looks_like_macro(text)
    {
        return (text.to_owned(), false);
    }
    decode(raw)
}

/// Percent-decodes one name or value; tells whether it was not valid UTF-8.
#[must_use]
pub fn decode(raw: &[u8]) -> (String, bool) {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let escape = match raw[at] {
            b'%' => raw.get(at + 1).copied().and_then(hex).zip(raw.get(at + 2).copied().and_then(hex)),
            _ => None,
        };
        match (raw[at], escape) {
            (_, Some((high, low))) => {
                bytes.push(high << 4 | low);
                at += 3;
            }
            (b'+', None) => {
                bytes.push(b' ');
                at += 1;
            }
            (byte, None) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    fn pairs(raw: &str) -> Vec<(String, String)> {
        Params::parse(raw.as_bytes()).unwrap().iter().map(|p| (p.name.clone(), p.value.clone())).collect()
    }

    #[test]
    fn order_repeats_and_odd_escapes_are_kept() {
        let expect = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
        };
        assert_eq!(pairs("a=1&b=2&a=3"), expect(&[("a", "1"), ("b", "2"), ("a", "3")]));
        assert_eq!(
            pairs("x=%7Bsub%7D&y=a+b&z=%zz&&flag&=v"),
            expect(&[("x", "{sub}"), ("y", "a b"), ("z", "%zz"), ("flag", ""), ("", "v")])
        );
        assert_eq!(
            pairs("a=%cid%&b=%20x%&c=%C3%A9%"),
            expect(&[("a", "%cid%"), ("b", "%20x%"), ("c", "é%")])
        );
        assert_eq!(pairs("u=https://a.example/?q=1"), expect(&[("u", "https://a.example/?q=1")]));
    }

    #[test]
    fn limits_are_answers() {
        let many = "a=1&".repeat(10_000);
        assert_eq!(Params::parse(many.as_bytes()), Err(Reason::TooManyParams));
        let long = format!("a={}", "x".repeat(limits::PARAM_VALUE_BYTES_MAX + 1));
        assert_eq!(Params::parse(long.as_bytes()), Err(Reason::ParamTooLong));
        let params = Params::parse(b"a=%ED%A0%80&b=ok").unwrap();
        assert!(params.iter().next().unwrap().lossy);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(raw in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(params) = Params::parse(&raw) {
                prop_assert!(params.len() <= limits::PARAMS_MAX);
            }
        }
    }
}
