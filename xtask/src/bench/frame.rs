//! What all rows share: the program, its configuration, a folder on the disk that matters, a database.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::program::Place;
use crate::postgres::{Durability, Postgres};

/// The dataset that the program sends to.
pub(crate) const DATASET: &str = "1111111111";

/// Where facts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Database {
    /// Inside the program.
    Sqlite,
    /// A PostgreSQL of our own, on the same machine, syncing to disk.
    Postgres,
}

impl Database {
    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The settings of one call of `cargo xtask bench`.
pub(crate) struct Bench {
    /// The program, built for release.
    pub(crate) binary: PathBuf,
    /// Below here everything is written; removed at the next call.
    pub(crate) folder: PathBuf,
    /// How long each run of the load generator takes.
    pub(crate) seconds: u64,
    /// How often what is compared takes turns.
    pub(crate) rounds: u64,
    /// How many events are delivered, at least.
    pub(crate) events: u64,
    /// How many clicks are stored before the start is timed.
    pub(crate) clicks: u64,
    /// How many deliveries wait when a start is timed.
    pub(crate) pending: u64,
    /// How many receipts are stored before duplicates are timed.
    pub(crate) receipts: u64,
    /// Where they are kept for the next call.
    pub(crate) receipts_in: Option<PathBuf>,
}

/// A place for the program's data, with the database that it may need; the database goes away with it.
pub(crate) struct Installation {
    /// The place.
    pub(crate) place: Place,
    _postgres: Option<Postgres>,
}

impl Bench {
    /// A folder for one row.
    pub(crate) fn folder(&self, row: &str, database: Database) -> Result<PathBuf> {
        let folder = self.folder.join(format!("{row}-{}", database.name()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// An empty installation.
    pub(crate) fn install(&self, folder: &Path, database: Database) -> Result<Installation> {
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start(Durability::Full)?),
        };
        let database_url = postgres.as_ref().map(|server| server.url().to_owned());
        let place = Place { binary: self.binary.clone(), data: folder.join("data"), database_url };
        Ok(Installation { place, _postgres: postgres })
    }

    /// One campaign, one partner, one destination, one goal that every approved conversion meets.
    pub(crate) fn configuration(&self, endpoint: &str, delay: &str) -> String {
        format!(
            r#"[workspace]
base_currency = "USD"

[[source]]
slug = "facebook"
preset = "meta"

[[campaign]]
slug = "summer"
source = "facebook"
target = "https://lander.example/p?cid={{click_id}}&s={{sub1}}"

[[partner]]
slug = "acme"
preset = "generic"
currency = "USD"
auth = {{ token = "bench-token" }}

[[destination]]
slug = "meta-main"
kind = "meta"
dataset_id = "{DATASET}"
access_token = "bench"
endpoint = "{endpoint}"
allow_private = true

[[goal]]
slug = "purchase"
role = "learning_signal"
when = "status == 'approved' && value > 0"
event_name = "Purchase"
send_to = ["meta-main"]
delay = "{delay}"
"#
        )
    }
}
