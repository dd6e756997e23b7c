//! A place for a store that nobody else uses: a directory, or a database of its own on a PostgreSQL server.

use crosstally_store::{Location, OpenError, OpenOptions, Store};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::build;

/// Names a server where databases may be created, as `postgres://` URL.
const SERVER: &str = "CROSSTALLY_TEST_POSTGRES";

/// The place of one case.
pub(crate) enum Stage {
    Sqlite(TempDir),
    Postgres { server: String, database: String },
}

impl Stage {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        let Ok(server) = std::env::var(SERVER) else {
            panic!("{SERVER} names no PostgreSQL server: run `cargo xtask test`");
        };
        let database = format!("ct_{}", build::unique_name());
        run(&server, &format!("CREATE DATABASE {database} TEMPLATE template0")).await;
        Self::Postgres { server, database }
    }

    pub(crate) fn location(&self) -> Location {
        match self {
            Self::Sqlite(directory) => Location::Directory(directory.path().to_owned()),
            Self::Postgres { server, database } => Location::Postgres(with_database(server, database)),
        }
    }

    pub(crate) async fn try_open(&self) -> Result<Store, OpenError> {
        // Few connections: many cases run side by side on one server.
        Store::open(OpenOptions { connections_max: 4, ..OpenOptions::at(self.location()) }).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn run(&self, statement: &str) {
        match self.location() {
            Location::Directory(directory) => {
                let connection = rusqlite::Connection::open(directory.join("crosstally.db")).unwrap();
                connection.execute_batch(statement).unwrap();
            }
            Location::Postgres(url) => run(&url, statement).await,
        }
    }

    pub(crate) async fn end(self) {
        match self {
            Self::Sqlite(directory) => directory.close().unwrap(),
            Self::Postgres { server, database } => {
                run(&server, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
            }
        }
    }
}

async fn run(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

/// The same server's URL with another database in it.
fn with_database(url: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (place, parameters) = rest.split_once('?').map_or((rest, ""), |(place, more)| (place, more));
    let host = place.split('/').next().unwrap_or_default();
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}/{database}{question}{parameters}")
}
