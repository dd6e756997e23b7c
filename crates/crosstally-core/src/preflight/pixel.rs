//! The pixels of a page, as far as its text names them: whose, and under which id.

/// How a kind's pixel is started: the call up to its id, without blanks and with one sort of quotes.
const STARTS: &[(&str, &str, &str)] = &[
    ("meta", "fbq('init','", "dataset_id"),
    ("tiktok", "ttq.load('", "pixel_code"),
    ("snapchat", "snaptr('init','", "pixel_id"),
    ("pinterest", "pintrk('load','", "tag_id"),
    ("reddit", "rdt('init','", "pixel_id"),
];
/// Pixels of one page that are told.
const FOUND_MAX: usize = 32;

/// A pixel that a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixel {
    /// The kind of destination that it belongs to.
    pub kind: &'static str,
    /// The destination's setting that has the same id.
    pub setting: &'static str,
    /// Its id.
    pub id: String,
}

/// The pixels that a page's text starts.
#[must_use]
pub fn pixels(html: &str) -> Vec<Pixel> {
    let plain: String = html
        .chars()
        .filter(|sign| !sign.is_whitespace())
        .map(|sign| if matches!(sign, '"' | '`') { '\'' } else { sign })
        .collect();
    let mut found = Vec::new();
    for (kind, start, setting) in STARTS {
        for (at, _) in plain.match_indices(start) {
            let rest = plain.get(at + start.len()..).unwrap_or_default();
            let id: String = rest
                .chars()
                .take_while(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '-'))
                .collect();
            let ends = rest.get(id.len()..).is_some_and(|rest| rest.starts_with('\''));
            if ends && !id.is_empty() && found.len() < FOUND_MAX {
                found.push(Pixel { kind, setting, id });
            }
        }
    }
    found
}
