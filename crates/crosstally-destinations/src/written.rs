//! How a value is written into markup, a line of text and a header: whoever fills a request in writes it so, and whoever takes
//! secrets out of what is shown knows it by that.

use std::fmt::Write as _;

/// With character references.
pub(crate) fn xml(value: &str, out: &mut String) {
    value.chars().for_each(|c| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        // XML has no form at all for most of them.
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
        c => out.push(c),
    });
}

/// As it is, but on one line.
pub(crate) fn one_line(value: &str, out: &mut String) {
    out.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

/// As it is, with everything that a header cannot hold percent-encoded.
pub(crate) fn header(value: &str, out: &mut String) {
    value.bytes().for_each(|byte| match byte {
        b' '..=b'~' => out.push(char::from(byte)),
        _ => write!(out, "%{byte:02X}").expect("writing to a String cannot fail"),
    });
}
