//! How many of a partner's conversions come to be approved.

use crosstally_core::time::Timestamp;
use crosstally_core::value::{Decided, Measured};
use rusqlite::{Connection, params};

use super::{Sqlite, rows};
use crate::{StoreError, WORKSPACE};

const DECIDED: &str = "SELECT campaign, sum(status = 'approved'), count(*) FROM (
        SELECT campaign, status FROM conversions INDEXED BY conversions_decided
        WHERE workspace = ?1 AND partner = ?2 AND created_at >= ?3
            AND (status = 'approved' OR status = 'rejected' OR status = 'reversed')
        ORDER BY created_at DESC LIMIT ?4
    ) GROUP BY campaign ORDER BY campaign";

impl Sqlite {
    pub(crate) async fn decided(
        &self,
        partner: String,
        since: Timestamp,
        limit: u32,
    ) -> Result<Measured, StoreError> {
        let work = move |connection: &Connection| {
            let mut ask = connection.prepare_cached(DECIDED)?;
            let campaigns = ask.query_map(params![WORKSPACE, partner, since.as_millis(), limit], |row| {
                let of = Decided { approved: rows::number(row, 1)?, decided: rows::number(row, 2)? };
                Ok((row.get(0)?, of))
            })?;
            Ok(Measured { campaigns: campaigns.collect::<rusqlite::Result<_>>()? })
        };
        self.engine.read(work).await
    }
}
