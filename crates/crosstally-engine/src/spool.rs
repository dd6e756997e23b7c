//! The spool: an append-only file for clicks, and their steps, that the store did not take in time, and the way back into
//! the store.
//!
//! Each record is `length, CRC-32, JSON`. A torn or damaged record ends its file's reading at that place; what follows is
//! searched for the next whole record, and the damage is counted, never silently skipped. A click that reached both the
//! store and the spool is stored once: its id is its key. A file has a number that no other one has had, so that none takes
//! another's place. Loss window: what was written since the last sync, at most
//! [`SYNC_EVERY`], if the machine (not the process) goes down.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crosstally_core::click::Click;
use crosstally_core::visit::Step;

mod record;
#[cfg(test)]
mod tests;

/// How often the spool is synced while it is written to.
pub const SYNC_EVERY: Duration = Duration::from_millis(200);

/// How many clicks may wait to be written.
const QUEUE_MAX: usize = 65_536;

/// Bytes after which a file is closed and the next begun.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The ending of a file that is written to.
const OPEN: &str = "open";
/// The ending of a closed one.
const CLOSED: &str = "clicks";
/// How names begin: behind those of before, which were the id of a click.
const PREFIX: &str = "spool-";

/// The spool. Cheap to clone.
#[derive(Clone)]
pub struct Spool {
    names: Names,
    queue: std::sync::mpsc::SyncSender<Message>,
    /// Whether there may be files. It may say so of none, never the other way round: whoever makes a file sets it
    /// afterwards, and whoever takes it back looks afterwards.
    waiting: Arc<AtomicBool>,
}

enum Message {
    Record(Vec<u8>, tokio::sync::oneshot::Sender<bool>),
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
        let spool = Self { names: Names::in_directory(directory)?, queue, waiting: Arc::default() };
        spool.waiting.store(!spool.files()?.is_empty(), Ordering::SeqCst);
        let writer = Writer { names: spool.names.clone(), file: None, waiting: Arc::clone(&spool.waiting) };
        std::thread::Builder::new().name("spool".into()).spawn(move || writer.run(&messages))?;
        Ok(spool)
    }

    /// Closes files that a killed process left open. Only for the process that owns the directory.
    ///
    /// # Errors
    /// The directory cannot be read or changed.
    pub fn recover(&self) -> io::Result<()> {
        for path in self.names.files(OPEN)? {
            let mut closed = path.with_extension(CLOSED);
            // Names could repeat once, and a rename replaces without a word.
            if closed.try_exists()? {
                closed = self.names.fresh()?.with_extension(CLOSED);
            }
            std::fs::rename(&path, closed)?;
            self.waiting.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Writes a click to the spool; returns when it is in the file, so that only the machine's own end can lose it.
    /// `false` if the spool is full or cannot be written.
    pub async fn append(&self, click: &Click) -> bool {
        self.write(record::encode(click)).await
    }

    /// The same of a step.
    pub async fn append_step(&self, step: &Step) -> bool {
        self.write(record::encode_step(step)).await
    }

    async fn write(&self, record: Vec<u8>) -> bool {
        let (done, written) = tokio::sync::oneshot::channel();
        if self.queue.try_send(Message::Record(record, done)).is_err() {
            return false;
        }
        written.await.unwrap_or(false)
    }

    /// Whether there may be clicks to bring back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.waiting.load(Ordering::SeqCst)
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
        self.names.files(CLOSED)
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
        self.waiting.store(false, Ordering::SeqCst);
        if !self.files()?.is_empty() || !self.names.files(OPEN)?.is_empty() {
            self.waiting.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The names of files in a directory: numbers, each given once.
#[derive(Clone)]
struct Names {
    directory: Arc<Path>,
    next: Arc<AtomicU64>,
}

impl Names {
    /// Goes on behind the highest number that is there, whatever became of its file.
    fn in_directory(directory: &Path) -> io::Result<Self> {
        let mut next = 1;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()?.strip_prefix(PREFIX));
            let number = name.and_then(|digits| digits.parse::<u64>().ok());
            next = next.max(number.unwrap_or(0).saturating_add(1));
        }
        Ok(Self { directory: directory.into(), next: Arc::new(AtomicU64::new(next)) })
    }

    /// A path for a file to be opened. Commands share a directory, so that a number may be another process's by now.
    fn fresh(&self) -> io::Result<PathBuf> {
        loop {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let path = self.directory.join(format!("{PREFIX}{number:012}.{OPEN}"));
            if !path.try_exists()? && !path.with_extension(CLOSED).try_exists()? {
                return Ok(path);
            }
        }
    }

    /// The files with an ending, oldest first.
    fn files(&self, ending: &str) -> io::Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.directory)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|found| found == ending))
            .collect();
        files.sort();
        Ok(files)
    }
}

struct Writer {
    names: Names,
    file: Option<(File, PathBuf, u64)>,
    waiting: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, messages: &std::sync::mpsc::Receiver<Message>) {
        let mut dirty = false;
        loop {
            match messages.recv_timeout(SYNC_EVERY) {
                Ok(Message::Record(record, done)) => {
                    let written = self.write(&record).is_ok();
                    self.waiting.store(true, Ordering::SeqCst);
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

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        if self.file.as_ref().is_some_and(|(.., written)| *written >= FILE_BYTES_MAX) {
            self.close();
        }
        if self.file.is_none() {
            let path = self.names.fresh()?;
            let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
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
            drop(std::fs::rename(&path, path.with_extension(CLOSED)));
        }
    }
}
