//! What each macro stands for, and how its value is written where it stands.
//!
//! A macro without a value becomes nothing, and so does a value that is itself an unfilled macro of an ad source: none
//! ever leaves as its own name. Values come from visitors and partners, so each is escaped for its place; none can add a
//! parameter, a header or a key.

use std::borrow::Cow;
use std::fmt::Write as _;

use crosstally_core::click::looks_like_macro;
use crosstally_core::event::OutboundEvent;
use crosstally_core::secret::Secret;
use crosstally_core::template::{Piece, Template};
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Number, Value};

use crate::mask::RESERVED;

/// The value of a macro, if it has one.
pub(super) fn value_of<'a>(
    event: &'a OutboundEvent,
    secret: Option<&'a Secret>,
    name: &str,
) -> Option<Cow<'a, str>> {
    let origin = &event.origin;
    let text = match name {
        "secret" => return secret.map(|secret| Cow::Borrowed(secret.expose())),
        "event_time" => return Some(event.event_time.as_seconds().to_string().into()),
        "click_time" => return origin.click_time.map(|at| at.as_seconds().to_string().into()),
        "click_id" => &origin.click_id,
        "transaction_id" => &origin.transaction_id,
        "status" => &origin.status,
        "payout" => &origin.payout,
        "revenue" => &origin.revenue,
        "value" => event.value.as_deref().unwrap_or_default(),
        "currency" => event.currency.as_deref().unwrap_or(&origin.currency),
        "event_name" => &event.event_name,
        "event_id" => &event.event_id,
        "event" => &origin.event,
        "external_id" => &origin.external_id,
        "campaign" => &origin.campaign,
        "source" => &origin.source,
        "partner" => &origin.partner,
        "goal" => &origin.goal,
        "conversion_id" => &origin.conversion,
        _ => named(&event.visitor.ad_click_ids, name).or_else(|| named(&origin.params, name))?,
    };
    (!text.is_empty() && !looks_like_macro(text)).then_some(Cow::Borrowed(text))
}

/// A click's own value: by the name as it is, else in any case.
fn named<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let value = map
        .get(name)
        .or_else(|| map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    value.and_then(Value::as_str)
}

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

    /// Fills a template in.
    pub(super) fn fill<'a>(
        self,
        template: &Template,
        mut value_of: impl FnMut(&str) -> Option<Cow<'a, str>>,
    ) -> String {
        let mut out = String::with_capacity(256);
        let mut json = JsonPlace::default();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => {
                    json.pass(text);
                    out.push_str(text);
                }
                Piece::Macro(name) => {
                    let value = value_of(name);
                    self.write(value.as_deref(), json.within_text, &mut out);
                }
            }
        }
        out
    }

    fn write(self, value: Option<&str>, within_json_text: bool, out: &mut String) {
        let Some(value) = value else {
            if self == Self::Json && !within_json_text {
                out.push_str("null");
            }
            return;
        };
        match self {
            Self::Percent => out.extend(utf8_percent_encode(value, RESERVED)),
            Self::Json => write_json(value, within_json_text, out),
            Self::Xml => value.chars().for_each(|c| match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                // XML has no form at all for most of them.
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
                c => out.push(c),
            }),
            Self::Plain => out.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c })),
            Self::Header => value.bytes().for_each(|byte| match byte {
                b' '..=b'~' => out.push(char::from(byte)),
                _ => write!(out, "%{byte:02X}").expect("writing to a String cannot fail"),
            }),
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
