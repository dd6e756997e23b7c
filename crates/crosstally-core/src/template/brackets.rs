//! How a macro is told from text: the brackets of the field's trackers and networks, and which of them are read where.

use super::function::{self, Function};
use super::{Fault, Macro};

/// Longest macro name, and longest macro with its functions.
const NAME_BYTES_MAX: usize = 64;
const MACRO_BYTES_MAX: usize = 1024;

/// A way to mark a macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    open: &'static str,
    close: &'static str,
    /// How a configuration names it: the brackets around an x.
    pub sample: &'static str,
}

const BRACES: Style = Style { open: "{", close: "}", sample: "{x}" };
/// Whatever begins with another one stands before it.
const STYLES: [Style; 17] = [
    Style { open: "{{{", close: "}}}", sample: "{{{x}}}" },
    Style { open: "{{", close: "}}", sample: "{{x}}" },
    Style { open: "${", close: "}", sample: "${x}" },
    Style { open: "{%", close: "%}", sample: "{%x%}" },
    BRACES,
    Style { open: "[[[", close: "]]]", sample: "[[[x]]]" },
    Style { open: "[[", close: "]]", sample: "[[x]]" },
    Style { open: "[+", close: "+]", sample: "[+x+]" },
    Style { open: "[", close: "]", sample: "[x]" },
    Style { open: "###", close: "###", sample: "###x###" },
    Style { open: "##", close: "##", sample: "##x##" },
    Style { open: "#", close: "#", sample: "#x#" },
    Style { open: "__", close: "__", sample: "__x__" },
    Style { open: "(S_", close: ")", sample: "(S_X)" },
    Style { open: "%%", close: "%%", sample: "%%x%%" },
    Style { open: "%", close: "%", sample: "%x%" },
    TAG,
];
const TAG: Style = Style { open: "<", close: ">", sample: "<x>" };

impl Style {
    /// Every style.
    pub const ALL: &'static [Self] = &STYLES;

    /// The style that is written like this.
    #[must_use]
    pub fn of_sample(sample: &str) -> Option<Self> {
        STYLES.into_iter().find(|style| style.sample == sample)
    }

    /// Braces of any kind, in which no text of a URL, a form or JSON stands by accident.
    fn is_braces(self) -> bool {
        self.close.starts_with('}')
    }
}

/// Which brackets are read.
#[derive(Clone, Copy)]
pub struct Brackets {
    only: Option<Style>,
    markup: bool,
    known: fn(&str) -> bool,
}

impl Brackets {
    /// `{x}` with any name and nothing else.
    pub const BRACES: Self = Self { only: Some(BRACES), markup: false, known: |_| true };

    /// Every style: those with braces around any name, the others around names that are known only. `<x>` is not read
    /// where it may be `markup`.
    #[must_use]
    pub const fn any(known: fn(&str) -> bool, markup: bool) -> Self {
        Self { only: None, markup, known }
    }

    /// This style with any name, and nothing else.
    #[must_use]
    pub const fn only(style: Style, known: fn(&str) -> bool) -> Self {
        Self { only: Some(style), markup: false, known }
    }

    /// The macro that begins where the text begins.
    pub(super) fn macro_at(&self, text: &str) -> Option<Result<Macro, Fault>> {
        // Most of a template is text.
        if !text.starts_with(['{', '$', '[', '#', '_', '(', '%', '<']) {
            return None;
        }
        match self.only {
            Some(style) => self.in_style(style, text),
            None => STYLES.iter().find_map(|style| self.in_style(*style, text)),
        }
    }

    fn in_style(&self, style: Style, text: &str) -> Option<Result<Macro, Fault>> {
        let inside = text.strip_prefix(style.open)?;
        let inside = inside.get(..end_of(inside, style.close)?)?;
        let (name, functions) = match inside.split_once('|') {
            Some((name, functions)) => (name, Some(functions)),
            None => (inside, None),
        };
        if !is_name(name) || !self.takes(style, name) {
            return None;
        }
        let written = text.get(..style.open.len() + inside.len() + style.close.len())?.to_owned();
        match functions.map_or(Ok(Vec::new()), function::read) {
            Ok(functions) => Some(Ok(Macro { name: name.to_owned(), functions, written })),
            // Two words with a bar between them may be anybody's text.
            Err(None) if !style.is_braces() && !(self.known)(name) => None,
            Err(problem) => {
                let problem = problem.unwrap_or_else(|| {
                    format!("has a function that is not known; use {}", Function::WORDS.join(", "))
                });
                Some(Err(Fault { written, problem }))
            }
        }
    }

    fn takes(&self, style: Style, name: &str) -> bool {
        if self.only.is_some() {
            // `%20x%` begins with an escape and not with a macro.
            let escape = name.get(..2).is_some_and(|head| head.bytes().all(|b| b.is_ascii_hexdigit()));
            return style.open != "%" || !escape || (self.known)(name);
        }
        style.is_braces() || (!(self.markup && style == TAG) && (self.known)(name))
    }
}

impl std::fmt::Debug for Brackets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Brackets").field("only", &self.only).field("markup", &self.markup).finish()
    }
}

/// Where the closing bracket is. A character behind a backslash closes nothing.
fn end_of(inside: &str, close: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate().take(MACRO_BYTES_MAX) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if inside.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(close.as_bytes())) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
