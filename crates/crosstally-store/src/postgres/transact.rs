//! One statement, one transaction: done again when a connection breaks or another transaction is in the way, and never
//! guessed about when the connection breaks at the commit.
//!
//! A server whose connection breaks at the commit may or may not have committed, or may still be at it. It remembers what
//! became of each transaction by its number, so the number is asked for inside the transaction and looked up afterwards.

use std::ops::Deref;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::fault::Fault;
use crate::StoreError;

#[cfg(test)]
mod tests;

/// A value of a statement.
pub(super) type Value<'value> = dyn ToSql + Sync + 'value;
/// All values of a statement.
pub(super) type Values<'values> = [&'values Value<'values>];

const TICKET: &str =
    "SELECT pg_current_xact_id()::text, extract(epoch FROM pg_postmaster_start_time())::text";
// Numbers are only worth something to the server that gave them out: another start may be another server.
const FATE: &str = "SELECT CASE WHEN extract(epoch FROM pg_postmaster_start_time())::text = $2
    THEN coalesce(pg_xact_status($1::text::xid8), 'forgotten') ELSE 'another server' END";

/// The waits before something is tried again: in all about a second.
const WAITS_MS: &[u64] = &[0, 5, 20, 50, 100, 200, 300, 400];
/// How often and how long apart it is asked what became of a commit: in all about ten seconds.
const FATE_ASKED_MAX: u32 = 40;
const FATE_WAIT: Duration = Duration::from_millis(250);

/// How often something was tried.
#[derive(Debug, Default)]
pub(super) struct Tries(usize);

impl Tries {
    /// Waits before the next try, if the fault is one that passes and there was patience enough.
    pub(super) async fn again_after(&mut self, fault: Fault) -> Result<(), StoreError> {
        match WAITS_MS.get(self.0) {
            Some(wait) if fault.passes() => {
                self.0 += 1;
                tokio::time::sleep(Duration::from_millis(*wait)).await;
                Ok(())
            }
            _ => Err(fault.into()),
        }
    }
}

/// By which the server knows a transaction again.
#[derive(Debug)]
pub(super) struct Ticket {
    transaction: String,
    server: String,
}

/// What became of a transaction whose connection broke at the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It happened.
    Committed,
    /// It did not happen.
    RolledBack,
    /// It is over, but only what is stored can tell how it ended: the server was started anew meanwhile, or is another.
    SeeRows,
}

/// The database, to be asked through a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pool: Pool,
}

impl Database {
    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// A connection of one's own.
    pub(super) async fn connection(&self) -> Result<Object, Fault> {
        Ok(self.pool.get().await?)
    }

    /// Closes all connections, at once or when they come back.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Asks one question.
    pub(super) async fn ask(&self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, Fault> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(statement).await?;
        Ok(connection.query(&statement, values).await?)
    }

    /// Runs one statement in a transaction.
    pub(super) async fn run(&self, statement: &str, values: &Values<'_>) -> Result<Vec<Row>, Fault> {
        let transaction = self.transaction().await?;
        let statement = transaction.prepare_cached(statement).await?;
        let (ticket, rows) = tokio::join!(biased; transaction.begin(), transaction.query(&statement, values));
        let (ticket, rows) = (ticket?, rows?);
        match self.commit(transaction, ticket).await? {
            Fate::Committed => Ok(rows),
            Fate::RolledBack => Err(Fault::Lost("the connection broke before the commit".into())),
            Fate::SeeRows => Err(Fault::Unknown("the server went away at the commit".into())),
        }
    }

    /// A transaction, still to begin.
    pub(super) async fn transaction(&self) -> Result<Transaction, Fault> {
        let connection = self.connection().await?;
        let ticket = connection.prepare_cached(TICKET).await?;
        Ok(Transaction { connection, ticket, open: AtomicBool::new(false) })
    }

    /// Commits, and finds out what became of it if the connection breaks.
    pub(super) async fn commit(&self, transaction: Transaction, ticket: Ticket) -> Result<Fate, Fault> {
        match transaction.commit().await {
            Ok(()) => Ok(Fate::Committed),
            Err(Fault::Lost(problem)) => {
                tracing::warn!(problem, "the connection broke at the commit; asking what became of it");
                self.fate(&ticket).await.ok_or(Fault::Unknown(problem))
            }
            Err(other) => Err(other),
        }
    }

    async fn fate(&self, ticket: &Ticket) -> Option<Fate> {
        for _ in 0..FATE_ASKED_MAX {
            let answer = self.ask(FATE, &[&ticket.transaction, &ticket.server]).await;
            let status: Option<String> =
                answer.ok().and_then(|rows| rows.first().and_then(|row| row.try_get(0).ok()));
            match status.as_deref() {
                Some("committed") => return Some(Fate::Committed),
                Some("aborted") => return Some(Fate::RolledBack),
                Some("forgotten" | "another server") => return Some(Fate::SeeRows),
                // In progress still, or nobody there to ask.
                _ => tokio::time::sleep(FATE_WAIT).await,
            }
        }
        None
    }
}

/// A transaction on a connection of its own. It is rolled back when it is dropped before its commit.
pub(super) struct Transaction {
    connection: Object,
    ticket: Statement,
    open: AtomicBool,
}

impl Transaction {
    /// Begins. What is first polled after this goes out right behind it, without waiting for an answer.
    pub(super) async fn begin(&self) -> Result<Ticket, Fault> {
        self.open.store(true, Ordering::Relaxed);
        let (begun, ticket) = tokio::join!(
            biased;
            self.connection.batch_execute("BEGIN"),
            self.connection.query_one(&self.ticket, &[])
        );
        begun?;
        let row = ticket?;
        Ok(Ticket { transaction: row.try_get(0)?, server: row.try_get(1)? })
    }

    async fn commit(self) -> Result<(), Fault> {
        let committed = self.connection.batch_execute("COMMIT").await;
        self.open.store(false, Ordering::Relaxed);
        Ok(committed?)
    }
}

impl Deref for Transaction {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if *self.open.get_mut() {
            // To poll once is to send. The next user's statements come behind it; nobody waits for the answer.
            let rollback = pin!(self.connection.batch_execute("ROLLBACK"));
            let sent = rollback.poll(&mut Context::from_waker(Waker::noop()));
            tracing::debug!(answered = sent.is_ready(), "a transaction is rolled back");
        }
    }
}
