//! Steps of clicks.

use crosstally_core::ids::ClickId;
use crosstally_core::visit::Step;
use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{StoreError, WORKSPACE};

const APPEND: &str = "INSERT INTO click_steps (workspace, click, at, offer, instead_of)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE workspace = ?1 AND key = ?6)
    ON CONFLICT DO NOTHING";
const LIST: &str = "SELECT at, offer, instead_of FROM click_steps WHERE workspace = ?1 AND click = ?2 ORDER BY at, offer LIMIT ?3";

impl Sqlite {
    pub(crate) async fn append_step(&self, step: Step, tombstone: [u8; 16]) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            let Step { click, at, offer, instead_of } = &step;
            let values = params![WORKSPACE, click.as_bytes(), at.as_millis(), offer, instead_of, tombstone];
            connection.prepare_cached(APPEND)?.execute(values)?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn steps(&self, click: ClickId, limit: u32) -> Result<Vec<Step>, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(LIST)?;
            let steps = ask.query_map(params![WORKSPACE, click.as_bytes(), limit], |row| {
                Ok(Step { click, at: rows::time(row, 0)?, offer: row.get(1)?, instead_of: row.get(2)? })
            })?;
            Ok(steps.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}
