//! Takes secrets out of texts that people will see: URLs, answers, error details.
//!
//! A secret is recognised in every spelling that a request can give it and that the usual encoders of whoever answers do,
//! character by character. What else a far end might make of it, such as a hash or half of it, is not known here.

use crosstally_core::secret::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::spelling::{Text, end_of, may_begin};

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Everything but the unreserved characters of RFC 3986.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A needle of up to so many bytes is searched for many bytes at a time.
const ANCHOR_BYTES_MAX: usize = 24;

/// The text with every secret replaced by `***`.
#[must_use]
pub fn mask<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut places = Vec::new();
    if !text.is_empty() {
        secrets.into_iter().for_each(|secret| find(text, secret.expose(), &mut places));
    }
    if places.is_empty() {
        return text.to_owned();
    }
    places.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in places {
        // What two secrets share is masked once, and nothing of either is left.
        if start >= done {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(MASK);
        }
        done = done.max(end);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Where the secret stands in the text.
fn find(text: &str, secret: &str, places: &mut Vec<(usize, usize)>) {
    // Most texts hold no secret, and this is asked for every call: only where its letters stand as they are, which no encoder
    // touches, are the spellings of its other characters looked at.
    // Digits of an escape that the secret has itself may change their case, so what follows one says nothing.
    let plain = secret.split('%').next().unwrap_or_default();
    let runs = plain.split(|c: char| !c.is_ascii_alphanumeric()).map(start_of);
    let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
    if secret.is_empty() || !text.contains(longest) {
        return;
    }
    let letters = secret.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let anchor = start_of(secret.split_at(letters).0);
    let others = secret.split_at(anchor.len()).1;
    let searched = Text::new(text);
    let next = |from: usize| match others.chars().next().filter(|_| anchor.is_empty()) {
        Some(c) => searched.iter().skip(from).position(|byte| may_begin(*byte, c)),
        None => text.get(from..)?.find(anchor),
    };
    let mut from = 0;
    while let Some(start) = next(from).map(|at| from + at) {
        from = match end_of(&searched, start + anchor.len(), others) {
            Some(end) => {
                places.push((start, end));
                end
            }
            None => start + 1,
        };
    }
}

/// The beginning of some letters.
fn start_of(run: &str) -> &str {
    run.split_at_checked(ANCHOR_BYTES_MAX).map_or(run, |(start, _)| start)
}

#[cfg(test)]
mod tests;
