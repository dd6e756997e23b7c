//! What can become of an inbound call. A refusal is an answer, not an error: it is stored, counted and shown.

use crate::reason::Reason;

/// The six things a receipt can say. Every inbound call is exactly one of them:
/// `received = recorded + updated + duplicate + quarantined + refused + test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A new conversion was booked.
    Recorded,
    /// A new movement was booked on a known conversion.
    Updated,
    /// The same thing was already booked.
    Duplicate,
    /// Kept, not booked: somebody or something must supply what is missing.
    Quarantined,
    /// Kept, not booked: the call broke a rule.
    Refused,
    /// A marked test: checked like the real thing, not booked.
    Test,
}

impl Verdict {
    /// All verdicts, in the order of the balance.
    pub const ALL: [Self; 6] =
        [Self::Recorded, Self::Updated, Self::Duplicate, Self::Quarantined, Self::Refused, Self::Test];

    /// The word used in answers, tables, metrics and docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Updated => "updated",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Test => "test",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A step's way of stopping the pipeline: the verdict, the reason, and a sentence about this very call that is fit
/// for the sender's eyes (no secrets, no internals).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What becomes of the call.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// About this call: which field, which word.
    pub detail: String,
}

impl Stop {
    /// Any verdict.
    #[must_use]
    pub fn new(verdict: Verdict, reason: Reason, detail: impl Into<String>) -> Self {
        Self { verdict, reason, detail: detail.into() }
    }

    /// The call broke a rule.
    #[must_use]
    pub fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Refused, reason, detail: detail.into() }
    }

    /// The call is kept until what is missing appears.
    #[must_use]
    pub fn quarantined(reason: Reason, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Quarantined, reason, detail: detail.into() }
    }
}
