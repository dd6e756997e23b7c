//! Campaign links: a URL with its `utm_` parameters and the source's macros, encoded once and never twice, and what is
//! wrong with them. What each source fills in is what its preset says.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::config::source::{self, Source};
use crate::params::decode;
use crate::template::{Brackets, Piece, Template, write_encoded};
use crate::tools::link;

#[cfg(test)]
mod tests;

/// Links that are built at once.
pub const ROWS_MAX: usize = 1_000;
/// Bytes of one link.
pub const LINK_BYTES_MAX: usize = 8 * 1024;
/// Further parameters of one link.
const MORE_MAX: usize = 50;

/// What a link is built of. What is empty comes from the preset, or stays away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// The page.
    pub url: String,
    /// The source's preset.
    pub preset: String,
    /// `utm_source`.
    pub source: String,
    /// `utm_medium`.
    pub medium: String,
    /// `utm_campaign`.
    pub campaign: String,
    /// `utm_term`.
    pub term: String,
    /// `utm_content`.
    pub content: String,
    /// `utm_id`.
    pub id: String,
    /// Further parameters, in order.
    pub params: Vec<(String, String)>,
}

/// One thing about a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Whether the link must not be used so.
    pub is_error: bool,
    /// The parameter, or `url`.
    pub at: String,
    /// What is wrong, or what was mended.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The whole link; empty if there can be none.
    pub link: String,
    /// What there is to say about it.
    pub lints: Vec<Lint>,
}

impl Link {
    /// Whether it can be used.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.link.is_empty() && !self.lints.iter().any(|lint| lint.is_error)
    }
}

#[derive(Default)]
struct Lints(Vec<Lint>);

impl Lints {
    fn add(&mut self, is_error: bool, at: &str, problem: impl Into<String>, fix: &str) {
        self.0.push(Lint { is_error, at: at.to_owned(), problem: problem.into(), fix: fix.to_owned() });
    }
}

/// Builds one link.
#[must_use]
pub fn build(wanted: &Wanted) -> Link {
    let mut lints = Lints::default();
    let preset = preset_of(wanted, &mut lints);
    let Some(page) = page(&wanted.url, &mut lints) else {
        return Link { link: String::new(), lints: lints.0 };
    };
    let chosen = chosen(wanted, preset);
    let parts = link::parts(&page);
    let mut query: Vec<String> = Vec::new();
    let pieces = parts.query.split('&').filter(|piece| !piece.is_empty());
    for piece in pieces.flat_map(|piece| second_marks(piece, parts.second_mark)) {
        let name = decode(piece.split('=').next().unwrap_or(piece).as_bytes()).0;
        if let Some((_, value)) = chosen.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            let problem = format!("the page's URL has a `{name}` of its own; `{value}` stands in its place");
            lints.add(false, &name, problem, "take it out of the page's URL");
        } else {
            query.push(kept(piece, &mut lints));
        }
    }
    if parts.second_mark {
        lints.add(false, "url", "a second `?` was made a `&`", "write one `?` only");
    }
    for (name, value) in &chosen {
        lint_value(name, value, preset, &mut lints);
        query.push(format!("{}={}", encoded_name(name), encoded(name, value, preset, &mut lints)));
    }
    required(&chosen, &mut lints);
    let mut link = parts.base.to_owned();
    if !query.is_empty() {
        link = format!("{link}?{}", query.join("&"));
    }
    if !parts.fragment.is_empty() {
        link = format!("{link}#{}", parts.fragment);
    }
    if link.len() > LINK_BYTES_MAX {
        let problem = format!("{} bytes; ad platforms cut links at 2,000 to {LINK_BYTES_MAX}", link.len());
        lints.add(true, "url", problem, "leave parameters away");
    }
    Link { link, lints: lints.0 }
}

fn preset_of(wanted: &Wanted, lints: &mut Lints) -> Option<&'static Source> {
    let name = wanted.preset.trim().to_ascii_lowercase();
    if name.is_empty() {
        return None;
    }
    let found = source::named(&name);
    if found.is_none() {
        let known: Vec<&str> = source::names().collect();
        let problem = format!("no preset is called `{}`", wanted.preset);
        lints.add(true, "preset", problem, &format!("take one of {}", known.join(", ")));
    }
    found
}

/// The page's URL, with what can be mended mended.
fn page(url: &str, lints: &mut Lints) -> Option<String> {
    let trimmed = url.trim();
    let mut page: String = trimmed.chars().filter(|c| !c.is_control()).collect();
    if page.contains(' ') {
        lints.add(false, "url", "blanks became %20", "write the address without blanks");
        page = page.replace(' ', "%20");
    }
    if !page.contains("://") && !page.is_empty() {
        lints.add(false, "url", "there was no https://; it was added", "write the whole address");
        page = format!("https://{page}");
    }
    let base = link::parts(&page).base;
    let is_page = url::Url::parse(base)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    if !is_page {
        lints.add(true, "url", "not the address of a page", "write it as https://shop.example/page");
        return None;
    }
    if page.starts_with("http://") {
        lints.add(
            false,
            "url",
            "http:// sends visitors over an extra redirect, or unprotected",
            "use https://",
        );
    }
    Some(page)
}

