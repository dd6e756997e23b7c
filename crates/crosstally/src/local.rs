//! An engine over a data directory or database, for commands that need no running server.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use crosstally_engine::Engine;
use crosstally_engine::clock::{self, SystemClock};
use crosstally_engine::keys::{from_hex, hex_of};
use crosstally_engine::open::Parts;
use crosstally_engine::random::Random;
use crosstally_engine::secrets::SecretSource;
use crosstally_store::{Location, OpenOptions as StoreOptions, Store};

use crate::settings::Ground;

/// Bytes of a secret's file; one with more is none.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// What was read of pipes, by their paths: each by itself, as one that nobody writes to is read for ever.
static READ_ONCE: Mutex<BTreeMap<String, Arc<OnceLock<Option<String>>>>> = Mutex::new(BTreeMap::new());

/// The real environment and files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment;

impl SecretSource for Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where secrets are looked up in the environment"
    )]
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Option<String> {
        let kind = std::fs::metadata(path).ok()?.file_type();
        if kind.is_file() {
            return read_secret(path);
        }
        if !kind.is_fifo() {
            return None;
        }
        // A pipe gives what it has once.
        let mut all = READ_ONCE.lock().unwrap_or_else(PoisonError::into_inner);
        let once = Arc::clone(all.entry(path.to_owned()).or_default());
        drop(all);
        once.get_or_init(|| read_secret(path)).clone()
    }
}

fn read_secret(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).ok()?;
    (u64::try_from(text.len()).ok()? <= SECRET_BYTES_MAX).then_some(text)
}

/// Opens the engine. Commands write to `spool` only if they serve.
pub(crate) async fn engine(ground: &Ground, spool: &Path) -> Result<Engine> {
    if matches!(ground.location, Location::Directory(_)) {
        make_directory(&ground.data)?;
    }
    let random = Random::from_system().context("the operating system has no random numbers")?;
    let master_key = master_key(ground, &random)?;
    let options = StoreOptions { watch: clock::watch, ..StoreOptions::at(ground.location.clone()) };
    let store = Store::open(options).await?;
    let engine = Engine::build(Parts {
        store,
        clock: Arc::new(SystemClock),
        random,
        secret_source: Arc::new(Environment),
        master_key,
        spool,
    })
    .await?;
    Ok(engine)
}

/// Whether the data is to be in a directory that has none.
pub(crate) fn is_missing(ground: &Ground) -> bool {
    match &ground.location {
        Location::Directory(directory) => !directory.join("crosstally.db").try_exists().unwrap_or(true),
        Location::Postgres(_) => false,
    }
}

/// Runs a command over an engine and closes the store behind it.
pub(crate) async fn with_engine<T>(
    ground: &Ground,
    work: impl AsyncFnOnce(&Engine) -> Result<T>,
) -> Result<T> {
    if is_missing(ground) {
        tracing::info!(directory = %ground.data.display(), "making a new data directory");
    }
    let spool = ground.data.join("spool-commands");
    let engine = engine(ground, &spool).await?;
    engine.door.is_of_a_command();
    let done = work(&engine).await;
    engine.store.close().await;
    done
}

/// Makes a directory that only its owner can look into.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the directory {} cannot be made", path.display()))
}

/// A lock that ends with the process.
#[derive(Debug)]
pub(crate) struct Lock(
    #[expect(dead_code, reason = "held, not read: the lock lives as long as the file is open")] File,
);

fn try_lock(path: &Path) -> Result<Option<Lock>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// Keeps a second server off an embedded store: its writes would wait for each other.
pub(crate) fn lock_store(ground: &Ground) -> Result<Option<Lock>> {
    make_directory(&ground.data)?;
    match &ground.location {
        Location::Postgres(_) => Ok(None),
        Location::Directory(directory) => match try_lock(&directory.join("serve.lock"))? {
            Some(lock) => Ok(Some(lock)),
            None => bail!(
                "another server runs on {}; stop it first, or use another --data, or many nodes on PostgreSQL",
                directory.display()
            ),
        },
    }
}

/// A spool directory of this process's own. Of several servers over one directory each takes the first that is free, so
/// that whoever starts next finds what a killed one left behind.
pub(crate) fn take_spool(ground: &Ground) -> Result<(PathBuf, Lock)> {
    make_directory(&ground.data)?;
    for number in 0..1_000 {
        let directory = ground.data.join(format!("spool-{number}"));
        make_directory(&directory)?;
        if let Some(lock) = try_lock(&directory.join("lock"))? {
            return Ok((directory, lock));
        }
    }
    bail!("no spool directory is free under {}", ground.data.display())
}

fn master_key(ground: &Ground, random: &Random) -> Result<Option<[u8; 32]>> {
    let (path, may_make) = match (&ground.master_key_file, &ground.location) {
        (Some(path), _) => (path.clone(), false),
        (None, Location::Directory(directory)) => (directory.join("master.key"), true),
        (None, Location::Postgres(_)) => return Ok(None),
    };
    if may_make {
        make_key(&path, random)?;
    }
    let mut text = String::new();
    File::open(&path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .with_context(|| format!("the master key {} cannot be read", path.display()))?;
    let key = from_hex(text.trim()).and_then(|bytes| bytes.try_into().ok());
    key.map(Some).with_context(|| format!("{} does not hold 64 hex digits", path.display()))
}

fn make_key(path: &Path, random: &Random) -> Result<()> {
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let key: [u8; 32] = random.bytes();
            file.write_all(hex_of(key).as_bytes())?;
            file.sync_all().with_context(|| format!("{} cannot be written", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be made", path.display())),
    }
}
