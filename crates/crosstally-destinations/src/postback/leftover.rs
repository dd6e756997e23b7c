//! The last look at a call before it leaves: a value that is a macro's own name is no value.

use crosstally_core::click::looks_like_macro;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::escape::Escape;

/// Words of a header before its value.
const SCHEMES: &[&str] = &["Basic", "Bearer", "Token"];

/// A macro that nobody filled in, in a URL: a whole value of its query, or a whole segment of its path.
pub(super) fn in_url(url: &str) -> Option<String> {
    let (before, query) = url.split_once('?').unwrap_or((url, ""));
    let path = before.split_once("://").map_or(before, |(_, rest)| rest);
    path.split('/').skip(1).find_map(decoded_macro).or_else(|| in_pairs(query))
}

/// The same in a body whose values are written like this.
pub(super) fn in_body(body: &str, escape: Escape) -> Option<String> {
    match escape {
        Escape::Percent => in_pairs(body),
        Escape::Json => serde_json::from_str::<Value>(body).ok().and_then(|json| in_json(&json)),
        Escape::Xml => body.split(['<', '>', '"', '\'']).find_map(whole),
        Escape::Header => decoded_macro(body)
            .or_else(|| decoded_macro(body.split_once(' ').filter(|(word, _)| SCHEMES.contains(word))?.1)),
        // Anything may stand in the middle of a text.
        Escape::Plain => whole(body),
    }
}

fn in_pairs(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| decoded_macro(pair.split_once('=').map_or(pair, |(_, value)| value)))
}

fn in_json(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => whole(text),
        Value::Array(items) => items.iter().find_map(in_json),
        Value::Object(map) => map.values().find_map(in_json),
        _ => None,
    }
}

fn decoded_macro(value: &str) -> Option<String> {
    if !value.contains('%') {
        return whole(value);
    }
    whole(&percent_decode_str(value).decode_utf8_lossy())
}

fn whole(value: &str) -> Option<String> {
    looks_like_macro(value).then(|| value.trim().to_owned())
}
