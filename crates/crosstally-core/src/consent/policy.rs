//! What an objection means, as a workspace or a destination has it.

use crate::word::Word;

/// What a denial means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDenied {
    /// Nothing is sent.
    Withhold,
    /// It is sent with what the platform takes to limit its use; nothing is sent where there is no such thing.
    Limited,
}

impl Word for WhenDenied {
    const ALL: &'static [Self] = &[Self::Withhold, Self::Limited];

    fn word(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Limited => "limited",
        }
    }
}

/// What Global Privacy Control means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenGpc {
    /// Nothing is sent.
    Withhold,
    /// As [`WhenDenied::Limited`].
    Limited,
    /// It is kept and shown, and nothing follows from it.
    Ignore,
}

impl Word for WhenGpc {
    const ALL: &'static [Self] = &[Self::Withhold, Self::Limited, Self::Ignore];

    fn word(self) -> &'static str {
        match self {
            Self::Withhold => "withhold",
            Self::Limited => "limited",
            Self::Ignore => "ignore",
        }
    }
}

/// A policy; what it leaves open, the next one says: the destination's, the workspace's, then the kind's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsentPolicy {
    /// What a denial means.
    pub when_denied: Option<WhenDenied>,
    /// What Global Privacy Control means.
    pub gpc: Option<WhenGpc>,
}

impl ConsentPolicy {
    /// This, and where it says nothing, what the other says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { when_denied: self.when_denied.or(other.when_denied), gpc: self.gpc.or(other.gpc) }
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_silent(self) -> bool {
        self.when_denied.is_none() && self.gpc.is_none()
    }
}
