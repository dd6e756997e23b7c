//! Pages of lists: a limit and a keyset cursor, which is the last id of the page before.

use std::str::FromStr;

use serde::Serialize;

use super::{Refused, bad};

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
        match self.limit.unwrap_or(LIMIT_USUAL) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(bad(format!("limit must be 1 to {LIMIT_MAX}"))),
        }
    }

    pub(super) fn before<I: FromStr>(&self) -> Result<Option<I>, Refused> {
        match &self.cursor {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| bad("the cursor is not one of ours")),
        }
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

impl<T> PageOut<T> {
    /// Drops rows that turn out not to be asked for; the cursor stays where it was.
    pub(super) fn keep(&mut self, wanted: impl Fn(&T) -> bool) {
        self.data.retain(wanted);
    }
}
