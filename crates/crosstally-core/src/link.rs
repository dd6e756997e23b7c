//! Click links as people really make them: a second `?` where `&` was meant, `&amp;` out of an HTML page, spaces at the end,
//! values that were never escaped. What is meant is read; the query that is kept is the one that came.

use std::borrow::Cow;

/// A query with its mistakes healed; the same text if there are none.
#[must_use]
pub fn healed(query: &str) -> Cow<'_, str> {
    let has_fault = query.bytes().any(|b| matches!(b, b'?' | b';' | b' ')) || ends_in_space(query);
    if !has_fault {
        return Cow::Borrowed(query);
    }
    let mut out = String::with_capacity(query.len());
    for piece in trimmed(query).split('&') {
        // `?a=1?b=2`: the second one begins another parameter, unless it belongs to a URL in the value.
        let mut rest = bare(piece);
        while let Some(at) = second_query(rest) {
            let (head, tail) = rest.split_at(at);
            push(&mut out, head);
            rest = bare(tail);
        }
        push(&mut out, rest);
    }
    out.truncate(ended(&out).len());
    if out == query { Cow::Borrowed(query) } else { Cow::Owned(out) }
}

/// A piece without the signs that were put before it.
fn bare(mut piece: &str) -> &str {
    loop {
        let next = piece.trim_start_matches('?').trim_start_matches("amp;");
        if next.len() == piece.len() {
            return piece;
        }
        piece = next;
    }
}

/// The slug of a path as it was meant: without what somebody hung behind it with a wrong sign, a slash or spaces, and
/// that rest.
#[must_use]
pub fn healed_slug(slug: &str) -> Option<(&str, &str)> {
    let end = slug.find(['&', '%', ' ', '/', '=']).unwrap_or(slug.len());
    let (meant, rest) = slug.split_at(end);
    (!meant.is_empty() && !rest.is_empty()).then(|| (meant, rest.trim_start_matches(['&', '/', ' '])))
}

fn push(out: &mut String, piece: &str) {
    if piece.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str(piece);
}

/// Where a parameter's value ends in a `?` with another parameter behind it.
fn second_query(piece: &str) -> Option<usize> {
    let at = piece.find('?')?;
    let (head, tail) = piece.split_at(at);
    let value = head.split_once('=').map_or("", |(_, value)| value);
    let is_url = value.contains("://") || value.to_ascii_lowercase().contains("%3a%2f%2f");
    let name = tail.get(1..)?.split('=').next().unwrap_or("");
    let names_one = tail.contains('=')
        && !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    (!is_url && names_one).then_some(at)
}

fn ends_in_space(query: &str) -> bool {
    query.ends_with('+') || query.ends_with("%20")
}

fn trimmed(mut query: &str) -> &str {
    loop {
        let next = query.trim_end_matches([' ', '+']);
        let next = next.strip_suffix("%20").unwrap_or(next);
        if next.len() == query.len() {
            return query;
        }
        query = next;
    }
}

/// Without spaces at the end, and without a parameter there that was nothing else.
fn ended(mut query: &str) -> &str {
    loop {
        let next = trimmed(query).trim_end_matches('&');
        if next.len() == query.len() {
            return query;
        }
        query = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_links_that_people_make_are_understood() {
        for (came, meant) in [
            ("a=1&b=2", "a=1&b=2"),
            ("a=1?fbclid=IwAR2", "a=1&fbclid=IwAR2"),
            ("a=1?b=2?c=3", "a=1&b=2&c=3"),
            ("?a=1", "a=1"),
            ("a=1&?b=2", "a=1&b=2"),
            ("a=1&amp;b=2&amp;c=3", "a=1&b=2&c=3"),
            ("a=1&b=2%20", "a=1&b=2"),
            ("a=1&b=2+%20+", "a=1&b=2"),
            ("a=1 &+&", "a=1"),
            (" &+&", ""),
            ("u=https://shop.example/p?id=7&b=2", "u=https://shop.example/p?id=7&b=2"),
            ("u=https%3A%2F%2Fshop.example%2F?id=7", "u=https%3A%2F%2Fshop.example%2F?id=7"),
            ("q=what?&b=2", "q=what?&b=2"),
            ("q=a;b", "q=a;b"),
            ("q=is it?yes it is=1", "q=is it?yes it is=1"),
            ("", ""),
        ] {
            assert_eq!(healed(came), meant, "{came}");
        }
    }

    #[test]
    fn what_hangs_behind_a_slug_is_told_from_it() {
        for (slug, meant) in [
            ("summer&fbclid=1", Some(("summer", "fbclid=1"))),
            ("summer%20", Some(("summer", "%20"))),
            ("summer/", Some(("summer", ""))),
            ("summer/?a=1", Some(("summer", "?a=1"))),
            ("summer", None),
            ("&a", None),
        ] {
            assert_eq!(healed_slug(slug), meant, "{slug}");
        }
    }

    proptest! {
        #[test]
        fn what_is_healed_stays_as_it_is(query in "[a-c=?&;+%20 :/]{0,40}") {
            let once = healed(&query).into_owned();
            prop_assert_eq!(healed(&once).into_owned(), once.clone());
        }

        #[test]
        fn a_query_without_faults_is_left_alone(query in "([a-z]{1,5}=[a-zA-Z0-9_.-]{0,8}&){0,5}[a-z]{1,5}=[a-z0-9]{1,4}") {
            prop_assert!(matches!(healed(&query), Cow::Borrowed(_)));
        }
    }
}
