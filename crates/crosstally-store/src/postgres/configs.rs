//! The configuration's versions and the installation's values.

use crosstally_core::time::Timestamp;

use super::rows::Text;
use super::{Postgres, rows};
use crate::{Applied, ConfigRecord, StoreError, WORKSPACE};

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM config_versions WHERE workspace = $1";

// Of two that come at the same moment one waits for the other at the key, and then does nothing.
const APPLY: &str = "INSERT INTO config_versions (workspace, version, document, applied_at, author)
    SELECT $1::bigint, $2::bigint + 1, $3::text, $4::bigint, $5::text
    WHERE $2 = (SELECT coalesce(max(version), 0) FROM config_versions WHERE workspace = $1)
    ON CONFLICT DO NOTHING RETURNING version";

const OFFER: &str =
    "INSERT INTO installation_values (workspace, name, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const VALUE: &str = "SELECT value FROM installation_values WHERE workspace = $1 AND name = $2";

impl Postgres {
    pub(crate) async fn config_version(&self) -> Result<i64, StoreError> {
        let found = self.engine.read(VERSION, &[&WORKSPACE]).await?;
        found.first().map_or(Ok(0), |row| rows::get(row, 0))
    }

    pub(crate) async fn current_config(&self) -> Result<Option<ConfigRecord>, StoreError> {
        let ask = format!(
            "SELECT {} FROM config_versions WHERE workspace = $1 ORDER BY version DESC LIMIT 1",
            rows::CONFIG
        );
        self.engine.read(&ask, &[&WORKSPACE]).await?.first().map(rows::config).transpose()
    }

    pub(crate) async fn apply_config(
        &self,
        base: i64,
        document: String,
        now: Timestamp,
        author: String,
    ) -> Result<Applied, StoreError> {
        let (document, author) = (Text(&document), Text(&author));
        let applied =
            self.engine.write(APPLY, &[&WORKSPACE, &base, &document, &now.as_millis(), &author]).await?;
        match applied.first() {
            Some(row) => Ok(Applied::Applied(rows::get(row, 0)?)),
            None => Ok(Applied::Stale { current: self.config_version().await? }),
        }
    }

    pub(crate) async fn installation_value(
        &self,
        name: String,
        candidate: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let name = Text(&name);
        self.engine.write(OFFER, &[&WORKSPACE, &name, &candidate]).await?;
        // Only now can the value of another one who was faster be seen.
        let stored = self.engine.read(VALUE, &[&WORKSPACE, &name]).await?;
        let gone = || StoreError::Corrupt("a value of the installation was removed".into());
        stored.first().ok_or_else(gone).and_then(|row| rows::get(row, 0))
    }
}
