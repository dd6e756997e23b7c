//! How many of the clicks that were sent on came to which hop.

use crosstally_core::ids::ClickId;
use crosstally_core::time::{DAY_MS, Timestamp};
use tokio_postgres::Row;

use super::rows::Id;
use super::transact::Value;
use super::{Postgres, rows};
use crate::losses::{clicks_behind, right_before};
use crate::{HopCount, HopCounts, StoreError, WORKSPACE};

/// The last of so many clicks.
const END: &str = "SELECT id FROM clicks WHERE (workspace = $1) IS TRUE AND id > $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4";
const COUNT: &str = "SELECT campaign, day, lander, led_to, count(*) FILTER (WHERE direct),
        count(*) FILTER (WHERE labelled), count(*) FILTER (WHERE counts), count(*) FILTER (WHERE counts AND viewed),
        count(*) FILTER (WHERE counts AND step IS NOT NULL), count(*) FILTER (WHERE counts AND acted),
        count(*) FILTER (WHERE counts AND converted)
    FROM (SELECT *, coalesce(step, offer, '') AS led_to FROM (
        SELECT c.campaign, c.at / 86400000 AS day, coalesce(c.way::json ->> 'lander', '') AS lander,
            c.way::json ->> 'offer' AS offer, direct, labelled, NOT direct AND NOT labelled AS counts,
            (SELECT s.offer FROM click_steps AS s WHERE s.click = c.id AND (s.workspace = $1) IS TRUE
                ORDER BY s.at DESC LIMIT 1) AS step,
            EXISTS (SELECT 1 FROM browser_events AS b WHERE b.click = c.id AND (b.workspace = $1) IS TRUE
                AND lower(b.name) = 'pageview') AS viewed,
            EXISTS (SELECT 1 FROM browser_events AS b WHERE b.click = c.id AND (b.workspace = $1) IS TRUE
                AND lower(b.name) NOT IN ('pageview', 'viewcontent', 'consent')) AS acted,
            EXISTS (SELECT 1 FROM conversions AS v WHERE v.click = c.id AND (v.workspace = $1) IS TRUE) AS converted
        FROM clicks AS c, LATERAL (
            SELECT coalesce((c.way::json ->> 'direct')::boolean, false) AS direct, c.labels IS NOT NULL AS labelled
        ) AS known
        WHERE c.id > $2 AND c.id < $3 AND (c.workspace = $1) IS TRUE AND NOT c.test
    ) AS clicked) AS led
    GROUP BY campaign, day, lander, led_to
    ORDER BY campaign COLLATE \"C\", day, lander COLLATE \"C\", led_to COLLATE \"C\"";

impl Postgres {
    pub(crate) async fn hop_counts(
        &self,
        span: (Timestamp, Timestamp),
        after: Option<ClickId>,
        limit: u32,
    ) -> Result<HopCounts, StoreError> {
        let (after, end) = clicks_behind(span, after);
        let (after, end, limit) = (Id::from(after), Id::from(end), i64::from(limit));
        let found = self.engine.read(END, &[&WORKSPACE, &after, &end, &limit]).await?;
        let next: Option<Id> = found.first().map(|row| rows::get(row, 0)).transpose()?;
        let values: [&Value<'_>; 3] = [&WORKSPACE, &after, &next.unwrap_or(end)];
        let rows: Result<Vec<HopCount>, StoreError> =
            self.engine.read(COUNT, &values).await?.iter().map(count).collect();
        Ok(HopCounts { rows: rows?, next: next.map(|id| right_before(id.0)) })
    }
}

fn count(row: &Row) -> Result<HopCount, StoreError> {
    Ok(HopCount {
        campaign: rows::get(row, 0)?,
        day: Timestamp::from_millis(rows::get::<i64>(row, 1)?.saturating_mul(DAY_MS)),
        lander: rows::get(row, 2)?,
        offer: rows::get(row, 3)?,
        direct: rows::count(row, 4)?,
        labelled: rows::count(row, 5)?,
        served: rows::count(row, 6)?,
        viewed: rows::count(row, 7)?,
        stepped: rows::count(row, 8)?,
        acted: rows::count(row, 9)?,
        converted: rows::count(row, 10)?,
    })
}
