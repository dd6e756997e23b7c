//! Templates of a destination's settings that were read before: a destination is called many times with the same ones.
//!
//! A template is found by all that its reading depends on, so that settings which were changed since are read anew and
//! never taken for those of before. What the macros stand for is not known here.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use crosstally_core::macro_names::is_known;
use crosstally_core::template::{Brackets, Fault, Style, Template};

/// A template's text, and how its macros are told from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread<'s> {
    pub(crate) text: &'s str,
    /// The one way in which macros are marked; without it all are read.
    pub(crate) style: Option<Style>,
    /// Whether `<x>` may be an element and not a macro.
    pub(crate) markup: bool,
}

impl Unread<'_> {
    /// Reads it, and what in it was meant to be a macro and is none.
    pub(crate) fn read(self) -> (Template, Vec<Fault>) {
        let brackets = match self.style {
            Some(style) => Brackets::only(style, is_known),
            None => Brackets::any(is_known, self.markup),
        };
        Template::read(self.text, brackets)
    }
}

/// The templates of some settings, read when the first of them is needed. A copy begins empty: whoever copies settings
/// mostly changes them.
#[derive(Default)]
pub struct ReadTemplates(OnceLock<Vec<Known>>);

/// A template that was read, and what of.
struct Known {
    text: String,
    style: Option<Style>,
    markup: bool,
    template: Template,
}

impl ReadTemplates {
    /// The template that is wanted. `all` are those of the settings as they are; one that was not among them the first time
    /// is read each time.
    pub(crate) fn get<'s>(
        &self,
        wanted: Unread<'_>,
        all: impl FnOnce() -> Vec<Unread<'s>>,
    ) -> Cow<'_, Template> {
        let known = self.0.get_or_init(|| all().into_iter().map(Known::of).collect());
        match known.iter().find(|known| known.unread() == wanted) {
            Some(known) => Cow::Borrowed(&known.template),
            None => Cow::Owned(wanted.read().0),
        }
    }
}

impl Known {
    fn of(unread: Unread<'_>) -> Self {
        let Unread { text, style, markup } = unread;
        Self { text: text.to_owned(), style, markup, template: unread.read().0 }
    }

    fn unread(&self) -> Unread<'_> {
        Unread { text: &self.text, style: self.style, markup: self.markup }
    }
}

impl Clone for ReadTemplates {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for ReadTemplates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ReadTemplates(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRACES: Unread<'_> = Unread { text: "{click_id}<payout>", style: None, markup: false };

    #[test]
    fn a_template_is_found_by_all_that_its_reading_depends_on() {
        let read = ReadTemplates::default();
        assert!(matches!(read.get(BRACES, || vec![BRACES]), Cow::Borrowed(_)));
        let others = [
            Unread { text: "{click_id}<status>", ..BRACES },
            Unread { style: Style::of_sample("[x]"), ..BRACES },
            Unread { style: Style::of_sample("<x>"), ..BRACES },
            Unread { markup: true, ..BRACES },
        ];
        for other in others {
            let found = read.get(other, || vec![other]);
            assert!(matches!(found, Cow::Owned(_)), "{other:?}");
            assert_eq!(*found, other.read().0, "{other:?}");
        }
        assert_eq!(*read.get(BRACES, Vec::new), BRACES.read().0);
        let copy = read.clone();
        assert!(matches!(copy.get(BRACES, Vec::new), Cow::Owned(_)));
    }
}
