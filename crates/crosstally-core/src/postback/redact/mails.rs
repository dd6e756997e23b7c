//! Mail addresses wherever they stand in a text, also where it is percent-encoded. Of names this knows nothing.

use super::MASK_TEXT;

/// How the sign between a name and its host is spelled: as it is, encoded, encoded over again.
const SIGNS: [&str; 3] = ["@", "%40", "%2540"];

/// The text with each mail address in it masked, if it holds any.
#[must_use]
pub fn without_mails(text: &str) -> Option<String> {
    let (mut kept, mut rest, mut looked) = (String::new(), text, 0);
    while let Some((at, sign)) = next_sign(rest, looked) {
        let (before, behind) = rest.split_at(at);
        let behind = behind.get(sign.len()..).unwrap_or_default();
        let begins = name_begins(before.as_bytes());
        let ends = host_ends(behind.as_bytes());
        if begins == at || !is_host(behind.get(..ends).unwrap_or_default()) {
            looked = at + sign.len();
            continue;
        }
        kept.push_str(before.get(..begins).unwrap_or(before));
        kept.push_str(MASK_TEXT);
        (rest, looked) = (behind.get(ends..).unwrap_or_default(), 0);
    }
    (rest.len() < text.len()).then(|| kept + rest)
}

fn next_sign(text: &str, from: usize) -> Option<(usize, &'static str)> {
    let left = text.get(from..)?;
    left.char_indices().filter(|(_, c)| matches!(c, '@' | '%')).find_map(|(at, _)| {
        let here = left.get(at..)?;
        SIGNS.iter().find(|sign| here.starts_with(**sign)).map(|sign| (from + at, *sign))
    })
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'')
}

/// Where the name begins that goes up to the end of these bytes.
fn name_begins(bytes: &[u8]) -> usize {
    let mut begins = bytes.len();
    loop {
        let before = bytes.get(..begins).unwrap_or_default();
        begins = match before {
            [.., b'%', high, low] if hex(*high, *low).is_some() => match hex(*high, *low) {
                Some(byte) if is_of_name(byte) => begins - 3,
                _ => return begins,
            },
            [.., last] if is_of_name(*last) => begins - 1,
            _ => return begins,
        };
    }
}

/// Where the host ends that these bytes begin with.
fn host_ends(bytes: &[u8]) -> usize {
    let mut ends = 0;
    loop {
        ends += match bytes.get(ends..).unwrap_or_default() {
            [b'%', high, low, ..]
                if hex(*high, *low).is_some_and(|byte| byte == b'.' || !byte.is_ascii()) =>
            {
                3
            }
            [byte, ..] if byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'-') => {
                1
            }
            _ => return ends,
        };
    }
}

/// Whether it is a host below another one.
fn is_host(text: &str) -> bool {
    let dot = text.find('.').or_else(|| text.to_ascii_lowercase().find("%2e"));
    dot.is_some_and(|at| at > 0 && at + 1 < text.len())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}
