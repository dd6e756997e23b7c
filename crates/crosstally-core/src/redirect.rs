//! How a visitor is sent on: by status, or by a page that sends the browser on.
//!
//! A page holds the target in one place, as a link, escaped for HTML. Its only script is a fixed text that follows that
//! link, so the policy that goes with it names exactly this script.

/// How a visitor is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirect {
    /// 302 Found.
    #[default]
    Found,
    /// 307 Temporary Redirect.
    Temporary,
    /// A page whose refresh leads on; the target sees our page as referrer.
    Meta,
    /// A page that leads to a second page of ours, which leads on without a referrer.
    DoubleMeta,
    /// A page that leads on without a referrer.
    NoReferrer,
    /// A page whose script leads on; the back button does not come back to it.
    Script,
}

/// The script of a page, byte for byte.
pub const SCRIPT: &str = "location.replace(document.getElementById('to').href)";
/// The policy of pages without a script.
pub const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The policy of the page with the script.
#[must_use]
pub fn script_policy() -> String {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    format!("{POLICY}; script-src 'sha256-{hash}'")
}

/// What a page is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Refresh to the link.
    Refresh,
    /// Refresh to the link without saying where from.
    RefreshSilently,
    /// Follow the link by script; without scripts, refresh.
    Script,
}

/// A page that leads to a URL.
#[must_use]
pub fn page(kind: Page, to: &str) -> String {
    let to = escaped(to);
    let silent = match kind {
        Page::RefreshSilently => "<meta name=\"referrer\" content=\"no-referrer\">",
        Page::Refresh | Page::Script => "",
    };
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"0;url={to}\">");
    let (refresh, script) = match kind {
        Page::Script => (format!("<noscript>{refresh}</noscript>"), format!("<script>{SCRIPT}</script>")),
        Page::Refresh | Page::RefreshSilently => (refresh, String::new()),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"robots\" content=\"noindex,nofollow\">{silent}{refresh}<title>Continue</title></head>\
         <body><a id=\"to\" rel=\"nofollow\" href=\"{to}\">Continue</a>{script}</body></html>"
    )
}

/// A text as an attribute in double quotes holds it. A refresh reads its URL up to the end of the attribute; a quote at
/// its beginning would be read as quotes around it, so quotes are percent-encoded as URLs have them.
fn escaped(url: &str) -> String {
    let mut out = String::with_capacity(url.len() + 16);
    for c in url.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '"' => out.push_str("%22"),
            '\'' => out.push_str("%27"),
            '`' => out.push_str("%60"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_url_ends_its_attribute() {
        for kind in [Page::Refresh, Page::RefreshSilently, Page::Script] {
            let page = page(kind, "https://a.example/?a=1&b=\"><script>alert(1)</script>'`\r\n");
            assert_eq!(page.matches("<script>").count(), usize::from(kind == Page::Script), "{page}");
            assert!(page.contains("?a=1&amp;b=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%27%60\""), "{page}");
            assert_eq!(page.contains("no-referrer"), kind == Page::RefreshSilently);
        }
    }

    #[test]
    fn the_policy_names_the_script_that_the_page_has() {
        let page = page(Page::Script, "https://a.example/");
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        let policy = script_policy();
        // Worked out once more by hand: printf '%s' "$SCRIPT" | openssl dgst -sha256 -binary | base64
        assert!(
            policy.ends_with("script-src 'sha256-4Grc8vZ+0NA/D6UvagTk8eENMSFy8o1MbV2kjtc6jLU='"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
    }
}
