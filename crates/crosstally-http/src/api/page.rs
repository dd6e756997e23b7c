//! Pages of lists: a limit and a keyset cursor, which is the last id of the page before.

use std::str::FromStr;

use serde::Serialize;

use super::Refused;
use super::ask::AskError;

/// The most rows of one page.
pub(super) const LIMIT_MAX: u32 = 500;
/// Without any wish.
pub(super) const LIMIT_USUAL: u32 = 50;

/// What a caller asks for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageIn {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
}

impl PageIn {
    pub(super) fn limit(&self) -> Result<u32, Refused> {
        Ok(self.limit_asked()?)
    }

    pub(super) fn before<I: FromStr>(&self) -> Result<Option<I>, Refused> {
        Ok(self.cursor_asked()?)
    }

    /// The same for questions that commands ask as well.
    pub(super) fn limit_asked(&self) -> Result<u32, AskError> {
        match self.limit.unwrap_or(LIMIT_USUAL) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(AskError::Bad(format!("limit must be 1 to {LIMIT_MAX}"))),
        }
    }

    /// Where the page begins.
    pub(super) fn cursor_asked<I: FromStr>(&self) -> Result<Option<I>, AskError> {
        let read =
            |text: &String| text.parse().map_err(|_| AskError::Bad("the cursor is not one of ours".into()));
        self.cursor.as_ref().map(read).transpose()
    }
}

/// One page.
#[derive(Debug, Serialize)]
pub(super) struct PageOut<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> PageOut<T> {
    /// A page whose next one starts after the last row, if this one is full.
    pub(super) fn new(data: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let full = u32::try_from(data.len()).is_ok_and(|rows| rows == limit);
        let next_cursor = if full { data.last().map(cursor) } else { None };
        Self { data, next_cursor }
    }
}
