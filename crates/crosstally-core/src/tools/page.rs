//! Where a page leads on by itself: a meta refresh, which browsers follow without a script, and a script's plain target,
//! which is told and never followed.

/// Bytes of a page that are looked through.
pub const PAGE_BYTES_MAX: usize = 64 * 1024;

/// A page's own way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refresh {
    /// Where it leads.
    pub url: String,
    /// After how many seconds.
    pub delay_s: u32,
}

/// The first meta refresh with a target.
#[must_use]
pub fn meta_refresh(html: &str) -> Option<Refresh> {
    let html = without_comments(html);
    let lower = html.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower.get(from..)?.find("<meta").map(|at| from + at) {
        from = at + "<meta".len();
        let tag = tag_at(html.get(from..)?);
        if attribute(tag, "http-equiv").is_some_and(|kind| kind.trim().eq_ignore_ascii_case("refresh"))
            && let Some(refresh) = attribute(tag, "content").and_then(|content| read_content(&content))
        {
            return Some(refresh);
        }
    }
    None
}

/// Where a script would send the browser, if it says so in plain text.
#[must_use]
pub fn script_target(html: &str) -> Option<String> {
    const WAYS: &[&str] = &[
        "location.replace",
        "location.assign",
        "location.href",
        "window.location",
        "document.location",
        "top.location",
    ];
    let found = WAYS.iter().filter_map(|way| html.find(way).map(|at| (at, at + way.len())));
    let mut found: Vec<(usize, usize)> = found.collect();
    found.sort_unstable();
    found.into_iter().find_map(|(_, behind)| {
        let rest = html.get(behind..)?.trim_start_matches(".href").trim_start();
        let rest = rest.strip_prefix(['=', '('])?.trim_start();
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
        let target = rest.strip_prefix(quote)?.split(quote).next()?;
        let leads = target.starts_with("http") || target.starts_with('/') || target.starts_with('?');
        leads.then(|| target.replace("\\/", "/"))
    })
}

fn without_comments(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, comment)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
    }
    out.push_str(rest);
    out
}

/// What stands between a tag's name and its end; a `>` in quotes ends no tag.
fn tag_at(rest: &str) -> &str {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return rest.get(..at).unwrap_or_default(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    rest
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let ends = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/')).unwrap_or(rest.len());
        let (found, behind) = rest.split_at(ends);
        if found.is_empty() && !behind.starts_with('=') {
            return None;
        }
        let behind = behind.trim_start();
        let (value, next) = match behind.strip_prefix('=') {
            None => ("", behind),
            Some(value) => value_at(value.trim_start()),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(decoded(value));
        }
        rest = next;
    }
}

fn value_at(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split_once(quote).unwrap_or((rest, ""));
        }
    }
    let ends = text.find(char::is_whitespace).unwrap_or(text.len());
    text.split_at(ends)
}

fn decoded(value: &str) -> String {
    [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&#38;", "&"), ("&amp;", "&")]
        .iter()
        .fold(value.to_owned(), |text, (entity, sign)| text.replace(entity, sign))
}

/// `5; url='https://a.example/'`.
fn read_content(content: &str) -> Option<Refresh> {
    let content = content.trim_start();
    let ends = content.find(|c: char| !c.is_ascii_digit()).unwrap_or(content.len());
    let (seconds, rest) = content.split_at(ends);
    let delay_s = if seconds.is_empty() { 0 } else { seconds.parse().unwrap_or(u32::MAX) };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace());
    let rest = rest.strip_prefix([';', ','])?.trim_start();
    let head = rest.get(..3).unwrap_or_default();
    let rest = if head.eq_ignore_ascii_case("url") {
        let behind = rest.get(3..).unwrap_or_default().trim_start();
        behind.strip_prefix('=').map_or(rest, str::trim_start)
    } else {
        rest
    };
    let target = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest.strip_prefix(quote)?.split(quote).next().unwrap_or_default(),
        _ => rest,
    };
    let url = target.trim();
    (!url.is_empty()).then(|| Refresh { url: url.to_owned(), delay_s })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn meta_refreshes_are_read_as_browsers_read_them() {
        for (html, expected) in [
            (
                r#"<meta http-equiv="refresh" content="0;url=https://a.example/?a=1&amp;b=2">"#,
                Some(("https://a.example/?a=1&b=2", 0)),
            ),
            (r#"<META content='5; URL="/next"' HTTP-EQUIV=Refresh>"#, Some(("/next", 5))),
            (r"<meta http-equiv=refresh content=0;url=/x>", Some(("/x", 0))),
            (r#"<meta http-equiv="refresh" content="3">"#, None),
            (r#"<!-- <meta http-equiv="refresh" content="0;url=/no"> -->"#, None),
            (
                r#"<meta name="a" content="x > y"><meta http-equiv="refresh" content="1.5, https://b.example/">"#,
                Some(("https://b.example/", 1)),
            ),
            (
                "<meta http-equiv=\"refresh\" content=\"0; url = 'https://c.example/'\"/>",
                Some(("https://c.example/", 0)),
            ),
            ("<meta", None),
            ("", None),
        ] {
            let found = meta_refresh(html);
            let found = found.as_ref().map(|refresh| (refresh.url.as_str(), refresh.delay_s));
            assert_eq!(found, expected, "{html}");
        }
    }

    #[test]
    fn a_scripts_plain_target_is_told() {
        for (html, expected) in [
            ("<script>window.location.href = \"https://a.example/\";</script>", Some("https://a.example/")),
            ("<script>location.replace('https:\\/\\/b.example\\/x')</script>", Some("https://b.example/x")),
            ("<script>window.location = target;</script>", None),
            ("<p>your location.href is nice</p>", None),
        ] {
            assert_eq!(script_target(html).as_deref(), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(html in "(<meta|http-equiv=|refresh|content=|url=|[ \"'=;/>a-z0-9é]){0,40}") {
            drop(meta_refresh(&html));
            drop(script_target(&html));
        }
    }
}
