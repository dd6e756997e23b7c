//! Rust text with its comments and literals told apart, enough to scan it without a parser.
//!
//! The scan keeps every byte in its place: what it hides becomes a space and newlines stay, so an offset means the same
//! in all three views and a line number is a count of newlines.

use std::ops::Range;

/// One Rust file in three views.
pub(crate) struct Source {
    /// Only code: comments and the insides of literals are blank.
    pub(crate) code: String,
    /// Code and comments: only the insides of literals are blank.
    pub(crate) words: String,
    /// Byte ranges of items under `#[cfg(test)]`.
    pub(crate) test_ranges: Vec<Range<usize>>,
}

/// A function found in a file.
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// `pub`, `pub(..)` or nothing.
    pub(crate) public: bool,
    /// Where the keyword `fn` stands.
    pub(crate) start: usize,
    /// One past the closing brace, or the semicolon of a declaration.
    pub(crate) end: usize,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn new(text: &str) -> Self {
        let (code, words) = blank(text.as_bytes());
        let test_ranges = test_ranges(&code);
        Self { code, words, test_ranges }
    }

    /// The 1-based line of a byte offset.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.code.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// Whether an offset lies in an item under `#[cfg(test)]`.
    pub(crate) fn in_test(&self, offset: usize) -> bool {
        self.test_ranges.iter().any(|range| range.contains(&offset))
    }

    /// Every place where `needle` stands as code, not as part of a longer word.
    pub(crate) fn find_word<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        find_word(&self.code, needle)
    }

    /// Every function with a name, in order.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for start in self.find_word("fn") {
            let rest = after(&self.code, start + 2);
            let name: String = rest.trim_start().chars().take_while(|c| is_word(*c)).collect();
            if name.is_empty() {
                continue;
            }
            let end = item_end(&self.code, start);
            found.push(Function { name, public: self.is_public(start), start, end });
        }
        found
    }

    /// Inline modules: their name and the range of their braces.
    pub(crate) fn inline_modules(&self) -> Vec<(String, Range<usize>)> {
        let mut found = Vec::new();
        for start in self.find_word("mod") {
            let rest = after(&self.code, start + 3);
            let name: String = rest.trim_start().chars().take_while(|c| is_word(*c)).collect();
            let end = item_end(&self.code, start);
            let braced = self.code.as_bytes().get(end.saturating_sub(1)) == Some(&b'}');
            if !name.is_empty() && braced {
                found.push((name, start..end));
            }
        }
        found
    }

    /// Names of modules declared as `#[cfg(test)] mod name;`.
    pub(crate) fn test_module_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for range in &self.test_ranges {
            let item = self.code.get(range.clone()).unwrap_or_default();
            let Some(at) = find_word(item, "mod").next() else { continue };
            if item.trim_end().ends_with(';') {
                names.push(after(item, at + 3).trim_start().chars().take_while(|c| is_word(*c)).collect());
            }
        }
        names
    }

    /// Looks back from `fn` over its qualifiers for `pub`. What only the parent module may call is not public.
    fn is_public(&self, fn_at: usize) -> bool {
        let before = self.code.get(..fn_at).unwrap_or_default();
        let item_start = before.rfind([';', '{', '}', ']']).map_or(0, |at| at + 1);
        let qualifiers = before.get(item_start..).unwrap_or_default();
        find_word(qualifiers, "pub").next().is_some() && !qualifiers.contains("pub(super)")
    }
}

/// Whether a character can be part of a word of Rust.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The rest of `text` from an offset, empty past the end.
pub(crate) fn after(text: &str, offset: usize) -> &str {
    text.get(offset..).unwrap_or_default()
}

/// Every place in `text` where `needle` stands as a whole word.
pub(crate) fn find_word<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let before = text.get(..*at).and_then(|s| s.chars().next_back());
        let behind = after(text, at + needle.len()).chars().next();
        !before.is_some_and(is_word) && !behind.is_some_and(is_word)
    })
}

/// One past the end of the item that starts at `start`: its closing brace, or a semicolon outside all brackets.
pub(crate) fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Items under `#[cfg(test)]`, each from its attribute to its end.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let mut item = at + attribute.len();
        // Further attributes stand between this one and the item.
        loop {
            let rest = after(code, item);
            let trimmed = rest.trim_start();
            item += rest.len() - trimmed.len();
            if !trimmed.starts_with("#[") {
                break;
            }
            item += bracket_len(trimmed);
        }
        ranges.push(at..item_end(code, item));
    }
    ranges
}

