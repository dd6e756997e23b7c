//! How many of a partner's conversions come to be approved.

use crosstally_core::time::Timestamp;
use crosstally_core::value::{Decided, Measured};

use super::rows::Text;
use super::{Postgres, rows};
use crate::{StoreError, WORKSPACE};

const DECIDED: &str = "SELECT campaign, count(*) FILTER (WHERE status = 'approved'), count(*) FROM (
        SELECT campaign, status FROM conversions
        WHERE workspace = $1 AND partner = $2 AND created_at >= $3
            AND (status = 'approved' OR status = 'rejected' OR status = 'reversed')
        ORDER BY created_at DESC LIMIT $4
    ) AS newest GROUP BY campaign ORDER BY campaign";

impl Postgres {
    pub(crate) async fn decided(
        &self,
        partner: String,
        since: Timestamp,
        limit: u32,
    ) -> Result<Measured, StoreError> {
        let (since, limit) = (since.as_millis(), i64::from(limit));
        let found = self.engine.read(DECIDED, &[&WORKSPACE, &Text(&partner), &since, &limit]).await?;
        let read = |row| {
            let of = Decided { approved: rows::count(row, 1)?, decided: rows::count(row, 2)? };
            Ok((rows::get(row, 0)?, of))
        };
        Ok(Measured { campaigns: found.iter().map(read).collect::<Result<_, StoreError>>()? })
    }
}
