//! PostgreSQL: one database, any number of nodes, a pool of connections in each.
//!
//! Clicks, receipts and postbacks are written in batches; everything else is one transaction by itself. Time never comes
//! from the database: it is an argument, so that all nodes mean the same by it.
//!
//! The files below mirror those of `sqlite/`.

mod aliases;
mod approvals;
mod balance;
mod browser;
mod clicks;
mod configs;
mod connect;
mod conversions;
mod destinations;
mod engine;
mod erasures;
mod fault;
mod fx;
mod hybrid;
mod idempotency;
mod jobs;
mod journeys;
mod ledger;
mod lookbacks;
mod losses;
mod migrate;
mod nonces;
mod offers;
mod outbox;
mod outbox_reads;
mod postbacks;
mod purges;
mod receipts;
mod replays;
mod reversals;
mod rows;
mod sightings;
mod steps;
#[cfg(test)]
mod tests;
mod tokens;
mod tool_runs;
mod transact;
mod writer;

use std::sync::Arc;

use crate::{Location, OpenError, OpenOptions, StoreError, WORKSPACE};

/// An open PostgreSQL database.
#[derive(Clone)]
pub struct Postgres {
    engine: Arc<engine::Engine>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Postgres(..)")
    }
}

impl Postgres {
    pub(crate) async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let Location::Postgres(url) = &options.location else {
            return Err(OpenError::Unavailable("a PostgreSQL database has a URL".into()));
        };
        let engine = engine::Engine::open(url, options.queue_max, options.connections_max).await?;
        Ok(Self { engine: Arc::new(engine) })
    }

    pub(crate) async fn close(&self) {
        self.engine.close().await;
    }

    pub(crate) async fn check_writable(&self) -> Result<(), StoreError> {
        const REWRITE: &str = "INSERT INTO write_checks AS w (workspace, number) VALUES ($1, 1)
            ON CONFLICT (workspace) DO UPDATE SET number = w.number + 1";
        self.engine.write(REWRITE, &[&WORKSPACE]).await.map(drop)
    }
}
