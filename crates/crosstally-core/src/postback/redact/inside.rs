//! What stands inside a value: the members of a JSON document, documents and URLs that are texts of it or of a form.

use super::MASK_TEXT;
use super::names::{Keep, is_key, is_of_contract, reads_below};
use crate::limits;
use crate::params::decode;
use crate::postback::json::Json;

/// Documents within texts of documents that are looked into.
const DEPTH_MAX: u8 = 3;
/// How often a text may be percent-encoded over again.
const ENCODED_MAX: u8 = 3;

/// Members that name what another member of the same object holds: `{"name": "email", "value": "…"}`.
const NAMING: &[&str] = &["name", "key", "label", "field", "id", "type", "question"];
/// The members that hold it.
const HOLDING: &[&str] = &["value", "values", "val", "answer", "text", "content"];

/// Whether a member names what stands beside it.
pub(super) fn is_naming(key: &str) -> bool {
    NAMING.iter().any(|naming| naming.eq_ignore_ascii_case(key))
}

/// Whether a member holds what another one names.
pub(super) fn is_holding(key: &str) -> bool {
    HOLDING.iter().any(|holding| holding.eq_ignore_ascii_case(key))
}

/// Masks a document in place. Whether there was something to mask.
pub(super) fn document(value: &mut Json, keep: Keep<'_>) -> bool {
    Mask { keep, depth: 0 }.member(value, "")
}

/// The text with its secrets masked, if it holds any: in JSON, in a URL, in pairs as of a form, also where these are
/// percent-encoded over again.
pub(super) fn text(text: &str, keep: Keep<'_>) -> Option<String> {
    Mask { keep, depth: 0 }.text(text)
}

#[derive(Clone, Copy)]
struct Mask<'a> {
    keep: Keep<'a>,
    depth: u8,
}

fn hide(value: &mut Json) -> bool {
    *value = Json::Text(MASK_TEXT.into());
    true
}

