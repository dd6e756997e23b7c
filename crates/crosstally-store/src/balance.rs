//! The balance by the hour, and whether it holds: receipts are counted where they are, and where they were added up.

use crosstally_core::time::Timestamp;
use crosstally_core::verdict::Verdict;

use crate::{ReceiptCount, Store, StoreError, on};

/// Which receipts are counted. Counts are kept by the hour: both times are taken as starts of hours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BalanceFilter {
    /// Of this partner.
    pub partner: Option<String>,
    /// Received in this hour or later.
    pub from: Option<Timestamp>,
    /// Received before this hour.
    pub to: Option<Timestamp>,
}

impl BalanceFilter {
    /// The first and the last hour, the latter excluded.
    pub(crate) fn hours(&self) -> (i64, i64) {
        let millis = |at: Timestamp| at.as_millis();
        (self.from.map_or(i64::MIN, millis), self.to.map_or(i64::MAX, millis))
    }
}

/// One period, or where the page before ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// When it starts.
    pub start: Timestamp,
    /// The partner's slug.
    pub partner: String,
}

/// How many receipts of a partner have a verdict, of those received in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodCount {
    /// The period.
    pub period: Period,
    /// The verdict.
    pub verdict: Verdict,
    /// How many.
    pub count: u64,
}

/// Where the receipts of an hour are not as many as were counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourDifference {
    /// The partner's slug.
    pub partner: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How many receipts there are.
    pub stored: u64,
    /// How many were counted when they came or were read again.
    pub counted: u64,
}

impl Store {
    /// How many receipts of some hours each partner has under each verdict.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn count_receipts_within(
        &self,
        filter: BalanceFilter,
    ) -> Result<Vec<ReceiptCount>, StoreError> {
        on!(self, count_receipts_within(filter))
    }

    /// The same period by period, each of `length_ms`, by time and partner; a page of at most so many periods. `after` is
    /// the last one of the page before.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn receipt_periods(
        &self,
        filter: BalanceFilter,
        length_ms: i64,
        after: Option<Period>,
        limit: u32,
    ) -> Result<Vec<PeriodCount>, StoreError> {
        let rows = limit.saturating_mul(u32::try_from(Verdict::ALL.len()).unwrap_or(u32::MAX));
        let mut counts = on!(self, receipt_periods(filter, length_ms, after, rows))?;
        // A period has a row for each verdict at most, so that many rows hold as many whole periods.
        let mut periods = 0;
        let mut last: Option<Period> = None;
        counts.retain(|count| {
            if last.as_ref() != Some(&count.period) {
                periods += 1;
                last = Some(count.period.clone());
            }
            periods <= limit
        });
        Ok(counts)
    }

    /// How many receipts were counted in the hour that starts then.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn counted_in_hour(&self, hour: Timestamp) -> Result<u64, StoreError> {
        on!(self, counted_in_hour(hour))
    }

    /// How many receipts there are of this time. Costs a look at each one's key.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn stored_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
        on!(self, stored_between(from, to))
    }

    /// Where the receipts of the hour that starts then are not as many as were counted. Costs a look at each receipt.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn hour_differences(&self, hour: Timestamp) -> Result<Vec<HourDifference>, StoreError> {
        on!(self, hour_differences(hour))
    }
}
