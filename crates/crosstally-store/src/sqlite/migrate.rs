//! The schema, step by step. Steps are only ever added; each is one transaction.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::OpenError;

#[cfg(test)]
mod tests;

/// All steps in order: the first is number 1.
const STEPS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_spine.sql"),
    include_str!("../../migrations/sqlite/0002_inbound.sql"),
    include_str!("../../migrations/sqlite/0003_fx.sql"),
    include_str!("../../migrations/sqlite/0004_fraud.sql"),
    include_str!("../../migrations/sqlite/0005_jobs.sql"),
    include_str!("../../migrations/sqlite/0006_approvals.sql"),
    include_str!("../../migrations/sqlite/0007_reversals.sql"),
    include_str!("../../migrations/sqlite/0008_browser.sql"),
    include_str!("../../migrations/sqlite/0009_links.sql"),
    include_str!("../../migrations/sqlite/0010_tools.sql"),
    include_str!("../../migrations/sqlite/0011_replays.sql"),
    include_str!("../../migrations/sqlite/0012_privacy.sql"),
    include_str!("../../migrations/sqlite/0013_payloads.sql"),
    include_str!("../../migrations/sqlite/0014_europe.sql"),
    include_str!("../../migrations/sqlite/0015_lookbacks.sql"),
    include_str!("../../migrations/sqlite/0016_calls_of_one.sql"),
    include_str!("../../migrations/sqlite/0017_job_actions.sql"),
    include_str!("../../migrations/sqlite/0018_begun_jobs.sql"),
    include_str!("../../migrations/sqlite/0019_standing.sql"),
];

const REGISTER: &str =
    "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY) STRICT";

/// Brings the database to the present schema. A database that holds something already is copied beside itself first.
pub(super) fn migrate(connection: &mut Connection, directory: &Path) -> Result<(), OpenError> {
    migrate_to(connection, directory, STEPS)
}

fn migrate_to(connection: &mut Connection, directory: &Path, steps: &[&str]) -> Result<(), OpenError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let unreachable = |error: rusqlite::Error| OpenError::Unavailable(error.to_string());
    let mut first = None;
    loop {
        let found = version(connection).map_err(unreachable)?;
        let began_at = *first.get_or_insert(found);
        if found > known {
            return Err(OpenError::TooNew { found, known });
        }
        let Some(step) = usize::try_from(found).ok().and_then(|next| steps.get(next)) else {
            return Ok(());
        };
        let failed =
            |error: rusqlite::Error| OpenError::Migration { version: found + 1, problem: error.to_string() };
        // A database that was made a moment ago holds nothing yet; one copy is enough for several steps.
        if began_at > 0 && began_at == found {
            snapshot(connection, directory, found).map_err(failed)?;
        }
        apply(connection, found, step).map_err(failed)?;
    }
}

/// The number of the last step taken; 0 for an empty database.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let registered: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'", [], |row| row.get(0))
        .optional()?;
    if registered.is_none() {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(version), 0) FROM schema_migrations", [], |row| row.get(0))
}

/// Takes one step, unless another process took it meanwhile.
fn apply(connection: &mut Connection, found: i64, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? != found {
        return Ok(());
    }
    transaction.execute_batch(REGISTER)?;
    transaction.execute_batch(step)?;
    transaction.execute("INSERT INTO schema_migrations (version) VALUES (?1)", [found + 1])?;
    transaction.commit()
}

/// Copies the database beside itself. What bears the copy's name is whole: it gets the name last.
fn snapshot(connection: &Connection, directory: &Path, found: i64) -> rusqlite::Result<()> {
    let copy = directory.join(format!("crosstally-schema-{found}.db"));
    // A copy that is there already was made before an attempt that failed: it is the same or the better one.
    if std::fs::exists(&copy).unwrap_or(false) {
        return Ok(());
    }
    tracing::info!(copy = %copy.display(), "copying the database before its schema changes; a large one takes minutes");
    let partial = copy.with_extension("partial");
    // Whoever else is at it is waited for.
    let file = open_alone(&partial).map_err(|error| cannot_copy(&error))?;
    if std::fs::exists(&copy).unwrap_or(false) {
        return Ok(());
    }
    empty(&file, &partial).map_err(|error| cannot_copy(&error))?;
    let Some(name) = partial.to_str() else {
        return Err(rusqlite::Error::InvalidPath(partial));
    };
    if let Err(error) = connection.execute("VACUUM INTO ?1", [name]) {
        // Half a copy is of use to nobody, and on a full disk its room is needed.
        std::fs::remove_file(&partial).ok();
        return Err(error);
    }
    let keep = || {
        file.sync_all()?;
        std::fs::rename(&partial, &copy)?;
        std::fs::File::open(directory)?.sync_all()
    };
    keep().map_err(|error| cannot_copy(&error))
}

/// A file that is held by this process alone.
fn open_alone(path: &Path) -> std::io::Result<std::fs::File> {
    let mut file = std::fs::OpenOptions::new();
    file.create(true).truncate(false).write(true);
    let file = file.open(path)?;
    file.lock()?;
    Ok(file)
}

/// Nothing is left in it of an attempt that was broken off, and nobody else may read what comes.
fn empty(file: &std::fs::File, path: &Path) -> std::io::Result<()> {
    file.set_len(0)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    match std::fs::remove_file(path.with_extension("partial-journal")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn cannot_copy(error: &std::io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    rusqlite::Error::SqliteFailure(code, Some(format!("the copy cannot be made: {error}")))
}
