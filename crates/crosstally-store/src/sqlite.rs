//! SQLite inside the process: one file in one directory, one writer with group commit, a few readers.
//!
//! The files below mirror those of `postgres/`.

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
mod tally;
mod tokens;
mod tool_runs;
mod writer;

use std::sync::Arc;

use crate::{Location, OpenError, OpenOptions, StoreError, WORKSPACE};

/// An open SQLite database.
#[derive(Clone)]
pub struct Sqlite {
    engine: Arc<engine::Engine>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Sqlite(..)")
    }
}

impl Sqlite {
    pub(crate) async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let Location::Directory(directory) = options.location else {
            return Err(OpenError::Unavailable("an SQLite database lives in a directory".into()));
        };
        let opening = tokio::task::spawn_blocking(move || {
            engine::Engine::open(&directory, options.queue_max, options.connections_max, options.watch)
        });
        let engine = opening.await.map_err(|_| OpenError::Unavailable("opening was broken off".into()))??;
        Ok(Self { engine: Arc::new(engine) })
    }

    pub(crate) async fn close(&self) {
        self.engine.close().await;
    }

    pub(crate) async fn check_writable(&self) -> Result<(), StoreError> {
        const REWRITE: &str = "INSERT INTO write_checks (workspace, number) VALUES (?1, 1)
            ON CONFLICT (workspace) DO UPDATE SET number = number + 1";
        let work = |connection: &rusqlite::Connection| {
            connection.prepare_cached(REWRITE)?.execute([WORKSPACE])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }
}
