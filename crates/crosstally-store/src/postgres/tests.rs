//! What the tests below share: a database of their own on the server of the test command.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, NoTls};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own, and a connection to its server beside the store's.
pub(super) struct Scratch {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) admin: Client,
}

impl Scratch {
    /// Makes an empty database.
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// Makes an empty database with some options of `CREATE DATABASE`.
    pub(super) async fn with(options: &str) -> Self {
        let server = server();
        let admin = client(&server).await;
        let name = format!("ct_unit_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
        admin.batch_execute(&format!("CREATE DATABASE {name} {options}")).await.unwrap();
        let (head, _) = server.rsplit_once('/').unwrap();
        Self { url: format!("{head}/{name}"), name, admin }
    }

    /// Removes the database again.
    pub(super) async fn remove(self) {
        self.admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
    }
}

/// One connection.
pub(super) async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    spawn(connection);
    client
}

#[expect(clippy::disallowed_methods, reason = "ends with its client")]
fn spawn(connection: tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>) {
    tokio::spawn(connection);
}

/// The server's URL, with a database name and without options.
#[expect(clippy::disallowed_methods, reason = "the test command hands over its server in the environment")]
pub(super) fn server() -> String {
    std::env::var("CROSSTALLY_TEST_POSTGRES").expect(
        "CROSSTALLY_TEST_POSTGRES is not set: run `cargo xtask postgres -- cargo test -p crosstally-store`",
    )
}
