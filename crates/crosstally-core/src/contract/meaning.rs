//! What the words of a partner's status map mean.

use crate::ledger::Status;

/// What a partner's status word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One of ours.
    Status(Status),
    /// Nothing to book: a ping, an event that the contract does not want.
    Ignore,
    /// Somebody has to say each time: the call waits, whatever `*` says.
    Ask,
}

/// The partner's word that stands for all that are not in the map.
pub const ANY_OTHER: &str = "*";

impl crate::word::Word for Meaning {
    const ALL: &'static [Self] = &[
        Self::Status(Status::Lead),
        Self::Status(Status::Hold),
        Self::Status(Status::Approved),
        Self::Status(Status::Rejected),
        Self::Status(Status::Reversed),
        Self::Ignore,
        Self::Ask,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Status(status) => status.as_str(),
            Self::Ignore => "ignore",
            Self::Ask => "ask",
        }
    }
}
