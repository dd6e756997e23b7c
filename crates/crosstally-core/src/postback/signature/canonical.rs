//! The one way of writing a query for its signature, however a sender, a proxy or a library has written it: parameters
//! decoded once, sorted by name and then value, and escaped again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Pair = (Vec<u8>, Vec<u8>);

/// The canonical form: `a=1&b=2%20c`. A parameter without `=` has an empty value; empty pieces do not count.
#[must_use]
pub fn query(raw: &[u8], left_out: Option<&str>) -> Vec<u8> {
    let mut pairs: Vec<Pair> =
        pairs(raw).filter(|(name, _)| left_out.is_none_or(|left_out| name != left_out.as_bytes())).collect();
    pairs.sort();
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name, ESCAPED), percent_encode(value, ESCAPED)))
        .collect();
    written.join("&").into_bytes()
}

/// A name that comes more than once, in any case.
#[must_use]
pub fn repeated(raw: &[u8]) -> Option<String> {
    let mut names: Vec<Vec<u8>> = pairs(raw).map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(String::from_utf8_lossy(&twice[0]).into_owned())
}

/// The decoded names, in their order.
pub fn names(raw: &[u8]) -> impl Iterator<Item = String> {
    pairs(raw).map(|(name, _)| String::from_utf8_lossy(&name).into_owned())
}

fn pairs(raw: &[u8]) -> impl Iterator<Item = Pair> {
    raw.split(|&b| b == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = match piece.iter().position(|&b| b == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &piece[..0]),
        };
        (decoded(name), decoded(value))
    })
}

fn decoded(raw: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = raw.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).collect()
}
