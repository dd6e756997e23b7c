//! Click ids of other trackers, and the clicks they stand for.

use crosstally_core::ids::ClickId;
use crosstally_core::time::Timestamp;

use super::rows::{Id, Text};
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

const FIND: &str = "SELECT click FROM click_aliases WHERE workspace = $1 AND alias = $2";
const ADD: &str = "WITH new AS (
        INSERT INTO click_aliases (workspace, alias, click, created_at)
        SELECT $1, n.alias, n.click, $4 FROM unnest($2::text[], $3::uuid[]) AS n (alias, click) ORDER BY n.alias
        ON CONFLICT DO NOTHING
        RETURNING alias
    ), woken AS (
        UPDATE receipt_waits AS w SET next_at = 0 FROM new
        WHERE w.workspace = $1 AND w.awaited = 'alias:' || new.alias
    )
    SELECT count(*) FROM new";

impl Postgres {
    pub(crate) async fn click_of_alias(&self, alias: String) -> Result<Option<ClickId>, StoreError> {
        let found = self.engine.read(FIND, &[&WORKSPACE, &Text(&alias)]).await?;
        found.first().map(|row| rows::id(row, 0).map(ClickId::from_bytes)).transpose()
    }

    pub(crate) async fn add_aliases(
        &self,
        aliases: Vec<(String, ClickId)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let names: Vec<Text<'_>> = aliases.iter().map(|(alias, _)| Text(alias)).collect();
        let clicks: Vec<Id> = aliases.iter().map(|(_, click)| Id::from(*click)).collect();
        let counted = self.engine.write(ADD, &[&WORKSPACE, &names, &clicks, &now.as_millis()]).await?;
        let new = counted.first().map_or(Ok(0), |row| rows::get::<i64>(row, 0))?;
        Ok(u64::try_from(new).unwrap_or_default())
    }
}
