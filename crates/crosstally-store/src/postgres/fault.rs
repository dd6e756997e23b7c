//! What the errors of the driver and the server mean for whoever waits.
//!
//! No text made here holds a password or a stored value: the driver and the server like to quote both.

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use crate::StoreError;

/// What went wrong with one attempt.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection broke. Of a transaction that was not committed nothing happened.
    Lost(String),
    /// The connection broke, and it may have happened; to do it again is harmless.
    Perhaps(String),
    /// The connection broke at the commit, and it could not be found out what became of it.
    Unknown(String),
    /// Another transaction was in the way; nothing happened.
    Conflict(String),
    /// What was to be written, or what was read, is at fault; nothing happened.
    Data(String),
    /// The database is away or sick; nothing happened.
    Unavailable(String),
    /// The store was closed.
    Closed,
}

impl Fault {
    /// In words fit for a log.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Lost(text)
            | Self::Perhaps(text)
            | Self::Unknown(text)
            | Self::Conflict(text)
            | Self::Data(text)
            | Self::Unavailable(text) => text,
            Self::Closed => StoreError::Closed.to_string(),
        }
    }

    /// Whether the same thing may work if it is done again.
    pub(super) const fn passes(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Perhaps(_) | Self::Conflict(_))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(text) | Fault::Conflict(text) | Fault::Unavailable(text) => Self::Unavailable(text),
            Fault::Perhaps(text) | Fault::Unknown(text) => Self::Unknown(text),
            Fault::Data(text) => Self::Corrupt(text),
            Fault::Closed => Self::Closed,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(text) => Self::Unknown(text),
            StoreError::Corrupt(text) => Self::Data(text),
            StoreError::Closed => Self::Closed,
            StoreError::Unavailable(text) => Self::Unavailable(text),
            StoreError::Busy => Self::Unavailable(StoreError::Busy.to_string()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = describe(&error);
        let Some(answer) = error.as_db_error() else {
            let broken = error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
            return if broken { Self::Lost(text) } else { Self::Data(text) };
        };
        // After these the server has closed the connection.
        if matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
            return Self::Lost(text);
        }
        match class(answer) {
            "40" => Self::Conflict(text),
            "22" | "23" | "54" => Self::Data(text),
            "08" => Self::Lost(text),
            _ => Self::Unavailable(text),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Closed => Self::Closed,
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Unavailable("no connection became free in time".into())
            }
            PoolError::Timeout(_) => Self::Unavailable("the server does not answer".into()),
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::Unavailable(describe(&error))
            }
            PoolError::PostCreateHook(HookError::Message(problem)) => Self::Unavailable(problem.into()),
            PoolError::NoRuntimeSpecified => Self::Unavailable(PoolError::NoRuntimeSpecified.to_string()),
        }
    }
}

/// An error in words fit for a log.
pub(super) fn describe(error: &Error) -> String {
    let Some(answer) = error.as_db_error() else {
        return match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
    };
    let code = answer.code().code();
    match class(answer) {
        // Errors about data quote the data: here only names of our own are told.
        "22" | "23" | "54" => {
            let place = [answer.table(), answer.column(), answer.constraint()];
            let place: Vec<_> = place.into_iter().flatten().collect();
            if place.is_empty() {
                format!("error {code}")
            } else {
                format!("error {code} at {}", place.join(", "))
            }
        }
        _ => format!("{} (error {code})", answer.message()),
    }
}

fn class(answer: &DbError) -> &str {
    answer.code().code().get(..2).unwrap_or_default()
}
