//! The spool: an append-only file for clicks, and their steps, that the store did not take in time, and the way back into
//! the store.
//!
//! Each record is `length, CRC-32, JSON`. A torn or damaged record ends its file's reading at that place; what follows is
//! searched for the next whole record, and the damage is counted, never silently skipped. A click that reached both the
//! store and the spool is stored once: its id is its key. Loss window: what was written since the last sync, at most
//! [`SYNC_EVERY`], if the machine (not the process) goes down.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crosstally_core::click::Click;
use crosstally_core::ids::ClickId;
use crosstally_core::visit::Step;

mod record;

/// How often the spool is synced while it is written to.
pub const SYNC_EVERY: Duration = Duration::from_millis(200);

/// How many clicks may wait to be written.
const QUEUE_MAX: usize = 65_536;

/// Bytes after which a file is closed and the next begun.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The spool. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    directory: Arc<Path>,
    queue: std::sync::mpsc::SyncSender<Message>,
    waiting: Arc<AtomicU64>,
}

enum Message {
    /// A record of this click.
    Record(ClickId, Vec<u8>, tokio::sync::oneshot::Sender<bool>),
    Rotate(tokio::sync::oneshot::Sender<()>),
}

impl fmt::Debug for Spool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Spool(..)")
    }
}

/// What was read back from the spool.
#[derive(Debug, Default)]
pub struct Spooled {
    /// The clicks, oldest first.
    pub clicks: Vec<Click>,
    /// The steps, oldest first.
    pub steps: Vec<Step>,
    /// Bytes that could not be read as records.
    pub damaged_bytes: u64,
}

impl Spool {
    /// Opens the spool in a directory, made if it is not there. Nothing is written until the first click.
    ///
    /// # Errors
    /// The directory cannot be made, or the writer cannot be started.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let (queue, messages) = std::sync::mpsc::sync_channel(QUEUE_MAX);
        let spool = Self { directory: directory.into(), queue, waiting: Arc::default() };
        spool.waiting.store(u64::from(!spool.files()?.is_empty()), Ordering::Relaxed);
        let writer =
            Writer { directory: directory.to_owned(), file: None, waiting: Arc::clone(&spool.waiting) };
        std::thread::Builder::new().name("spool".into()).spawn(move || writer.run(&messages))?;
        Ok(spool)
    }

    /// Closes files that a killed process left open. Only for the process that owns the directory.
    ///
    /// # Errors
    /// The directory cannot be read or changed.
    pub fn recover(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "open") {
                std::fs::rename(&path, path.with_extension("clicks"))?;
                self.waiting.store(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Writes a click to the spool; returns when it is in the file, so that only the machine's own end can lose it.
    /// `false` if the spool is full or cannot be written.
    pub async fn append(&self, click: &Click) -> bool {
        self.write(click.id, record::encode(click)).await
    }

    /// The same of a step.
    pub async fn append_step(&self, step: &Step) -> bool {
        self.write(step.click, record::encode_step(step)).await
    }

    async fn write(&self, click: ClickId, record: Vec<u8>) -> bool {
        let (done, written) = tokio::sync::oneshot::channel();
        if self.queue.try_send(Message::Record(click, record, done)).is_err() {
            return false;
        }
        written.await.unwrap_or(false)
    }

    /// Whether there may be clicks to bring back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Closes the present file, so that every click handed over so far can be brought back.
    pub async fn rotate(&self) {
        let (done, rotated) = tokio::sync::oneshot::channel();
        if self.queue.try_send(Message::Rotate(done)).is_ok() {
            // If the writer has gone there is nothing left to rotate.
            drop(rotated.await);
        }
    }

    /// The closed files, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.directory)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "clicks"))
            .collect();
        files.sort();
        Ok(files)
    }

    /// Reads one closed file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> io::Result<Spooled> {
        let mut bytes = Vec::new();
        File::open(path)?.read_to_end(&mut bytes)?;
        Ok(record::read_all(&bytes))
    }

    /// Removes a file whose clicks are all in the store.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)?;
        if self.files()?.is_empty() {
            self.waiting.store(0, Ordering::Relaxed);
        }
        Ok(())
    }
}

struct Writer {
    directory: PathBuf,
    file: Option<(File, PathBuf, u64)>,
    waiting: Arc<AtomicU64>,
}

impl Writer {
    fn run(mut self, messages: &std::sync::mpsc::Receiver<Message>) {
        let mut dirty = false;
        loop {
            match messages.recv_timeout(SYNC_EVERY) {
                Ok(Message::Record(click, record, done)) => {
                    let written = self.write(click, &record).is_ok();
                    dirty |= written;
                    if done.send(written).is_err() {
                        tracing::debug!("the visitor has gone before the click was in the spool");
                    }
                }
                Ok(Message::Rotate(done)) => {
                    self.close();
                    dirty = false;
                    if done.send(()).is_err() {
                        tracing::debug!("nobody waits for the spool any more");
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    if dirty && let Some((file, ..)) = &self.file {
                        dirty = file.sync_data().is_err();
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    self.close();
                    return;
                }
            }
        }
    }

    fn write(&mut self, click: ClickId, record: &[u8]) -> io::Result<()> {
        self.waiting.store(1, Ordering::Relaxed);
        if self.file.as_ref().is_some_and(|(.., written)| *written >= FILE_BYTES_MAX) {
            self.close();
        }
        if self.file.is_none() {
            // The click's own id makes the name unique and sorts files by age.
            let path = self.directory.join(format!("{click}.open"));
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            self.file = Some((file, path, 0));
        }
        if let Some((file, _, written)) = &mut self.file {
            file.write_all(record)?;
            *written += u64::try_from(record.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some((file, path, _)) = self.file.take() {
            // If the sync fails the file is still read back; only a power cut could lose its end.
            drop(file.sync_data());
            drop(std::fs::rename(&path, path.with_extension("clicks")));
        }
    }
}
