//! A link's parts, read as the broken links of the field are meant: a second `?` parts like a `&`, and a fragment may have
//! a query of its own.

/// A link in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// All before the query.
    pub base: &'a str,
    /// The query, without its mark.
    pub query: &'a str,
    /// The fragment, without its mark.
    pub fragment: &'a str,
    /// Whether a second `?` stands in the query where nothing says that it belongs to a value.
    pub second_mark: bool,
}

/// Parts a URL, a query, a list of cookies or a bare value. A bare value has no query.
#[must_use]
pub fn parts(text: &str) -> Parts<'_> {
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (base, query) = match before.split_once('?') {
        Some(parts) => parts,
        // Without a mark it is a query if it looks like one.
        None if !before.contains("://") && !before.starts_with('/') && is_pairs(before) => ("", before),
        None => (before, ""),
    };
    // A URL as a value may have a `?` of its own.
    let second_mark = query
        .match_indices('?')
        .any(|(at, _)| query.get(..at).is_some_and(|head| !last_piece(head).contains("://")));
    Parts { base, query, fragment, second_mark }
}

fn last_piece(head: &str) -> &str {
    head.rsplit('&').next().unwrap_or(head)
}

/// `name=value`, and not a value that ends in the signs of base64.
fn is_pairs(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty()
            && !value.trim_start_matches('=').is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']'))
    })
}

impl Parts<'_> {
    /// Every parameter there is, as one query.
    #[must_use]
    pub fn all(&self) -> String {
        let mut all = String::new();
        let of_fragment = match self.fragment.split_once('?') {
            Some((_, query)) => query,
            None if is_pairs(self.fragment) => self.fragment,
            None => "",
        };
        for query in [self.query, of_fragment] {
            for piece in query.split('&') {
                let pieces =
                    if piece.contains("://") { vec![piece] } else { piece.split(['?', ';']).collect() };
                for piece in pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()) {
                    if !all.is_empty() {
                        all.push('&');
                    }
                    all.push_str(piece);
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_they_are_meant() {
        for (text, all, second) in [
            ("https://a.example/p?a=1&b=2#f", "a=1&b=2", false),
            ("https://a.example/p?a=1?b=2", "a=1&b=2", true),
            ("https://a.example/p?u=https://b.example/?x=1", "u=https://b.example/?x=1", false),
            ("a=1; b=2", "a=1&b=2", false),
            ("https://a.example/#/p?a=1", "a=1", false),
            ("https://a.example/#a=1", "a=1", false),
            ("https://a.example/p", "", false),
            ("bm9ib2R5==", "", false),
            ("?", "", false),
        ] {
            let parts = parts(text);
            assert_eq!((parts.all().as_str(), parts.second_mark), (all, second), "{text}");
        }
    }
}
