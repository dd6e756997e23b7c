//! One connection: the file, its settings, and the proof that a commit is worth what it must be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{OpenError, StoreError};

#[cfg(test)]
mod tests;

/// The database's file within its directory.
const FILE: &str = "crosstally.db";
/// How long a lock of another process is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(5);
const LOG_TRIES: u32 = 100;
const LOG_WAIT: Duration = Duration::from_millis(20);
/// What the write-ahead log's file is cut back to after it had to grow.
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Page cache of the writer and of each reader, in KB.
const WRITER_CACHE_KB: i64 = 16 * 1024;
const READER_CACHE_KB: i64 = 2 * 1024;
/// Every statement of this crate stays prepared.
const STATEMENTS_CACHED: usize = 128;

/// Makes the directory and an empty file that nobody else may read: they hold personal data.
pub(super) fn prepare(directory: &Path) -> std::io::Result<PathBuf> {
    let mut make = std::fs::DirBuilder::new();
    make.recursive(true);
    let mut file = std::fs::OpenOptions::new();
    file.create_new(true).write(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    }
    make.create(directory)?;
    let path = directory.join(FILE);
    match file.open(&path) {
        Ok(_) => {
            // The new names must survive a power cut as well; SQLite looks after its own directory only.
            #[cfg(unix)]
            for named_in in [Some(directory), directory.canonicalize()?.parent()].into_iter().flatten() {
                std::fs::File::open(named_in)?.sync_all()?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(path)
}

/// What a connection may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Opens a connection to the database. One that may write is refused if it would be less durable than promised.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, OpenError> {
    let cache_kb = match access {
        Access::Read => READER_CACHE_KB,
        Access::Write => WRITER_CACHE_KB,
    };
    connect_with_cache(path, access, cache_kb)
}

/// The same with another page cache.
pub(super) fn connect_with_cache(
    path: &Path,
    access: Access,
    cache_kb: i64,
) -> Result<Connection, OpenError> {
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        // Otherwise a statement on a table with a partial index is planned anew for every value that is bound to it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "cache_size", -cache_kb)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "foreign_keys", false)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        if access == Access::Write {
            log_ahead(&connection)?;
            connection.pragma_update(None, "synchronous", "full")?;
            // On systems whose plain sync leaves data in the drive's cache.
            connection.pragma_update(None, "fullfsync", true)?;
            connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            // The checkpointer does it instead.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
        }
        Ok(connection)
    };
    let connection = open().map_err(|error| OpenError::Unavailable(error.to_string()))?;
    if access == Access::Write {
        check_durable(&connection)?;
    }
    Ok(connection)
}

/// Turns the log on. Of several who open a fresh database at once one writes that down; the others are told that it is locked,
/// without the wait that they have for everything else.
fn log_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries < LOG_TRIES => {
                tries += 1;
                std::thread::sleep(LOG_WAIT);
            }
            done => return done,
        }
    }
}

/// Reads back what a commit is worth. SQLite ignores what it cannot or was built not to do, without an error.
fn check_durable(connection: &Connection) -> Result<(), OpenError> {
    let ask = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get_ref(0).map(|value| text_of(value)))
            .map_err(|error| OpenError::Unavailable(error.to_string()))
    };
    for (name, good) in
        [("synchronous", &["2", "3"][..]), ("journal_mode", &["wal"]), ("locking_mode", &["normal"])]
    {
        let found = ask(name)?;
        if !good.contains(&found.as_str()) {
            return Err(OpenError::NotDurable(format!("{name} is {found}, it must be {}", good[0])));
        }
    }
    Ok(())
}

fn text_of(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        other => other.as_str().unwrap_or("unreadable").to_owned(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match &error {
            E::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::ConstraintViolation
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig => Self::Corrupt(error.to_string()),
                _ => Self::Unavailable(error.to_string()),
            },
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::QueryReturnedNoRows => Self::Corrupt(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
