//! Click ids of other trackers, and the clicks they stand for.

use crosstally_core::ids::ClickId;
use crosstally_core::postback::Awaited;
use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, replays};
use crate::{StoreError, WORKSPACE};

const FIND: &str = "SELECT click FROM click_aliases WHERE workspace = ?1 AND alias = ?2";
const INSERT: &str = "INSERT INTO click_aliases (workspace, alias, click, created_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";

impl Sqlite {
    pub(crate) async fn click_of_alias(&self, alias: String) -> Result<Option<ClickId>, StoreError> {
        let work = move |connection: &Connection| {
            let found = connection
                .prepare_cached(FIND)?
                .query_row(params![WORKSPACE, alias], |row| row.get::<_, [u8; 16]>(0))
                .optional()?;
            Ok(found.map(ClickId::from_bytes))
        };
        self.engine.read(work).await
    }

    pub(crate) async fn add_aliases(
        &self,
        aliases: Vec<(String, ClickId)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let weight = aliases.len();
        let work = move |connection: &Connection| {
            let mut insert = connection.prepare_cached(INSERT)?;
            let mut new = 0;
            for (alias, click) in &aliases {
                let added = insert.execute(params![WORKSPACE, alias, click.as_bytes(), now.as_millis()])?;
                if added > 0 {
                    replays::wake(connection, &Awaited::Alias(alias.clone()))?;
                    new += 1;
                }
            }
            Ok(new)
        };
        self.engine.write(weight, work).await
    }
}
