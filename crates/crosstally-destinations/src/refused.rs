//! Why an event is left out of a request. A detail names the field and the rule, never a person's values.

use crosstally_core::reason::Reason;

/// An event that the destination would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Refused {
    /// An event that lacks something, or has it in a form that the destination does not take.
    pub(crate) fn incomplete(detail: impl Into<String>) -> Self {
        Self { reason: Reason::EventIncomplete, detail: detail.into() }
    }

    /// An event that the visitor's wish keeps from a destination that cannot be told of it.
    pub(crate) fn not_allowed(detail: impl Into<String>) -> Self {
        Self { reason: Reason::ConsentDenied, detail: detail.into() }
    }
}
