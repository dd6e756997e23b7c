//! The balance by the hour, and whether it holds.

use crosstally_core::ids::ReceiptId;
use crosstally_core::time::{HOUR_MS, Timestamp};
use crosstally_core::verdict::Verdict;

use super::rows::{Id, Text};
use super::{Postgres, rows};
use crate::{BalanceFilter, HourDifference, Period, PeriodCount, ReceiptCount, StoreError, WORKSPACE};

const WITHIN: &str = "SELECT partner, verdict, sum(count)::bigint FROM receipt_hours
    WHERE workspace = $1 AND ($2::text IS NULL OR partner = $2) AND hour >= $3 AND hour < $4
    GROUP BY partner, verdict HAVING sum(count) <> 0 ORDER BY partner, verdict";

const PERIODS: &str =
    "SELECT hour / $5::bigint * $5 AS start, partner, verdict, sum(count)::bigint FROM receipt_hours
    WHERE workspace = $1 AND ($2::text IS NULL OR partner = $2) AND hour >= $3 AND hour < $4
        AND ($6::bigint IS NULL OR (hour / $5 * $5, partner) > ($6, $7::text))
    GROUP BY 1, 2, 3 HAVING sum(count) <> 0 ORDER BY 1, 2, 3 LIMIT $8";

const COUNTED: &str =
    "SELECT coalesce(sum(count), 0)::bigint FROM receipt_hours WHERE workspace = $1 AND hour = $2";

const STORED: &str = "SELECT count(*) FROM receipts WHERE id >= $2 AND id < $3 AND (workspace = $1) IS TRUE";

// Strangers' receipts are grouped as `Receipt::counted_under` has them counted.
const DIFFERENCES: &str = "SELECT partner, verdict, sum(stored)::bigint, sum(counted)::bigint FROM (
        SELECT
            CASE WHEN reason = 'unknown_partner' AND labels LIKE '%\"stranger\"%' THEN '(unknown)' ELSE partner END AS partner,
            verdict, count(*) AS stored, 0 AS counted FROM receipts
        WHERE id >= $2 AND id < $3 AND (workspace = $1) IS TRUE GROUP BY 1, 2
        UNION ALL
        SELECT partner, verdict, 0, sum(count) FROM receipt_hours WHERE workspace = $1 AND hour = $4
        GROUP BY partner, verdict
    ) AS both_counts GROUP BY partner, verdict HAVING sum(stored) <> sum(counted) ORDER BY partner, verdict";

impl Postgres {
    pub(crate) async fn count_receipts_within(
        &self,
        filter: BalanceFilter,
    ) -> Result<Vec<ReceiptCount>, StoreError> {
        let (from, to) = filter.hours();
        let partner = filter.partner.as_deref().map(Text);
        let counts = self.engine.read(WITHIN, &[&WORKSPACE, &partner, &from, &to]).await?;
        let read = |row| {
            Ok(ReceiptCount {
                partner: rows::get(row, 0)?,
                verdict: rows::word(row, 1, Verdict::from_word)?,
                count: rows::count(row, 2)?,
            })
        };
        counts.iter().map(read).collect()
    }

    pub(crate) async fn receipt_periods(
        &self,
        filter: BalanceFilter,
        length_ms: i64,
        after: Option<Period>,
        limit: u32,
    ) -> Result<Vec<PeriodCount>, StoreError> {
        let (from, to) = filter.hours();
        let partner = filter.partner.as_deref().map(Text);
        let start = after.as_ref().map(|after| after.start.as_millis());
        let past = after.as_ref().map(|after| Text(&after.partner));
        let limit = i64::from(limit);
        let counts = self
            .engine
            .read(PERIODS, &[&WORKSPACE, &partner, &from, &to, &length_ms, &start, &past, &limit])
            .await?;
        let read = |row| {
            Ok(PeriodCount {
                period: Period { start: rows::time(row, 0)?, partner: rows::get(row, 1)? },
                verdict: rows::word(row, 2, Verdict::from_word)?,
                count: rows::count(row, 3)?,
            })
        };
        counts.iter().map(read).collect()
    }

    pub(crate) async fn counted_in_hour(&self, hour: Timestamp) -> Result<u64, StoreError> {
        let found = self.engine.read(COUNTED, &[&WORKSPACE, &hour.as_millis()]).await?;
        found.first().map_or(Ok(0), |row| rows::count(row, 0))
    }

    pub(crate) async fn stored_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
        let found = self.engine.read(STORED, &[&WORKSPACE, &first_id(from), &first_id(to)]).await?;
        found.first().map_or(Ok(0), |row| rows::count(row, 0))
    }

    pub(crate) async fn hour_differences(&self, hour: Timestamp) -> Result<Vec<HourDifference>, StoreError> {
        let (from, to) = (first_id(hour), first_id(hour.plus_millis(HOUR_MS)));
        let found = self.engine.read(DIFFERENCES, &[&WORKSPACE, &from, &to, &hour.as_millis()]).await?;
        let read = |row| {
            Ok(HourDifference {
                partner: rows::get(row, 0)?,
                verdict: rows::word(row, 1, Verdict::from_word)?,
                stored: rows::count(row, 2)?,
                counted: rows::count(row, 3)?,
            })
        };
        found.iter().map(read).collect()
    }
}

/// The first id that a receipt of this time can have.
fn first_id(at: Timestamp) -> Id {
    Id::from(ReceiptId::new(at, [0; 10]))
}
