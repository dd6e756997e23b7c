//! Keys under which a request counts once.

use crosstally_core::time::Timestamp;

use super::rows::Text;
use super::{Postgres, rows};
use crate::{Claim, StoreError, WORKSPACE};

const FIND: &str =
    "SELECT digest, status, answer, created_at FROM idempotency_keys WHERE workspace = $1 AND key = $2";
// Of two that come at once one is told that it has the key; a key that was left behind changes hands by its old time.
const TAKE: &str = "INSERT INTO idempotency_keys AS k (workspace, key, digest, status, answer, created_at)
    VALUES ($1, $2, $3, NULL, '', $4)
    ON CONFLICT (key, workspace) DO UPDATE SET created_at = excluded.created_at
    WHERE k.status IS NULL AND k.digest = excluded.digest AND k.created_at < $5
    RETURNING 1";
const ANSWER: &str = "UPDATE idempotency_keys SET status = $3, answer = $4 WHERE workspace = $1 AND key = $2";
const FREE: &str = "DELETE FROM idempotency_keys WHERE workspace = $1 AND key = $2 AND status IS NULL";
const PURGE: &str = "WITH gone AS (
        DELETE FROM idempotency_keys WHERE workspace = $1 AND key IN
            (SELECT key FROM idempotency_keys WHERE workspace = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)
        RETURNING 1
    )
    SELECT count(*) FROM gone";

impl Postgres {
    pub(crate) async fn claim_key(
        &self,
        key: String,
        digest: [u8; 32],
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<Claim, StoreError> {
        let (name, digest) = (Text(&key), digest.as_slice());
        let taken = self
            .engine
            .write(TAKE, &[&WORKSPACE, &name, &digest, &now.as_millis(), &stale_before.as_millis()])
            .await?;
        if !taken.is_empty() {
            return Ok(Claim::Mine);
        }
        let found = self.engine.read(FIND, &[&WORKSPACE, &name]).await?;
        // It was freed meanwhile: the sender tries again.
        let Some(row) = found.first() else { return Ok(Claim::Running) };
        let known: Vec<u8> = rows::get(row, 0)?;
        let status: Option<i64> = rows::get(row, 1)?;
        Ok(match status.and_then(|status| u16::try_from(status).ok()) {
            _ if known != digest => Claim::Other,
            Some(status) => Claim::Answered { status, answer: rows::get(row, 2)? },
            None => Claim::Running,
        })
    }

    pub(crate) async fn answer_key(
        &self,
        key: String,
        answer: Option<(u16, String)>,
    ) -> Result<(), StoreError> {
        match answer {
            Some((status, text)) => {
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [&WORKSPACE, &Text(&key), &i64::from(status), &Text(&text)];
                self.engine.write(ANSWER, &values).await?;
            }
            None => {
                self.engine.write(FREE, &[&WORKSPACE, &Text(&key)]).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn purge_keys(&self, before: Timestamp, at_once: u32) -> Result<u64, StoreError> {
        let gone = self.engine.write(PURGE, &[&WORKSPACE, &before.as_millis(), &i64::from(at_once)]).await?;
        gone.first().map_or(Ok(0), |row| rows::count(row, 0))
    }
}
