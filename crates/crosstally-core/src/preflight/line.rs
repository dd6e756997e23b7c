//! A line of the pre-launch checklist. What cannot be known is said to be unknown; nothing passes by default.

use serde::{Serialize, Serializer};

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was seen to be so.
    Pass,
    /// It was seen not to be so.
    Fail,
    /// It could not be seen.
    Unknown,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its stable name.
    pub check: &'static str,
    /// What is asked.
    pub question: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// From what it is known, or why it is not.
    pub why: String,
    /// What to do; empty where nothing is.
    pub fix: String,
}

impl Line {
    /// A line that passes.
    #[must_use]
    pub fn pass(check: &'static str, question: &'static str, why: impl Into<String>) -> Self {
        Self { check, question, outcome: Outcome::Pass, why: why.into(), fix: String::new() }
    }

    /// A line that fails.
    #[must_use]
    pub fn fail(
        check: &'static str,
        question: &'static str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, question, outcome: Outcome::Fail, why: why.into(), fix: fix.into() }
    }

    /// A line of which nothing is known.
    #[must_use]
    pub fn unknown(
        check: &'static str,
        question: &'static str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { check, question, outcome: Outcome::Unknown, why: why.into(), fix: fix.into() }
    }
}
