//! What people paste: a URL, a line of a log, a query, a JSON object.

use crate::contract::Encoding;
use crate::params::Params;
use crate::postback::json;

/// The longest sample.
const SAMPLE_BYTES_MAX: usize = 64 * 1024;

/// Why a sample cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing in it.
    #[error(
        "there are no parameters in it; paste a whole postback URL, the part behind its `?`, or a JSON object"
    )]
    Empty,
    /// It is too much.
    #[error("it is larger than one call can be")]
    TooLarge,
    /// It begins like JSON and is none.
    #[error("it begins like JSON, but {0}")]
    BrokenJson(String),
}

/// A sample, taken apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// The host, if it was a URL.
    pub(super) host: String,
    /// The path, if it was a URL.
    pub(super) path: String,
    /// Its query as it came; empty for JSON.
    pub(super) query: String,
    /// Whether it was JSON.
    pub(super) is_json: bool,
    /// Its parameters.
    pub(super) params: Params,
    /// What was mended to read it.
    pub(super) notes: Vec<String>,
}

pub(super) fn sample(text: &str) -> Result<Sample, Unreadable> {
    if text.len() > SAMPLE_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let seen: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let is_cleaned = seen.len() != text.len();
    let text = seen.trim().trim_matches(['\'', '"', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']);
    let mut sample = match text.chars().next() {
        Some('{') if text.contains(':') && !text.contains('=') || text.starts_with("{\"") => document(text)?,
        Some('[') if text.trim_start_matches('[').trim_start().starts_with('{') => {
            let items = json::items(text.as_bytes()).map_err(|stop| Unreadable::BrokenJson(stop.detail))?;
            document(items.first().ok_or(Unreadable::Empty)?)?
        }
        _ => address(text)?,
    };
    if is_cleaned {
        sample.notes.push("characters that nobody sees were left out: they came with the copied text".into());
    }
    if sample.params.is_empty() { Err(Unreadable::Empty) } else { Ok(sample) }
}

/// What comes along with text that is copied from a page or a chat: no width, soft hyphens, directions of writing.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

fn document(text: &str) -> Result<Sample, Unreadable> {
    let mut params = Params::default();
    json::flatten(text.as_bytes(), &mut params).map_err(|stop| Unreadable::BrokenJson(stop.detail))?;
    Ok(Sample { is_json: true, params, ..Sample::default() })
}

fn address(text: &str) -> Result<Sample, Unreadable> {
    let mut notes = Vec::new();
    let mut text = log_line(text).to_owned();
    if text.contains("&amp;") {
        text = text.replace("&amp;", "&");
        notes.push("`&amp;` was read as `&`: copy the URL as text, not as HTML".into());
    }
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, query.to_owned()),
        None => ("", text.clone()),
    };
    let mut query = query;
    if query.contains('?') && !query.contains("://") {
        query = query.replace('?', "&");
        notes.push("a second `?` was read as `&`".into());
    }
    if !query.contains('=') {
        return Err(Unreadable::Empty);
    }
    let (host, path) = host_and_path(before);
    let params = Params::parse(query.as_bytes()).map_err(|_| Unreadable::TooLarge)?;
    Ok(Sample { host, path, query, is_json: false, params, notes })
}

/// The target in a line such as `GET /postback?a=1 HTTP/1.1`.
fn log_line(text: &str) -> &str {
    let rest = ["GET ", "POST "].iter().find_map(|method| text.split_once(method)).map(|(_, rest)| rest);
    rest.map_or(text, |rest| rest.split(" HTTP/").next().unwrap_or(rest).trim())
}

fn host_and_path(before: &str) -> (String, String) {
    let rest = before.split_once("://").map_or(before, |(_, rest)| rest);
    match rest.split_once('/') {
        Some((host, path)) => (host.to_lowercase(), format!("/{path}")),
        None => (rest.to_lowercase(), String::new()),
    }
}

impl Sample {
    /// Whether values still hold escapes after they were unescaped.
    pub(super) fn is_escaped_twice(&self) -> bool {
        !self.is_json && self.params.iter().any(|param| has_escape(&param.value))
    }

    /// Unescapes once more.
    pub(super) fn unescape(&mut self) {
        if let Ok(params) = Params::read(self.query.as_bytes(), Encoding::Twice) {
            self.params = params;
        }
    }
}

fn has_escape(text: &str) -> bool {
    // `%payout%` is a macro of some networks.
    text.as_bytes()
        .windows(3)
        .any(|three| three[0] == b'%' && three[1].is_ascii_digit() && three[2].is_ascii_hexdigit())
}
