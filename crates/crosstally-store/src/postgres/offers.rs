//! How many visitors offers had.

use std::collections::HashMap;

use crosstally_core::offer::Taken;

use super::rows::{Columns, Text};
use super::{Postgres, rows};
use crate::{StoreError, Visitors, WORKSPACE};

const SET: &str = "WITH forgotten AS (
        DELETE FROM offer_visitors WHERE workspace = $1 AND day > 0 AND day < $6
    )
    INSERT INTO offer_visitors (workspace, offer, day, visitors, node)
    SELECT $1::bigint, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[])
    ON CONFLICT (offer, day, node, workspace) DO UPDATE SET visitors = excluded.visitors";
const SUMS: &str = "SELECT offer, coalesce(sum(visitors) FILTER (WHERE day = $2), 0)::bigint,
        coalesce(sum(visitors) FILTER (WHERE day = 0), 0)::bigint
    FROM offer_visitors WHERE workspace = $1 GROUP BY offer";

impl Postgres {
    pub(crate) async fn set_visitors(
        &self,
        node: String,
        counts: Vec<Visitors>,
        forget_before: i64,
    ) -> Result<(), StoreError> {
        let columns = Columns::of(&counts)
            .with(|count| Text(&count.offer))
            .with(|count| count.day)
            .with(|count| i64::try_from(count.visitors).unwrap_or(i64::MAX))
            .with(|_| Text(&node));
        let mut values = columns.values();
        values.push(&forget_before);
        self.engine.write(SET, &values).await.map(drop)
    }

    pub(crate) async fn visitors(&self, day: i64) -> Result<HashMap<String, Taken>, StoreError> {
        let found = self.engine.read(SUMS, &[&WORKSPACE, &day]).await?;
        let read = |row| {
            let taken = Taken { today: rows::count(row, 1)?, total: rows::count(row, 2)? };
            Ok((rows::get(row, 0)?, taken))
        };
        found.iter().map(read).collect()
    }
}
