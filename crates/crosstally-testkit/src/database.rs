//! Throw-away databases.
#![expect(clippy::disallowed_methods, reason = "a test runs its own connections")]

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use crosstally_store::Location;
use tempfile::TempDir;

/// The variable that `cargo xtask test` sets to the URL of its throw-away PostgreSQL.
pub const POSTGRES: &str = "CROSSTALLY_TEST_POSTGRES";

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite in a temporary directory.
    Sqlite,
    /// A database of its own in the throw-away PostgreSQL.
    Postgres,
}

/// A database that goes away with its test.
#[derive(Debug)]
pub struct Database {
    directory: TempDir,
    url: Option<String>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// Makes a fresh database.
    ///
    /// # Errors
    /// There is no PostgreSQL: run `cargo xtask test`.
    pub async fn fresh(kind: Kind) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let url = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(fresh_postgres().await?),
        };
        Ok(Self { directory, url })
    }

    /// Makes the store sick: until the lock is dropped, no click and no postback can be written.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn lock(&self) -> Result<Lock> {
        match &self.url {
            None => {
                let connection =
                    rusqlite::Connection::open(self.directory.path().join("data/crosstally.db"))?;
                connection.execute_batch("BEGIN IMMEDIATE")?;
                Ok(Lock { _held: Held::Sqlite(connection) })
            }
            Some(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                tokio::task::spawn(connection);
                client
                    .batch_execute("BEGIN; LOCK TABLE clicks, click_steps, receipts IN ACCESS EXCLUSIVE MODE")
                    .await?;
                Ok(Lock { _held: Held::Postgres(client) })
            }
        }
    }

    /// Runs statements behind the store's back.
    ///
    /// # Errors
    /// The database does not take them.
    pub async fn run(&self, statements: &str) -> Result<()> {
        match &self.url {
            None => {
                let path = self.directory.path().join("data/crosstally.db");
                rusqlite::Connection::open(path)?.execute_batch(statements)?;
            }
            Some(url) => {
                let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                let driver = tokio::task::spawn(connection);
                client.batch_execute(statements).await?;
                drop(client);
                driver.await??;
            }
        }
        Ok(())
    }

    /// Where a store is opened.
    #[must_use]
    pub fn location(&self) -> Location {
        match &self.url {
            None => Location::Directory(self.directory.path().join("data")),
            Some(url) => Location::Postgres(url.clone()),
        }
    }

    /// The test's own directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The flags that tell the program about it.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let data = self.directory.path().join("data").display().to_string();
        let mut flags = vec!["--data".to_owned(), data];
        if let Some(url) = &self.url {
            flags.extend(["--database-url".to_owned(), url.clone()]);
        }
        flags
    }
}

/// Holds everybody else's writes up; its end rolls back, so that nothing is changed by it.
#[derive(Debug)]
pub struct Lock {
    _held: Held,
}

#[derive(Debug)]
enum Held {
    Sqlite(#[expect(dead_code, reason = "held, not used")] rusqlite::Connection),
    Postgres(#[expect(dead_code, reason = "held, not used")] tokio_postgres::Client),
}

fn admin_url() -> Result<String> {
    std::env::var(POSTGRES).with_context(|| {
        format!("{POSTGRES} is not set: run `cargo xtask test`, or `cargo xtask postgres -- COMMAND`")
    })
}

async fn fresh_postgres() -> Result<String> {
    let admin = admin_url()?;
    let (client, connection) = tokio_postgres::connect(&admin, tokio_postgres::NoTls)
        .await
        .context("the test PostgreSQL does not answer")?;
    let connection = tokio::task::spawn(connection);
    let name = format!("ct_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    drop(client);
    connection.abort();
    let (head, options) = match admin.split_once('?') {
        Some((head, options)) => (head.to_owned(), format!("?{options}")),
        None => (admin, String::new()),
    };
    let scheme_ends = head.find("://").map_or(0, |at| at + 3);
    let base = match head.get(scheme_ends..).and_then(|rest| rest.find('/')) {
        Some(slash) => head.get(..scheme_ends + slash).unwrap_or(&head).to_owned(),
        None => head,
    };
    Ok(format!("{base}/{name}{options}"))
}