/// How long the attribute at the start of `text` is.
fn bracket_len(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// What one token at the front of the text is, and how long.
enum Token {
    Code(usize),
    Comment(usize),
    Literal(usize),
}

/// The two blanked views.
fn blank(text: &[u8]) -> (String, String) {
    let mut code = text.to_vec();
    let mut words = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let token = token(text, at);
        let (Token::Code(len) | Token::Comment(len) | Token::Literal(len)) = token;
        let end = (at + len.max(1)).min(text.len());
        for place in at..end {
            if text[place] == b'\n' {
                continue;
            }
            if !matches!(token, Token::Code(_)) {
                code[place] = b' ';
            }
            if matches!(token, Token::Literal(_)) {
                words[place] = b' ';
            }
        }
        at = end;
    }
    // Whole tokens are blanked, so what is left is still valid text.
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&words).into_owned())
}

fn token(text: &[u8], at: usize) -> Token {
    let rest = &text[at..];
    let in_word = at > 0 && is_word(char::from(text[at - 1]));
    match rest {
        [b'/', b'/', ..] => Token::Comment(rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Token::Comment(block_comment(rest)),
        [b'"', ..] => Token::Literal(quoted(rest, 1)),
        [b'b' | b'c', b'"', ..] if !in_word => Token::Literal(quoted(rest, 2)),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw_string(rest, 2),
        [b'\'', ..] => character(rest, 1),
        [b'b', b'\'', ..] if !in_word => character(rest, 2),
        _ => Token::Code(1),
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], open: usize) -> usize {
    let mut at = open;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8], prefix: usize) -> Token {
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&b'"') {
        // `r#word`: an identifier, not a string.
        return Token::Code(open);
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = &rest[open + 1..];
    let len = body.windows(close.len()).position(|window| window == close).unwrap_or(body.len());
    Token::Literal((open + 1 + len + close.len()).min(rest.len()))
}

/// A character literal, or a lifetime, which is code.
fn character(rest: &[u8], open: usize) -> Token {
    match rest.get(open) {
        Some(b'\\') => {
            let len =
                rest.iter().skip(open + 2).position(|b| *b == b'\'').map_or(rest.len(), |at| at + open + 3);
            Token::Literal(len.min(rest.len()))
        }
        Some(first) => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            if rest.get(open + width) == Some(&b'\'') {
                Token::Literal(open + width + 1)
            } else {
                Token::Code(open)
            }
        }
        None => Token::Code(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_offsets_stay() {
        let text = "let a = \"fn {\"; // fn {\nlet b = r#\"}\"}\"#; /* { /* } */ */ let c = '{'; let d: &'a u8 = b'}';\n";
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        assert!(!source.code.contains(['{', '}']), "{}", source.code);
        assert!(source.words.contains("// fn {"));
        assert!(source.code.contains("&'a u8"));
        assert!(source.code.contains("let c ="));
    }

    #[test]
    fn raw_identifiers_and_escapes_do_not_derail() {
        let source = Source::new("fn r#type() { let q = '\\''; let s = \"\\\"}\"; }\nfn next() {}\n");
        let names: Vec<_> = source.functions().into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["r", "next"]);
    }

    #[test]
    fn functions_know_where_they_end_and_who_sees_them() {
        let text = "impl A {\n    pub(crate) async fn one(&self) -> [u8; 2] {\n        if x { y }\n    }\n    fn two() {}\n}\n";
        let source = Source::new(text);
        let functions = source.functions();
        assert_eq!(functions.len(), 2);
        assert!(functions[0].public && !functions[1].public);
        assert_eq!(source.line(functions[0].start), 2);
        assert_eq!(source.line(functions[0].end - 1), 4);
    }

    #[test]
    fn test_items_are_known() {
        let text = "#[cfg(test)]\nmod tests;\n\n#[cfg(test)]\n#[expect(x, reason = \"y\")]\nmod inline {\n    fn a() {}\n}\nfn b() {}\n";
        let source = Source::new(text);
        assert_eq!(source.test_module_files(), ["tests"]);
        let at = |needle: &str| source.code.find(needle).expect("in the text");
        assert!(source.in_test(at("fn a")));
        assert!(!source.in_test(at("fn b")));
    }
}