fn second_marks(piece: &str, parts: bool) -> Vec<&str> {
    if parts && !piece.contains("://") {
        piece.split('?').filter(|piece| !piece.is_empty()).collect()
    } else {
        vec![piece]
    }
}

/// A piece of the page's own query, byte for byte but for what cannot stand in a URL.
fn kept(piece: &str, lints: &mut Lints) -> String {
    if piece.is_ascii() {
        return piece.to_owned();
    }
    let name = piece.split('=').next().unwrap_or(piece);
    lints.add(false, name, "letters beyond ASCII were percent-encoded", "");
    let mut out = String::new();
    for c in piece.chars() {
        if c.is_ascii() { out.push(c) } else { write_encoded(c.encode_utf8(&mut [0; 4]), false, &mut out) }
    }
    out
}

/// The parameters in their order: what is wanted, else what the preset says; then what it brings on a click link too.
fn chosen(wanted: &Wanted, preset: Option<&Source>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        ("utm_source", &wanted.source),
        ("utm_medium", &wanted.medium),
        ("utm_campaign", &wanted.campaign),
        ("utm_content", &wanted.content),
        ("utm_term", &wanted.term),
        ("utm_id", &wanted.id),
    ]
    .into_iter()
    .map(|(name, own)| match own.trim() {
        "" => (name.to_owned(), preset.map_or("", |preset| preset.utm_value(name)).to_owned()),
        own => (name.to_owned(), own.to_owned()),
    })
    .filter(|(_, value)| !value.is_empty())
    .collect();
    let own = || wanted.params.iter().take(MORE_MAX);
    let more = preset.into_iter().flat_map(Source::link_pairs);
    let more = more.filter(|(name, _)| !name.starts_with("utm_") && !own().any(|(known, _)| known == name));
    all.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.extend(own().cloned());
    all
}

fn required(chosen: &[(String, String)], lints: &mut Lints) {
    for name in ["utm_source", "utm_medium", "utm_campaign"] {
        if !chosen.iter().any(|(known, _)| known == name) {
            lints.add(
                true,
                name,
                "is missing: reports cannot tell these visits apart",
                "give it, or a preset",
            );
        }
    }
}

fn encoded_name(name: &str) -> String {
    let mut out = String::new();
    write_encoded(name.trim(), false, &mut out);
    out
}

/// Macros stay as the source reads them; the text around them is encoded once, whether or not it was before.
fn encoded(name: &str, value: &str, preset: Option<&Source>, lints: &mut Lints) -> String {
    if is_own_macro(preset, value) {
        return value.to_owned();
    }
    let mut out = String::new();
    for piece in template(value).pieces() {
        match piece {
            Piece::Macro(found) => out.push_str(&found.written),
            Piece::Text(text) => {
                let (plain, lossy) = decode(text.replace('+', "%2B").as_bytes());
                let was_encoded = plain != *text && !lossy;
                if was_encoded && text.contains('%') {
                    lints.add(false, name, "was percent-encoded already; it was not encoded again", "");
                }
                write_encoded(if was_encoded { &plain } else { text }, false, &mut out);
            }
        }
    }
    out
}

fn is_own_macro(preset: Option<&Source>, written: &str) -> bool {
    preset.is_some_and(|preset| preset.all_macros().any(|own| own == written))
}

fn template(value: &str) -> Template {
    Template::read(value, Brackets::any(is_macro_name, false)).0
}

/// Whether a name between brackets that also stand in plain text is that of a macro of any source.
fn is_macro_name(name: &str) -> bool {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    let bare =
        |written: &str| written.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    let names = NAMES.get_or_init(|| source::all().iter().flat_map(Source::all_macros).map(bare).collect());
    names.contains(&name.to_ascii_lowercase())
}

fn lint_value(name: &str, value: &str, preset: Option<&Source>, lints: &mut Lints) {
    if is_own_macro(preset, value) {
        return;
    }
    let parsed = template(value);
    let mut text = String::new();
    for piece in parsed.pieces() {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Macro(found) => {
                if let Some(preset) = preset.filter(|_| !is_own_macro(preset, &found.written)) {
                    let problem = format!("{} does not fill in `{}`", preset.title, found.written);
                    let fix = match preset.all_macros().next() {
                        Some(sample) => format!("its macros look like {sample}"),
                        None => "it fills in no macros of a link".to_owned(),
                    };
                    lints.add(true, name, problem, &fix);
                }
            }
        }
    }
    if name.trim().is_empty() {
        lints.add(true, "params", "a parameter has no name", "write NAME=VALUE");
    }
    if text.contains(char::is_whitespace) {
        let fix = "write - or _ in place of blanks";
        lints.add(false, name, "has blanks: they become %20, and + elsewhere", fix);
    }
    let is_utm = name.starts_with("utm_");
    if is_utm && text.chars().any(char::is_uppercase) {
        lints.add(
            false,
            name,
            "has capitals: reports count `Facebook` and `facebook` apart",
            "write it in lower case",
        );
    }
    if text.contains(['?', '&', '#', '=']) {
        lints.add(false, name, "holds a sign of URLs; it was encoded", "keep to letters, digits, - and _");
    }
    if !is_utm && name.to_ascii_lowercase().starts_with("utm") {
        lints.add(true, name, "is no utm parameter", "they are written utm_source, utm_medium, ..");
    }
}
