//! Keys under which a request counts once.

use crosstally_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::Sqlite;
use crate::{Claim, StoreError, WORKSPACE};

const FIND: &str =
    "SELECT digest, status, answer, created_at FROM idempotency_keys WHERE workspace = ?1 AND key = ?2";
const TAKE: &str = "INSERT INTO idempotency_keys (workspace, key, digest, status, answer, created_at)
    VALUES (?1, ?2, ?3, NULL, '', ?4)
    ON CONFLICT (workspace, key) DO UPDATE SET created_at = excluded.created_at";
const ANSWER: &str = "UPDATE idempotency_keys SET status = ?3, answer = ?4 WHERE workspace = ?1 AND key = ?2";
const FREE: &str = "DELETE FROM idempotency_keys WHERE workspace = ?1 AND key = ?2 AND status IS NULL";
const PURGE: &str = "DELETE FROM idempotency_keys WHERE (workspace, key) IN
    (SELECT workspace, key FROM idempotency_keys WHERE workspace = ?1 AND created_at < ?2 ORDER BY created_at LIMIT ?3)";

impl Sqlite {
    pub(crate) async fn claim_key(
        &self,
        key: String,
        digest: [u8; 32],
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<Claim, StoreError> {
        let work = move |connection: &Connection| {
            let found = connection
                .prepare_cached(FIND)?
                .query_row(params![WORKSPACE, key], |row| {
                    let digest: Vec<u8> = row.get(0)?;
                    Ok((
                        digest,
                        row.get::<_, Option<u16>>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, i64>(3)?,
                    ))
                })
                .optional()?;
            match found {
                Some((known, ..)) if known != digest => return Ok(Claim::Other),
                Some((_, Some(status), answer, _)) => return Ok(Claim::Answered { status, answer }),
                Some((_, None, _, at)) if at >= stale_before.as_millis() => return Ok(Claim::Running),
                Some(_) | None => {}
            }
            let taken = params![WORKSPACE, key, digest.as_slice(), now.as_millis()];
            connection.prepare_cached(TAKE)?.execute(taken)?;
            Ok(Claim::Mine)
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn answer_key(
        &self,
        key: String,
        answer: Option<(u16, String)>,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            match &answer {
                Some((status, text)) => {
                    connection.prepare_cached(ANSWER)?.execute(params![WORKSPACE, key, status, text])?
                }
                None => connection.prepare_cached(FREE)?.execute(params![WORKSPACE, key])?,
            };
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn purge_keys(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let work = move |connection: &Connection| {
            let gone =
                connection.prepare_cached(PURGE)?.execute(params![WORKSPACE, before.as_millis(), at_once])?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        };
        self.engine.write(1, work).await
    }
}
