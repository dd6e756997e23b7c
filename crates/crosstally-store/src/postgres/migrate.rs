//! The schema, step by step. Steps are only ever added; each is one transaction, under a lock that lets one node at a
//! time take it while the others wait.

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::fault::{Fault, describe};
use super::transact::Database;
use crate::OpenError;

#[cfg(test)]
mod tests;

/// All steps in order: the first is number 1.
const STEPS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_spine.sql"),
    include_str!("../../migrations/postgres/0002_inbound.sql"),
    include_str!("../../migrations/postgres/0003_fx.sql"),
    include_str!("../../migrations/postgres/0004_fraud.sql"),
    include_str!("../../migrations/postgres/0005_jobs.sql"),
    include_str!("../../migrations/postgres/0006_approvals.sql"),
    include_str!("../../migrations/postgres/0007_reversals.sql"),
    include_str!("../../migrations/postgres/0008_browser.sql"),
    include_str!("../../migrations/postgres/0009_links.sql"),
    include_str!("../../migrations/postgres/0010_tools.sql"),
    include_str!("../../migrations/postgres/0011_replays.sql"),
    include_str!("../../migrations/postgres/0012_privacy.sql"),
    include_str!("../../migrations/postgres/0013_payloads.sql"),
    include_str!("../../migrations/postgres/0014_europe.sql"),
    include_str!("../../migrations/postgres/0015_lookbacks.sql"),
    include_str!("../../migrations/postgres/0016_calls_of_one.sql"),
    include_str!("../../migrations/postgres/0017_job_actions.sql"),
    include_str!("../../migrations/postgres/0018_begun_jobs.sql"),
    include_str!("../../migrations/postgres/0019_standing.sql"),
];

const REGISTER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY)";
const REGISTERED: &str = "SELECT to_regclass('schema_migrations') IS NOT NULL";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_migrations";

/// A step may take long, and so may the step of another node that has the lock.
const LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min';
    LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE";

/// Brings the database to the present schema.
pub(super) async fn migrate(database: &Database) -> Result<(), OpenError> {
    migrate_to(database, STEPS).await
}

async fn migrate_to(database: &Database, steps: &[&str]) -> Result<(), OpenError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let mut connection =
        database.connection().await.map_err(|fault| OpenError::Unavailable(Fault::into_text(fault)))?;
    loop {
        // Most starts find everything done, and need no lock to see it.
        let found = version(&connection).await.map_err(unreachable)?;
        if found > known {
            return Err(OpenError::TooNew { found, known });
        }
        let Some(step) = usize::try_from(found).ok().and_then(|next| steps.get(next)) else {
            return Ok(());
        };
        register(&connection).await.map_err(unreachable)?;
        apply(&mut connection, found, step)
            .await
            .map_err(|error| OpenError::Migration { version: found + 1, problem: describe(&error) })?;
    }
}

fn unreachable(error: Error) -> OpenError {
    OpenError::Unavailable(describe(&error))
}

/// The number of the last step taken; 0 for an empty database.
async fn version(client: &impl GenericClient) -> Result<i64, Error> {
    let registered: bool = client.query_one(REGISTERED, &[]).await?.try_get(0)?;
    if !registered {
        return Ok(0);
    }
    client.query_one(VERSION, &[]).await?.try_get(0)
}

/// Makes the table that everything else waits for.
async fn register(connection: &Object) -> Result<(), Error> {
    match connection.batch_execute(REGISTER).await {
        // Another node made it in the same moment, which "if not exists" does not see.
        Err(error)
            if matches!(
                error.code(),
                Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT)
            ) =>
        {
            Ok(())
        }
        made => made,
    }
}

/// Takes one step, unless another node took it meanwhile.
async fn apply(connection: &mut Object, found: i64, step: &str) -> Result<(), Error> {
    let transaction = connection.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    if version(&transaction).await? != found {
        return Ok(());
    }
    transaction.batch_execute(step).await?;
    transaction.execute("INSERT INTO schema_migrations (version) VALUES ($1)", &[&(found + 1)]).await?;
    transaction.commit().await
}
