//! How a value is written where it stands. Values come from visitors and partners; none can add a parameter, a header or
//! a key.

use std::borrow::Cow;

use crosstally_core::template::{Macro, Piece, Template, Unresolved, write_encoded};
use serde_json::Number;

use crate::written;

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Percent-encoded: URLs and forms.
    Percent,
    /// Within a JSON text escaped; elsewhere in JSON a number, `true`, `false`, `null` for nothing, or a quoted text.
    Json,
    /// With character references.
    Xml,
    /// As it is, but on one line.
    Plain,
    /// As it is, with everything that a header cannot hold percent-encoded.
    Header,
}

impl Escape {
    /// The content types that can be written.
    pub(super) const TYPES: &str =
        "application/x-www-form-urlencoded, application/json, application/xml, text/xml, text/plain";

    /// The escaping that a body of this type needs.
    pub(super) fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let known = match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::Percent,
            "application/json" => Self::Json,
            "application/xml" | "text/xml" => Self::Xml,
            "text/plain" => Self::Plain,
            _ => return None,
        };
        content_type.bytes().all(|b| matches!(b, b' '..=b'~')).then_some(known)
    }

    /// Whether `<payout>` may be an element and not a macro.
    pub(super) const fn is_markup(self) -> bool {
        matches!(self, Self::Xml | Self::Plain)
    }

    /// Fills a template in.
    ///
    /// # Errors
    /// A macro without anything that may stand in its place.
    pub(super) fn fill<'a>(
        self,
        template: &Template,
        mut value_of: impl FnMut(&Macro) -> Result<Option<Cow<'a, str>>, Unresolved>,
    ) -> Result<String, Unresolved> {
        let mut out = String::with_capacity(256);
        let mut json = JsonPlace::default();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => {
                    if self == Self::Json {
                        json.pass(text);
                    }
                    out.push_str(text);
                }
                Piece::Macro(found) => {
                    let value = found.apply(value_of(found)?)?;
                    self.write(value.as_deref(), found.is_raw(), json.within_text, &mut out);
                }
            }
        }
        Ok(out)
    }

    fn write(self, value: Option<&str>, raw: bool, within_json_text: bool, out: &mut String) {
        let Some(value) = value else {
            if self == Self::Json && !within_json_text {
                out.push_str("null");
            }
            return;
        };
        match self {
            Self::Percent => write_encoded(value, raw, out),
            Self::Json => write_json(value, within_json_text, out),
            Self::Xml => written::xml(value, out),
            Self::Plain => written::one_line(value, out),
            Self::Header => written::header(value, out),
        }
    }
}

fn write_json(value: &str, within_text: bool, out: &mut String) {
    if !within_text && (matches!(value, "true" | "false") || value.parse::<Number>().is_ok()) {
        out.push_str(value);
        return;
    }
    let quoted = serde_json::to_string(value).expect("a text is always valid JSON");
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    out.push_str(if within_text { inside } else { &quoted });
}

/// Whether the template's own text has opened a JSON text that is not closed yet.
#[derive(Default)]
struct JsonPlace {
    within_text: bool,
    escaped: bool,
}

impl JsonPlace {
    fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.within_text => self.escaped = true,
                b'"' => self.within_text = !self.within_text,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crosstally_core::secret::Secret;
    use proptest::prelude::*;

    use super::*;
    use crate::mask::{MASK, mask};

    fn is_masked(secret: &str) -> Result<(), TestCaseError> {
        for escape in [Escape::Percent, Escape::Json, Escape::Xml, Escape::Plain, Escape::Header] {
            for (raw, within_text) in [(false, false), (false, true), (true, false)] {
                let mut written = String::new();
                escape.write(Some(secret), raw, within_text, &mut written);
                let shown = mask(&written, [&Secret::new(secret)]);
                prop_assert_eq!(shown.trim_matches('"'), MASK, "{:?} raw {}: {:?}", escape, raw, written);
            }
        }
        Ok(())
    }

    #[test]
    fn a_secret_is_masked_however_it_was_written() {
        for secret in
            ["Zm9v+YmFy/w==", "p&ss'1", "a<b>\"c", "a%2fb c", "tab\there", "line\n", "\u{e9}t\u{e9}"]
        {
            is_masked(secret).unwrap_or_else(|error| panic!("{secret:?}: {error}"));
        }
    }

    proptest! {
        #[test]
        fn any_secret_is_masked_however_it_was_written(secret in "[ -~\u{1}-\u{1f}\u{7f}-\u{ff}\u{20ac}]{4,24}") {
            is_masked(&secret)?;
        }
    }
}
