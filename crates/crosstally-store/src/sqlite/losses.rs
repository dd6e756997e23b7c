//! How many of the clicks that were sent on came to which hop.

use crosstally_core::ids::ClickId;
use crosstally_core::time::{DAY_MS, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, rows};
use crate::losses::{clicks_behind, right_before};
use crate::{HopCount, HopCounts, StoreError, WORKSPACE};

/// The last of so many clicks.
pub(super) const END: &str =
    "SELECT id FROM clicks WHERE workspace = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT 1 OFFSET ?4";
pub(super) const COUNT: &str = "SELECT campaign, day, lander, offer, sum(direct), sum(labelled), sum(counts), sum(counts AND viewed),
        sum(counts AND stepped), sum(counts AND acted), sum(counts AND converted)
    FROM (
        SELECT campaign, day, lander, direct, labelled, viewed, acted, converted, NOT direct AND NOT labelled AS counts,
            step IS NOT NULL AS stepped, coalesce(step, offer, '') AS offer
        FROM (
            SELECT c.campaign AS campaign, c.at / 86400000 AS day,
                coalesce(json_extract(c.way, '$.lander'), '') AS lander, json_extract(c.way, '$.offer') AS offer,
                coalesce(json_extract(c.way, '$.direct'), 0) AS direct, c.labels IS NOT NULL AS labelled,
                (SELECT s.offer FROM click_steps AS s WHERE s.workspace = ?1 AND s.click = c.id ORDER BY s.at DESC LIMIT 1) AS step,
                EXISTS (SELECT 1 FROM browser_events AS b WHERE b.click = c.id AND lower(b.name) = 'pageview') AS viewed,
                EXISTS (
                    SELECT 1 FROM browser_events AS b
                    WHERE b.click = c.id AND lower(b.name) NOT IN ('pageview', 'viewcontent', 'consent')
                ) AS acted,
                EXISTS (
                    SELECT 1 FROM click_links AS l JOIN conversions AS v ON v.id = l.conversion
                    WHERE l.click = c.id AND v.click = c.id
                ) AS converted
            FROM clicks AS c WHERE c.id > ?2 AND c.id < ?3 AND c.workspace = ?1 AND c.test = 0
        )
    )
    GROUP BY campaign, day, lander, offer ORDER BY campaign, day, lander, offer";

impl Sqlite {
    pub(crate) async fn hop_counts(
        &self,
        span: (Timestamp, Timestamp),
        after: Option<ClickId>,
        limit: u32,
    ) -> Result<HopCounts, StoreError> {
        let work = move |connection: &Connection| {
            let (after, end) = clicks_behind(span, after);
            let values = params![WORKSPACE, after.as_bytes(), end.as_bytes(), limit];
            let next: Option<[u8; 16]> =
                connection.prepare_cached(END)?.query_row(values, |row| row.get(0)).optional()?;
            let stop = next.map_or(end, ClickId::from_bytes);
            let mut ask = connection.prepare_cached(COUNT)?;
            let found = ask.query_map(params![WORKSPACE, after.as_bytes(), stop.as_bytes()], |row| {
                Ok(HopCount {
                    campaign: row.get(0)?,
                    day: Timestamp::from_millis(row.get::<_, i64>(1)?.saturating_mul(DAY_MS)),
                    lander: row.get(2)?,
                    offer: row.get(3)?,
                    direct: rows::number(row, 4)?,
                    labelled: rows::number(row, 5)?,
                    served: rows::number(row, 6)?,
                    viewed: rows::number(row, 7)?,
                    stepped: rows::number(row, 8)?,
                    acted: rows::number(row, 9)?,
                    converted: rows::number(row, 10)?,
                })
            })?;
            let rows = found.collect::<rusqlite::Result<_>>()?;
            Ok(HopCounts { rows, next: next.map(right_before) })
        };
        self.engine.read(work).await
    }
}

#[cfg(test)]
mod tests {
    use crosstally_core::browser::{LOOKS, PAGE_VIEW};

    use super::*;

    #[test]
    fn looks_at_a_page_are_those_that_the_browsers_events_know() {
        let list = LOOKS.map(|name| format!("'{}'", name.to_ascii_lowercase())).join(", ");
        assert!(COUNT.contains(&format!("NOT IN ({list})")), "{list}");
        assert!(COUNT.contains(&format!("= '{}'", PAGE_VIEW.to_ascii_lowercase())));
    }
}
