//! A numbered list that drops its oldest rows when it is full.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

/// What a row takes in memory, roughly.
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

/// Rows numbered from 1 in the order of arrival. Numbers are never used twice, so they serve as cursors.
pub(crate) struct Ring<T> {
    rows: VecDeque<Arc<T>>,
    last_number: u64,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
}

impl<T: Weight + Clone> Ring<T> {
    pub(crate) fn new(rows_max: usize, bytes_max: usize) -> Self {
        Self { rows: VecDeque::new(), last_number: 0, bytes: 0, rows_max, bytes_max }
    }

    /// Adds a row and drops the oldest ones as needed.
    pub(crate) fn push(&mut self, row: T) -> u64 {
        self.bytes += row.bytes();
        self.rows.push_back(Arc::new(row));
        self.last_number += 1;
        while self.rows.len() > self.rows_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        self.last_number
    }

    /// The row with this number, to change, if it is still kept. A listing under way keeps the old state.
    /// The new state must not be heavier by more than a row's own text.
    pub(crate) fn change(&mut self, number: u64, change: impl FnOnce(&mut T)) {
        let Some(index) = self.index_of(number) else { return };
        let row = Arc::make_mut(&mut self.rows[index]);
        self.bytes -= row.bytes();
        change(row);
        self.bytes += row.bytes();
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let first = self.last_number - self.rows.len() as u64 + 1;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        (index < self.rows.len()).then_some(index)
    }

    /// Up to `limit` rows after number `after` for which `keep` holds, and the cursor of the next page if there is one.
    pub(crate) fn page(
        &self,
        after: u64,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> (Vec<(u64, Arc<T>)>, Option<u64>) {
        let first = self.last_number - self.rows.len() as u64 + 1;
        let skip = usize::try_from((after + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        let mut page = Vec::new();
        for (number, row) in (first..).zip(&self.rows).skip(skip) {
            if !keep(row) {
                continue;
            }
            if page.len() == limit {
                let next = page.last().map(|(number, _)| *number);
                return (page, next);
            }
            page.push((number, Arc::clone(row)));
        }
        (page, None)
    }

    /// How much is kept and how much was dropped.
    pub(crate) fn summary(&self) -> Value {
        json!({
            "rows": self.rows.len(),
            "bytes": self.bytes,
            "dropped": self.last_number - self.rows.len() as u64,
        })
    }
}
