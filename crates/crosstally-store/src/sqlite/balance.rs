//! The balance by the hour, and whether it holds.

use crosstally_core::ids::ReceiptId;
use crosstally_core::time::{HOUR_MS, Timestamp};
use crosstally_core::verdict::Verdict;
use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{BalanceFilter, HourDifference, Period, PeriodCount, ReceiptCount, StoreError, WORKSPACE};

const WITHIN: &str = "SELECT partner, verdict, sum(count) FROM receipt_hours
    WHERE workspace = ?1 AND (?2 IS NULL OR partner = ?2) AND hour >= ?3 AND hour < ?4
    GROUP BY partner, verdict HAVING sum(count) <> 0 ORDER BY partner, verdict";

const PERIODS: &str = "SELECT hour / ?5 * ?5, partner, verdict, sum(count) FROM receipt_hours
    WHERE workspace = ?1 AND (?2 IS NULL OR partner = ?2) AND hour >= ?3 AND hour < ?4
        AND (?6 IS NULL OR (hour / ?5 * ?5, partner) > (?6, ?7))
    GROUP BY 1, 2, 3 HAVING sum(count) <> 0 ORDER BY 1, 2, 3 LIMIT ?8";

const COUNTED: &str = "SELECT coalesce(sum(count), 0) FROM receipt_hours WHERE workspace = ?1 AND hour = ?2";

// Ids begin with the time: only keys are read, of one workspace as of all.
const STORED: &str = "SELECT count(*) FROM receipts WHERE id >= ?1 AND id < ?2";

// Strangers' receipts are grouped as `Receipt::counted_under` has them counted.
const DIFFERENCES: &str = "SELECT partner, verdict, sum(stored), sum(counted) FROM (
        SELECT
            CASE WHEN reason = 'unknown_partner' AND labels LIKE '%\"stranger\"%' THEN '(unknown)' ELSE partner END AS partner,
            verdict, count(*) AS stored, 0 AS counted FROM receipts WHERE id >= ?1 AND id < ?2
        GROUP BY 1, 2
        UNION ALL
        SELECT partner, verdict, 0, sum(count) FROM receipt_hours WHERE workspace = ?3 AND hour = ?4
        GROUP BY partner, verdict
    ) GROUP BY partner, verdict HAVING sum(stored) <> sum(counted) ORDER BY partner, verdict";

impl Sqlite {
    pub(crate) async fn count_receipts_within(
        &self,
        filter: BalanceFilter,
    ) -> Result<Vec<ReceiptCount>, StoreError> {
        let work = move |connection: &Connection| {
            let (from, to) = filter.hours();
            let mut ask = connection.prepare_cached(WITHIN)?;
            let counts = ask.query_map(params![WORKSPACE, filter.partner, from, to], |row| {
                Ok(ReceiptCount {
                    partner: row.get(0)?,
                    verdict: rows::word(row, 1, Verdict::from_word)?,
                    count: rows::number(row, 2)?,
                })
            })?;
            Ok(counts.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn receipt_periods(
        &self,
        filter: BalanceFilter,
        length_ms: i64,
        after: Option<Period>,
        rows: u32,
    ) -> Result<Vec<PeriodCount>, StoreError> {
        let work = move |connection: &Connection| {
            let (from, to) = filter.hours();
            let (start, partner) = after.map(|after| (after.start.as_millis(), after.partner)).unzip();
            let values = params![WORKSPACE, filter.partner, from, to, length_ms, start, partner, rows];
            let mut ask = connection.prepare_cached(PERIODS)?;
            let counts = ask.query_map(values, |row| {
                Ok(PeriodCount {
                    period: Period { start: rows::time(row, 0)?, partner: row.get(1)? },
                    verdict: rows::word(row, 2, Verdict::from_word)?,
                    count: rows::number(row, 3)?,
                })
            })?;
            Ok(counts.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn counted_in_hour(&self, hour: Timestamp) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let values = params![WORKSPACE, hour.as_millis()];
            Ok(connection.prepare_cached(COUNTED)?.query_row(values, |row| rows::number(row, 0))?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn stored_between(&self, from: Timestamp, to: Timestamp) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let (from, to) = (first_id(from), first_id(to));
            let values = params![from.as_bytes(), to.as_bytes()];
            Ok(connection.prepare_cached(STORED)?.query_row(values, |row| rows::number(row, 0))?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn hour_differences(&self, hour: Timestamp) -> Result<Vec<HourDifference>, StoreError> {
        let work = move |connection: &Connection| {
            let (from, to) = (first_id(hour), first_id(hour.plus_millis(HOUR_MS)));
            let values = params![from.as_bytes(), to.as_bytes(), WORKSPACE, hour.as_millis()];
            let mut ask = connection.prepare_cached(DIFFERENCES)?;
            let found = ask.query_map(values, |row| {
                Ok(HourDifference {
                    partner: row.get(0)?,
                    verdict: rows::word(row, 1, Verdict::from_word)?,
                    stored: rows::number(row, 2)?,
                    counted: rows::number(row, 3)?,
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}

/// The first id that a receipt of this time can have.
fn first_id(at: Timestamp) -> ReceiptId {
    ReceiptId::new(at, [0; 10])
}
