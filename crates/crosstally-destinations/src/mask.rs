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

/// What one byte of a secret may take up: `&amp;amp;#x0002b;` is long already.
const SPELLING_BYTES_MAX: usize = 16;

/// The text with every secret replaced by `***`.
#[must_use]
pub fn mask<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    mask_until(text, text.len(), secrets)
}

/// The same of a text of which only the beginning is shown. What stands there in part is masked as well.
fn mask_until<'a>(text: &str, until: usize, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let until = text.floor_char_boundary(until);
    let mut places = Vec::new();
    if !text.is_empty() {
        secrets.into_iter().for_each(|secret| find(text, secret.expose(), &mut places));
    }
    if places.is_empty() {
        return text.get(..until).unwrap_or_default().to_owned();
    }
    places.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end) in places.into_iter().filter(|(start, _)| *start < until) {
        // What two secrets share is masked once, and nothing of either is left.
        if start >= done {
            out.push_str(text.get(done..start).unwrap_or_default());
            out.push_str(MASK);
        }
        done = done.max(end);
    }
    out.push_str(text.get(done..until).unwrap_or_default());
    out
}

/// The same for a body. One that was cut off ends earlier: half a secret is not recognised.
pub(crate) fn mask_body<'a>(
    body: &[u8],
    is_cut: bool,
    secrets: impl Iterator<Item = &'a Secret> + Clone,
) -> String {
    let longest = secrets.clone().map(|secret| secret.expose().len()).max().unwrap_or_default();
    let dropped = if is_cut { longest.saturating_mul(SPELLING_BYTES_MAX) } else { 0 };
    let text = String::from_utf8_lossy(body);
    // Known as a whole before it ends anywhere: the new end could stand in the middle of one, too.
    mask_until(&text, text.len().saturating_sub(dropped), secrets)
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
mod tests {
    //! A secret is masked however the usual encoders write it.

    use std::fmt::Write as _;

    use percent_encoding::utf8_percent_encode;
    use proptest::prelude::*;
    use url::form_urlencoded;

    use super::*;

    fn masked(text: &str, secret: &str) -> String {
        mask(text, [&Secret::new(secret)])
    }

    #[test]
    fn every_spelling_of_a_secret_is_masked() {
        for text in [
            "token=a/b c\"é=%Z;",
            "token=a%2Fb%20c%22%C3%A9%3D%25Z;",
            "token=a%2fb%20c%22%c3%a9%3d%25Z;",
            "token=a%2Fb+c%22%C3%A9%3D%25Z;",
            "token=a/b c\\\"é=%Z;",
            "token=a\\/b c\\\"é=%Z;",
            // Several of them in one.
            "token=a%2fb+c\\u0022&eacute;&#x3D;%2525Z;",
        ] {
            assert_eq!(masked(text, "a/b c\"é=%Z"), "token=***;", "{text}");
        }
    }

    #[test]
    fn a_secret_is_known_as_the_usual_encoders_write_it() {
        for (secret, text, whose) in [
            ("Zm9v+YmFy/w==", r"Zm9v+YmFy/w\u003d\u003d", "Gson"),
            ("Zm9v+YmFy/w==", r"Zm9v\u002BYmFy/w==", "System.Text.Json"),
            ("p&ss", r"p\u0026ss", "Go and Rails"),
            ("p&ss", r"p\\u0026ss", "the same within a JSON text"),
            ("it's(a)*!", "it's(a)*!", "encodeURIComponent"),
            ("a b/c", "a+b%2fc", "HttpUtility.UrlEncode"),
            ("Zm9v+YmFy", "Zm9v&#43;YmFy", "html/template"),
            ("Zm9v+YmFy", r"Zm9v\u0026#43;YmFy", "the same in Go's JSON"),
            ("it's", "it&#039;s", "htmlspecialchars"),
            ("it's", "it&#x27;s", "html.escape"),
            ("it's", "it&amp;#039;s", "htmlspecialchars, twice"),
            ("a\"b", r"a\&quot;b", "JSON in markup"),
            ("s\u{e9}same", "s&eacute;same", "htmlentities"),
            ("s\u{e9}same", r"s\u00e9same", "json_encode"),
            ("k\u{1f511}y", r"k\ud83d\uDD11y", "json.dumps"),
            ("k\u{1f511}y", "k%F0%9f%94%91y", "a URL"),
            ("k\u{1f511}y", "k&#128273;y", "markup"),
            ("a+b", "a%252Bb", "a URL in a URL"),
            ("a+b", "a%25252bb", "a URL in a URL in a URL"),
            ("a&b", "a%5Cu0026b", "JSON in a URL"),
            ("a-b", r"a\u002Db", "escapejs"),
            ("a'b", r"a\x27b", "a script"),
            ("a\tb\u{8}c", r"a\tb\bc", "JSON"),
            ("+abc", "%2Babc", "a URL, from its first character on"),
            ("\u{e9}t\u{e9}", "%C3%A9t&#233;", "more than one"),
            ("a%2Fb", "a%2fb", "an escape of its own"),
            ("&amp;x", "&amp;x", "what looks like a reference"),
            ("&amp;x", "&amp;amp;x", "the same in markup"),
            (r"a\\b", r"a\\\\b", "JSON"),
        ] {
            for (around, left) in [("", ""), ("k=", "&x=%"), ("\"", "\\"), ("a%", "\u{e9}"), ("&", ";")] {
                assert_eq!(
                    masked(&format!("{around}{text}{left}"), secret),
                    format!("{around}***{left}"),
                    "{whose}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_spelling_of_the_secret_stays() {
        for (secret, text) in [
            ("a+b", "a%2Cb a%b a%2 a%252 a&#44;b a&#43b a&plus b a\\u002c a\\u2b a\\"),
            ("a+b", "a b aa b"),
            ("abc", "abd ab a b\\u0063"),
            ("k\u{1f511}y", r"k\ud83dy k\udd11y k%F0%9F%94y"),
            ("a/b", "a&#99999999999999;b a&#;b a&#x;b a&;b"),
        ] {
            assert_eq!(masked(text, secret), text);
        }
    }

    #[test]
    fn nothing_of_secrets_that_overlap_is_left_and_an_empty_one_does_nothing() {
        let secrets = [Secret::new("abc"), Secret::new("abcdef"), Secret::new("")];
        assert_eq!(mask("x abcdef y abc z", &secrets), "x *** y *** z");
        assert_eq!(mask("abcabc", &secrets), "******");
        assert_eq!(mask("xabcdex", &[Secret::new("abcd"), Secret::new("cde")]), "x***x");
        assert_eq!(masked("aaa/b", "aa/b"), "a***");
        assert_eq!(masked("", "a"), "");
    }

    #[test]
    fn of_a_secret_that_is_cut_off_nothing_is_left() {
        let secrets = [Secret::new("p&ss")];
        let body = format!("{} p%2526ss", "x".repeat(200));
        for end in 200..=body.len() {
            let shown = mask_body(&body.as_bytes()[..end], true, secrets.iter());
            assert!(!shown.contains('p'), "{end}: {shown}");
        }
        let many = "0123456789 ".to_owned() + &"tokentokentokentoken".repeat(100);
        let secrets_of_many = [Secret::new("tokentokentokentoken")];
        let shown = mask_body(many.as_bytes(), true, secrets_of_many.iter());
        assert!(shown.starts_with("0123456789 ***") && !shown.contains("token"), "{shown}");
        assert_eq!(mask_body(b"x p%26ss", false, secrets.iter()), "x ***");
        assert_eq!(mask_body(b"x", true, [].iter()), "x");
    }

    /// What a hostile answer is made of.
    #[test]
    fn escapes_without_end_are_read_in_time() {
        for (secret, piece) in
            [("%%%%%%x", "%25"), (r"\\\\\\x", r"\"), ("&&&&x", "&amp;"), ("a%%%%x", "a%25")]
        {
            // What the search is for stands in it, if only at the end.
            let text = piece.repeat(64 * 1024 / piece.len()) + " x ab";
            let shown = masked(&text, secret);
            assert!(text.starts_with(shown.strip_suffix(MASK).unwrap_or(&shown)), "{secret}");
        }
    }

    fn html(secret: &str) -> String {
        let mut out = String::new();
        for c in secret.chars() {
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(c),
                _ => write!(out, "&#{};", u32::from(c)).expect("a text takes it"),
            }
        }
        out
    }

    /// JSON in ASCII alone, with what markup needs escaped as well.
    fn ascii_json(secret: &str) -> String {
        let mut out = String::new();
        for c in secret.chars() {
            if c.is_ascii_alphanumeric() {
                out.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").expect("a text takes it");
                }
            }
        }
        out
    }

    fn percent(secret: &str) -> String {
        utf8_percent_encode(secret, RESERVED).to_string()
    }

    fn json(secret: &str) -> String {
        let quoted = serde_json::to_string(secret).expect("a text is JSON");
        quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("quoted").to_owned()
    }

    proptest! {
        #[test]
        fn a_masked_text_never_holds_the_secret(
            secret in "[a-zA-Z0-9/+=&%é\u{1f511} \"'\\\\<;#-]{4,24}",
            before in "[a%&\\\\é]{0,4}",
            after in "[a%&\\\\é]{0,4}",
        ) {
            let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let once = [percent(&secret), form, json(&secret), ascii_json(&secret), html(&secret)];
            let twice = once.iter().flat_map(|text| [percent(text), json(text), ascii_json(text), html(text)]);
            let all: Vec<String> = once.iter().cloned().chain(twice).chain([secret.clone()]).collect();
            for text in all {
                // An escape may begin before it, or what stands behind it be a part of one: more is masked then, never less.
                let shown = masked(&format!("{before}{text}{after}"), &secret);
                prop_assert!(shown.contains(MASK) && !shown.contains(&text), "{shown} holds {text}");
                prop_assert_eq!(masked(&text, &secret), MASK, "{}", text);
            }
        }

        #[test]
        fn any_text_is_masked_without_harm(text in "[a%25&;#x\\\\ué]{0,40}", secret in "[a%25&;#x\\\\ué]{1,4}") {
            let shown = masked(&text, &secret);
            prop_assert_eq!(shown.contains(MASK) || shown == text, true);
        }
    }
}
