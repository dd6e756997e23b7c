//! Steps of clicks.

use crosstally_core::ids::ClickId;
use crosstally_core::visit::Step;

use super::rows::{Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

const APPEND: &str = "INSERT INTO click_steps (workspace, click, at, offer, instead_of)
    SELECT $1::bigint, $2::uuid, $3::bigint, $4::text, $5::text
    WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE workspace = $1 AND key = $6)
    ON CONFLICT DO NOTHING";
const LIST: &str = "SELECT at, offer, instead_of FROM click_steps WHERE workspace = $1 AND click = $2 ORDER BY at, offer LIMIT $3";

impl Postgres {
    pub(crate) async fn append_step(&self, step: Step, tombstone: [u8; 16]) -> Result<(), StoreError> {
        let Step { click, at, offer, instead_of } = &step;
        let (click, at) = (Id::from(*click), at.as_millis());
        let (offer, instead_of) = (Text(offer), Text(instead_of));
        let values: [&Value<'_>; 6] = [&WORKSPACE, &click, &at, &offer, &instead_of, &Id(tombstone)];
        self.engine.write(APPEND, &values).await.map(drop)
    }

    pub(crate) async fn steps(&self, click: ClickId, limit: u32) -> Result<Vec<Step>, StoreError> {
        let found = self.engine.read(LIST, &[&WORKSPACE, &Id::from(click), &i64::from(limit)]).await?;
        let read = |row| {
            let (at, offer) = (rows::time(row, 0)?, rows::get(row, 1)?);
            Ok(Step { click, at, offer, instead_of: rows::get(row, 2)? })
        };
        found.iter().map(read).collect()
    }
}
