//! Questions with times in them: which words they may be asked in, and why one cannot be answered.

use crosstally_core::ledger::{By, Window};
use crosstally_core::time::Timestamp;
use serde::Deserialize;

use super::{Refused, bad};
use crate::problem::{Fault, fault};

/// Why a question is not answered.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be read.
    #[error("{0}")]
    Bad(String),
    /// There is nothing that it could be about.
    #[error("{0}")]
    NotFound(String),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] crosstally_store::StoreError),
}

impl From<AskError> for Refused {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Bad(problem) => bad(problem),
            AskError::NotFound(problem) => fault(Fault::NotFound, problem).into(),
            AskError::Store(error) => error.into(),
        }
    }
}

/// Which movements: those that were known at a time, within a range of one of their times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WindowIn {
    /// What was recorded then or before, RFC 3339; nothing means now.
    pub as_of: Option<String>,
    /// At or after, RFC 3339.
    pub from: Option<String>,
    /// Before, RFC 3339.
    pub to: Option<String>,
    /// By which time `from` and `to` are meant: `recorded` or `event`.
    pub by: Option<String>,
}

impl WindowIn {
    /// Whether nothing is asked for in particular.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads it.
    ///
    /// # Errors
    /// A time that is none, a range that ends before it starts, `by` without a range.
    pub fn window(&self) -> Result<Window, AskError> {
        let by = match self.by.as_deref() {
            None => By::default(),
            Some(word) => By::from_word(word).ok_or_else(|| {
                AskError::Bad(format!(
                    "`by` is `recorded` (when it was booked) or `event` (when it happened), not `{word}`"
                ))
            })?,
        };
        let window = Window {
            as_of: time("as_of", self.as_of.as_deref())?,
            from: time("from", self.from.as_deref())?,
            to: time("to", self.to.as_deref())?,
            by,
        };
        range(window.from, window.to)?;
        if by == By::Event && window.from.is_none() && window.to.is_none() {
            let problem = "`by` says which time `from` and `to` are about, so it needs one of them; `as_of` is always when it was recorded";
            return Err(AskError::Bad(problem.into()));
        }
        Ok(window)
    }
}

/// Reads a time.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, AskError> {
    let Some(text) = text else { return Ok(None) };
    let read = Timestamp::parse(text);
    read.map(Some)
        .ok_or_else(|| AskError::Bad(format!("`{name}` is not a time such as 2026-11-21T00:00:00Z")))
}

/// A range must have room for something.
pub(super) fn range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(), AskError> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Err(AskError::Bad(format!("the range is empty: `from` is {from}, and `to` is {to}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn asked(as_of: &str, from: &str, to: &str, by: &str) -> Result<Window, String> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let wanted = WindowIn { as_of: given(as_of), from: given(from), to: given(to), by: given(by) };
        wanted.window().map_err(|error| error.to_string())
    }

    #[test]
    fn a_window_is_read_or_its_fault_is_told() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let window = asked("2026-11-21T10:00:00Z", "2026-11-01T00:00:00+01:00", "", "event").unwrap();
        assert_eq!(window.as_of, Some(at("2026-11-21T10:00:00Z")));
        assert_eq!(window.from, Some(at("2026-10-31T23:00:00Z")));
        assert_eq!((window.to, window.by), (None, By::Event));
        assert_eq!(asked("", "", "", ""), Ok(Window::default()));
        for (wanted, named) in [
            (asked("yesterday", "", "", ""), "`as_of` is not a time"),
            (asked("", "2026-13-01", "", ""), "`from` is not a time"),
            (asked("", "", "-1", ""), "`to` is not a time"),
            (asked("", "2026-11-02", "2026-11-02", ""), "the range is empty"),
            (asked("", "2026-11-02", "", "click"), "not `click`"),
            (asked("2026-11-02T00:00:00Z", "", "", "event"), "needs one of them"),
        ] {
            let problem = wanted.unwrap_err();
            assert!(problem.contains(named), "{problem}");
        }
    }
}
