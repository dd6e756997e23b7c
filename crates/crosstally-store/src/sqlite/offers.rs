//! How many visitors offers had.

use std::collections::HashMap;

use crosstally_core::offer::Taken;
use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{StoreError, Visitors, WORKSPACE};

const SET: &str =
    "INSERT INTO offer_visitors (workspace, offer, day, node, visitors) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (workspace, offer, day, node) DO UPDATE SET visitors = excluded.visitors";
const FORGET: &str = "DELETE FROM offer_visitors WHERE workspace = ?1 AND day > 0 AND day < ?2";
const SUMS: &str = "SELECT offer, sum(CASE WHEN day = ?2 THEN visitors ELSE 0 END),
        sum(CASE WHEN day = 0 THEN visitors ELSE 0 END)
    FROM offer_visitors WHERE workspace = ?1 GROUP BY offer";

impl Sqlite {
    pub(crate) async fn set_visitors(
        &self,
        node: String,
        counts: Vec<Visitors>,
        forget_before: i64,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let mut set = connection.prepare_cached(SET)?;
            for Visitors { offer, day, visitors } in &counts {
                let visitors = i64::try_from(*visitors).unwrap_or(i64::MAX);
                set.execute(params![WORKSPACE, offer, day, node, visitors])?;
            }
            connection.prepare_cached(FORGET)?.execute(params![WORKSPACE, forget_before])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn visitors(&self, day: i64) -> Result<HashMap<String, Taken>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(SUMS)?;
            let sums = ask.query_map(params![WORKSPACE, day], |row| {
                Ok((row.get(0)?, Taken { today: rows::number(row, 1)?, total: rows::number(row, 2)? }))
            })?;
            Ok(sums.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}
