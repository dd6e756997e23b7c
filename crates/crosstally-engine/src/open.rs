//! Building an engine: the keys are found or made, the configuration is taken up.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crosstally_core::config::Config;
use crosstally_core::ids::ClickIdKey;
use crosstally_store::{Store, StoreError};

use crate::Engine;
use crate::clock::Clock;
use crate::delivery::Wakeups;
use crate::flood::Flood;
use crate::http_out::HttpOut;
use crate::keys::{Keys, hex_of};
use crate::metrics::Metrics;
use crate::random::Random;
use crate::secrets::SecretSource;
use crate::settings::ApplyError;
use crate::snapshot::Snapshot;
use crate::spool::Spool;

/// What an engine is built from.
pub struct Parts<'a> {
    /// The facts.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Random,
    /// Secrets outside the configuration.
    pub secret_source: Arc<dyn SecretSource>,
    /// The master key, if whoever runs the server keeps one apart; else the installation's own is used.
    pub master_key: Option<[u8; 32]>,
    /// Where spooled clicks go.
    pub spool: &'a Path,
}

/// Why an engine could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration in force cannot be taken up.
    #[error(transparent)]
    Config(#[from] ApplyError),
    /// The spool cannot be opened.
    #[error("the spool cannot be opened: {0}")]
    Spool(std::io::Error),
    /// The outbound client cannot be made.
    #[error("the outbound client cannot be made: {0}")]
    HttpOut(String),
    /// The master key is not the one that this installation's secrets were sealed with.
    #[error(
        "the master key is not the one that this installation was set up with; name the same file with \
         --master-key-file (CROSSTALLY_MASTER_KEY_FILE) on every node"
    )]
    WrongMasterKey,
}

impl Engine {
    /// Builds an engine over an open store.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(parts: Parts<'_>) -> Result<Self, BuildError> {
        let Parts { store, clock, random, secret_source, master_key, spool } = parts;
        let click_key = once(&store, "click_id_key", &random).await?;
        let keys = match master_key {
            Some(key) => Keys::new(&key, random.clone()),
            None => Keys::new(&once(&store, "master_key", &random).await?, random.clone()),
        };
        // A sealed word shows whether this node holds the key that the installation was set up with.
        let candidate = keys.seal("installation", "crosstally").into_bytes();
        let check = store.installation_value("key_check".into(), candidate).await?;
        if keys.unseal("installation", &String::from_utf8_lossy(&check)).is_none() {
            return Err(BuildError::WrongMasterKey);
        }
        let empty = Snapshot::new(0, Config::empty(), secret_source.as_ref(), &keys);
        let engine = Self {
            store,
            clock,
            http_out: HttpOut::new().map_err(|error| BuildError::HttpOut(error.to_string()))?,
            secret_source,
            secret_files: Arc::default(),
            keys,
            click_id_key: ClickIdKey::new(&click_key),
            snapshot: Arc::new(ArcSwap::from_pointee(empty)),
            spool: Spool::open(spool).map_err(BuildError::Spool)?,
            wakeups: Wakeups::default(),
            fx: Arc::default(),
            throttle: Arc::default(),
            flood: Arc::new(Flood::new(u64::from_be_bytes(random.bytes()))),
            caps: Arc::default(),
            door: Arc::default(),
            geo: Arc::default(),
            receipts: Arc::default(),
            approvals: Arc::default(),
            balanced: Arc::default(),
            ended: Arc::default(),
            erased: Arc::default(),
            metrics: Metrics::default(),
            node: hex_of(random.bytes::<8>()).into(),
            random,
        };
        engine.refresh_config().await?;
        engine.refresh_rates().await?;
        engine.refresh_erased().await?;
        engine.sync_caps().await?;
        Ok(engine)
    }
}

async fn once(store: &Store, name: &str, random: &Random) -> Result<[u8; 32], StoreError> {
    let candidate: [u8; 32] = random.bytes();
    let stored = store.installation_value(name.to_owned(), candidate.to_vec()).await?;
    stored.try_into().map_err(|_| StoreError::Corrupt(format!("installation value {name}")))
}