impl Mask<'_> {
    fn member(self, value: &mut Json, path: &str) -> bool {
        // Nothing is read from a path that long, and to follow it costs more than the call is worth.
        if path.len() > limits::JSON_PATH_BYTES_MAX {
            return hide(value);
        }
        match value {
            Json::Map(entries) => self.map(entries, path),
            Json::List(list) => {
                let is_pair =
                    matches!(list.first(), Some(Json::Text(name)) if list.len() > 1 && self.keep.masks(name));
                let mut touched = false;
                // Each row of a list is a call of its own, whose fields have no row before them.
                let is_rows = path.is_empty() && self.depth == 0;
                for (at, inner) in list.iter_mut().enumerate() {
                    let whole = if is_rows { String::new() } else { format!("{path}.{at}") };
                    touched |= if is_pair && at == 1 && !is_of_contract(&whole, self.keep.partner) {
                        hide(inner)
                    } else {
                        self.member(inner, &whole)
                    };
                }
                touched
            }
            Json::Text(text) | Json::Literal(text) => {
                let masked = self.text(text).filter(|_| !is_key(path, self.keep.partner));
                let touched = masked.is_some();
                if let Some(masked) = masked {
                    *value = Json::Text(masked);
                }
                touched
            }
            Json::Nothing => false,
        }
    }

    fn map(self, entries: &mut [(String, Json)], path: &str) -> bool {
        let Keep { partner, .. } = self.keep;
        let is_named = entries.iter().any(|(key, value)| match value {
            Json::Text(name) if is_naming(key) => {
                let list = path.rsplit_once('.').map_or("", |(list, _)| list);
                self.keep.masks(name) && !is_of_contract(&format!("{list}[{name}]"), partner)
            }
            _ => false,
        });
        let reads_held = entries.iter().any(|(key, value)| match value {
            Json::Text(name) if is_naming(key) => {
                let list = path.rsplit_once('.').map_or("", |(list, _)| list);
                is_key(&format!("{list}[{name}]"), partner)
            }
            _ => false,
        });
        let mut touched = false;
        for (name, inner) in entries {
            // What identifies the call, found by the name that stands beside it.
            if reads_held && is_holding(name) && matches!(inner, Json::Text(_) | Json::Literal(_)) {
                continue;
            }
            let whole = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let held = is_named && is_holding(name) && !is_key(&whole, partner);
            let masked = held || self.keep.masks(name) || self.keep.masks(&whole);
            touched |= if !masked || is_of_contract(&whole, partner) {
                self.member(inner, &whole)
            } else if reads_below(&whole, partner) {
                self.below(inner, &whole)
            } else {
                hide(inner)
            };
        }
        touched
    }

    /// All that lies below a masked name, but for what the contract reads.
    fn below(self, value: &mut Json, path: &str) -> bool {
        if path.len() > limits::JSON_PATH_BYTES_MAX {
            return hide(value);
        }
        match value {
            Json::Map(entries) => {
                for (name, inner) in entries {
                    self.below(inner, &format!("{path}.{name}"));
                }
                true
            }
            Json::List(list) => {
                for (at, inner) in list.iter_mut().enumerate() {
                    self.below(inner, &format!("{path}.{at}"));
                }
                true
            }
            _ if is_of_contract(path, self.keep.partner) => false,
            _ => hide(value),
        }
    }

    fn text(self, raw: &str) -> Option<String> {
        let raw_begins = raw.trim_start().as_bytes().first();
        if !raw.bytes().any(|byte| matches!(byte, b'=' | b'%' | b':'))
            && !raw.contains(BEARER)
            && !raw_begins.is_some_and(|byte| matches!(byte, b'{' | b'[' | 0xEF))
        {
            return None;
        }
        let mut found = self.once(raw);
        let mut current = found.clone().unwrap_or_else(|| raw.to_owned());
        for _ in 0..ENCODED_MAX {
            if !current.contains('%') {
                break;
            }
            let (next, _) = decode(current.as_bytes());
            if next == current {
                break;
            }
            current = next;
            if let Some(masked) = self.once(&current) {
                current.clone_from(&masked);
                found = Some(masked);
            }
        }
        found
    }

    fn once(self, text: &str) -> Option<String> {
        let trimmed = text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
        if !trimmed.starts_with(['{', '[']) {
            return self.plain(text);
        }
        let looks_json = trimmed.contains(':') && trimmed.contains(['"', '\'']);
        match serde_json::from_str::<Json>(trimmed) {
            Ok(_) if self.depth == DEPTH_MAX => Some(MASK_TEXT.into()),
            Ok(mut document) => {
                let inner = Self { depth: self.depth + 1, ..self };
                let touched = inner.member(&mut document, "");
                touched.then(|| serde_json::to_string(&document).unwrap_or_else(|_| MASK_TEXT.into()))
            }
            Err(_) if looks_json => Some(MASK_TEXT.into()),
            Err(_) => self.plain(text),
        }
    }

    /// A text that is no document: pairs, and lines as of a header.
    fn plain(self, text: &str) -> Option<String> {
        let bearer = bearer(text);
        let pairs = self.pairs(bearer.as_deref().unwrap_or(text)).or(bearer);
        let lines = self.lines(pairs.as_deref().unwrap_or(text));
        lines.or(pairs)
    }

    /// `name: value`, in a line of its own or behind other words. All that stands behind the name goes with it.
    fn lines(self, text: &str) -> Option<String> {
        if !text.contains(':') {
            return None;
        }
        let (mut kept, mut touched) = (String::with_capacity(text.len()), false);
        for line in text.split_inclusive('\n') {
            match self.secret_begins(line) {
                Some(at) => {
                    let (before, _) = line.split_at(at);
                    let end = line.trim_end_matches(['\r', '\n']).len();
                    kept.push_str(before);
                    kept.push(' ');
                    kept.push_str(MASK_TEXT);
                    kept.push_str(line.get(end..).unwrap_or_default());
                    touched = true;
                }
                None => kept.push_str(line),
            }
        }
        touched.then_some(kept)
    }

    /// Where the value of the first name in a line begins that is masked.
    fn secret_begins(self, line: &str) -> Option<usize> {
        // Looked at once: whoever sends a hundred thousand colons does not make us look at the line as often.
        let filled_to = line.trim_end().len();
        let is_filled = |at: usize| at < filled_to;
        line.match_indices(':').map(|(at, _)| at).find_map(|at| {
            let before = line.get(..at)?.trim_end_matches([' ', '"', '\'']);
            let name =
                before.rsplit(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '%')).next()?;
            (!name.is_empty() && is_filled(at + 1) && self.keep.masks(name)).then_some(at + 1)
        })
    }

    /// `name=value` wherever it stands: in a URL's query, in a form's body.
    fn pairs(self, text: &str) -> Option<String> {
        let (mut kept, mut touched) = (String::new(), false);
        let (mut rest, mut begins) = (text, 0);
        while let Some(found) = rest.get(begins..).and_then(|left| left.find('=')) {
            let name_ends = begins + found;
            let (before, behind) = rest.split_at(name_ends);
            let name = before.get(begins..).unwrap_or(before).trim_end_matches(' ');
            let name = name.rsplit(parts_names).next().unwrap_or(name);
            begins = name_ends + 1;
            // First the name, then the end of its value: looked for behind every `=`, the ends of a hundred thousand values
            // that nobody masks would be as many looks at the whole text.
            if !self.keep.masks(&decode(name.as_bytes()).0) {
                continue;
            }
            let value = behind.get(1..).unwrap_or_default();
            let value_begins = value.len() - value.trim_start_matches(' ').len();
            let held = value.get(value_begins..).unwrap_or_default();
            let held_ends = held.find(ends_values).unwrap_or(held.len());
            if held_ends > 0 {
                kept.push_str(before);
                kept.push('=');
                kept.push_str(MASK_TEXT);
                rest = held.get(held_ends..).unwrap_or_default();
                (begins, touched) = (0, true);
            }
        }
        kept.push_str(rest);
        touched.then_some(kept)
    }
}

/// How the word before a token ends, whatever its first letter.
const BEARER: &str = "earer ";

/// `Bearer ..` wherever it stands.
fn bearer(text: &str) -> Option<String> {
    let (mut kept, mut rest, mut touched) = (String::new(), text, false);
    while let Some(at) = rest.find(BEARER) {
        let (before, behind) = rest.split_at(at + BEARER.len());
        kept.push_str(before);
        let ends =
            behind.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(behind.len());
        let begins_word = before.get(..at).is_some_and(|head| head.ends_with(['B', 'b']));
        if ends > 0 && begins_word {
            kept.push_str(MASK_TEXT);
            touched = true;
        } else {
            kept.push_str(behind.get(..ends).unwrap_or_default());
        }
        rest = behind.get(ends..).unwrap_or_default();
    }
    kept.push_str(rest);
    touched.then_some(kept)
}

fn parts_names(c: char) -> bool {
    c.is_whitespace() || matches!(c, '?' | '&' | '#' | ';' | ',' | '/' | '"' | '\'')
}

fn ends_values(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | '#')
}
