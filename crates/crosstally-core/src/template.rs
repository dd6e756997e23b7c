//! Text with macros: `https://shop.example/?cid={click_id}`. Parsed once, filled in many times.
//!
//! `brackets` says how macros are told from text, `function` what can be done to a value on its way. Knows no name and
//! no value: the callers say which names there are and what they stand for.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::brackets::{Brackets, Style};
pub use self::function::{Function, Unresolved};

mod brackets;
mod function;
#[cfg(test)]
mod tests;

// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a `raw` value may hold in a URL besides letters, digits and escapes: nothing that ends a value, begins another
/// or leads to another path.
const RAW: &[u8] = b"-._~!$()*,:=@";

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stays.
    Text(String),
    /// A macro.
    Macro(Macro),
}

/// A macro: a name, and what is done to its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macro {
    /// Its name.
    pub name: String,
    /// What is done to the value, in order.
    pub functions: Vec<Function>,
    /// As it stands in the template, brackets included.
    pub written: String,
}

impl Macro {
    /// What goes out in its place; `None` is nothing.
    ///
    /// # Errors
    /// Nothing may stand there: the template demands a value that there is not.
    pub fn apply<'a>(&self, value: Option<Cow<'a, str>>) -> Result<Option<Cow<'a, str>>, Unresolved> {
        function::apply(self, value)
    }

    /// Whether its value goes out without being percent-encoded.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.functions.contains(&Function::Raw)
    }

    /// Whether the event is not sent at all without its value.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.functions.contains(&Function::Required)
    }
}

/// Something between brackets that was meant to be a macro and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As it stands in the template.
    pub written: String,
    /// What is wrong and, after a semicolon, how to mend it.
    pub problem: String,
}

/// A parsed template. Brackets around anything that is not a macro stay text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Splits a text into pieces; macros stand in `{braces}` and have any name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::read(text, Brackets::BRACES).0
    }

    /// The same with other brackets, and with what was meant to be a macro and stays text.
    #[must_use]
    pub fn read(text: &str, brackets: Brackets) -> (Self, Vec<Fault>) {
        let mut pieces = Vec::new();
        let mut faults = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            match brackets.macro_at(rest) {
                Some(Ok(found)) => {
                    rest = rest.get(found.written.len()..).unwrap_or_default();
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Macro(found));
                    continue;
                }
                Some(Err(fault)) => faults.push(fault),
                None => {}
            }
            plain.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        (Self(pieces), faults)
    }

    /// The pieces in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Its macros, in order, with repeats.
    pub fn macros(&self) -> impl Iterator<Item = &Macro> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Macro(found) => Some(found),
            Piece::Text(_) => None,
        })
    }

    /// Fills in the macros, each value percent-encoded; a macro without a value becomes nothing.
    pub fn fill_encoded<'a>(&self, mut value_of: impl FnMut(&str) -> Option<Cow<'a, str>>) -> String {
        let mut out = String::with_capacity(256);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Macro(found) => {
                    if let Ok(Some(value)) = found.apply(value_of(&found.name)) {
                        write_encoded(&value, found.is_raw(), &mut out);
                    }
                }
            }
        }
        out
    }
}

/// Writes a value into a URL or form. A raw one keeps its own escapes and what belongs to a value anyway.
pub fn write_encoded(value: &str, raw: bool, out: &mut String) {
    if !raw {
        out.extend(utf8_percent_encode(value, RESERVED));
        return;
    }
    let bytes = value.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape = bytes.get(at + 1..at + 3).unwrap_or_default();
        let is_escape = *byte == b'%' && escape.len() == 2 && escape.iter().all(u8::is_ascii_hexdigit);
        if byte.is_ascii_alphanumeric() || RAW.contains(byte) || is_escape {
            out.push(char::from(*byte));
        } else {
            out.push_str(percent_encoding::percent_encode_byte(*byte));
        }
    }
}

impl std::fmt::Display for Template {
    /// The text it was parsed from.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => out.write_str(text),
            Piece::Macro(found) => out.write_str(&found.written),
        })
    }
}
