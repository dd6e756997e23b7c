//! Text with macros: `https://shop.example/?cid={click_id}`. Parsed once, filled in many times.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest macro name.
const NAME_BYTES_MAX: usize = 64;

// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stays.
    Text(String),
    /// A macro's name.
    Macro(String),
}

/// A parsed template. Braces around anything that is not a macro's name stay text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Splits a text into pieces.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            plain.push_str(before);
            let inside = after.strip_prefix('{').unwrap_or(after);
            match inside.split_once('}') {
                Some((name, tail)) if is_name(name) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Macro(name.to_owned()));
                    rest = tail;
                }
                _ => {
                    plain.push('{');
                    rest = inside;
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self(pieces)
    }

    /// The pieces in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The names of its macros, in order, with repeats.
    pub fn macros(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Macro(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills in the macros, each value percent-encoded; a macro without a value becomes nothing.
    pub fn fill_encoded<'a>(&self, mut value_of: impl FnMut(&str) -> Option<Cow<'a, str>>) -> String {
        let mut out = String::with_capacity(256);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Macro(name) => {
                    if let Some(value) = value_of(name) {
                        out.extend(utf8_percent_encode(&value, RESERVED));
                    }
                }
            }
        }
        out
    }
}

impl std::fmt::Display for Template {
    /// The text it was parsed from.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => out.write_str(text),
            Piece::Macro(name) => write!(out, "{{{name}}}"),
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_encoded_and_odd_braces_stay() {
        let template = Template::parse("https://a.example/{x}?j={\"k\":1}&v={v}&e={}&w={v");
        let filled = template.fill_encoded(|name| match name {
            "v" => Some("a b&c=é".into()),
            _ => None,
        });
        assert_eq!(filled, "https://a.example/?j={\"k\":1}&v=a%20b%26c%3D%C3%A9&e={}&w={v");
        assert_eq!(template.macros().collect::<Vec<_>>(), ["x", "v"]);
    }

    proptest! {
        #[test]
        fn parsing_loses_nothing(text in "\\PC{0,80}") {
            prop_assert_eq!(Template::parse(&text).to_string(), text);
        }
    }
}
