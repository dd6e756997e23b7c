//! The configuration's versions and the installation's values.

use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, rows};
use crate::{Applied, ConfigRecord, StoreError, WORKSPACE};

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM config_versions WHERE workspace = ?1";

impl Sqlite {
    pub(crate) async fn config_version(&self) -> Result<i64, StoreError> {
        self.engine.read(version).await
    }

    pub(crate) async fn current_config(&self) -> Result<Option<ConfigRecord>, StoreError> {
        let work = |connection: &Connection| {
            let ask = format!(
                "SELECT {} FROM config_versions WHERE workspace = ?1 ORDER BY version DESC LIMIT 1",
                rows::CONFIG
            );
            Ok(connection.prepare_cached(&ask)?.query_row([WORKSPACE], rows::config).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn apply_config(
        &self,
        base: i64,
        document: String,
        now: Timestamp,
        author: String,
    ) -> Result<Applied, StoreError> {
        let work = move |connection: &Connection| {
            let current = version(connection)?;
            if current != base {
                return Ok(Applied::Stale { current });
            }
            let insert = "INSERT INTO config_versions (workspace, version, document, applied_at, author)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            let next = current + 1;
            let values = params![WORKSPACE, next, document, now.as_millis(), author];
            connection.prepare_cached(insert)?.execute(values)?;
            Ok(Applied::Applied(next))
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn installation_value(
        &self,
        name: String,
        candidate: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let work = move |connection: &Connection| {
            let offer = "INSERT INTO installation_values (workspace, name, value) VALUES (?1, ?2, ?3)
                ON CONFLICT DO NOTHING";
            connection.prepare_cached(offer)?.execute(params![WORKSPACE, name, candidate])?;
            let ask = "SELECT value FROM installation_values WHERE workspace = ?1 AND name = ?2";
            Ok(connection.prepare_cached(ask)?.query_row(params![WORKSPACE, name], |row| row.get(0))?)
        };
        self.engine.write(1, work).await
    }
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.prepare_cached(VERSION)?.query_row([WORKSPACE], |row| row.get(0))?)
}
