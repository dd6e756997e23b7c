//! Writing the write-ahead log back into the database beside the writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::super::connect::{Access, connect};
use super::spawn;
use super::synced;
use crate::OpenError;

/// The write-ahead log is written back when it has this many pages of 4 KB. More pages, fewer writes in all, as hot pages
/// are written back once for many commits; fewer pages, shorter disturbance.
const CHECKPOINT_FRAMES: u32 = 4_000;
/// Past this many pages the writer waits for the checkpointer.
pub(super) const CHECKPOINT_FRAMES_MAX: u32 = 4 * CHECKPOINT_FRAMES;
/// What the checkpointer may leave to the writer, in pages: it is written back and synced while everybody waits.
const REST_FRAMES: u32 = 200;
/// How often the checkpointer goes over the log at most: a writer that is quicker than the disk would never be caught up.
const ROUNDS_MAX: u32 = 3;

/// Writes the write-ahead log back into the database beside the writer.
///
/// Most of a checkpoint happens on a thread of its own while the writer goes on. What the writer added meanwhile it
/// writes back itself between two batches: little, and only then can the log start anew from its beginning.
///
/// SQLite syncs the database only in the pass that reaches the log's end, which is the writer's. All that was written
/// back before would be synced then, with everybody waiting; so it is synced here first.
pub(super) struct Checkpointer {
    wake: flume::Sender<()>,
    rested: flume::Receiver<()>,
    /// Whether the thread was woken and has not been heard of since.
    at_work: bool,
    /// Pages in the log after the last commit.
    frames: Arc<AtomicU32>,
    thread: std::thread::JoinHandle<()>,
}

impl Checkpointer {
    pub(super) fn start(path: PathBuf) -> Result<Self, OpenError> {
        let (wake, woken) = flume::bounded(1);
        let (rest, rested) = flume::bounded(1);
        let frames = Arc::<AtomicU32>::default();
        let in_log = Arc::clone(&frames);
        let thread = spawn("store-checkpoint", move || {
            let mut connection = None;
            while woken.recv().is_ok() {
                if connection.is_none() {
                    connection = connect(&path, Access::Write).ok();
                }
                if let Some(open) = &connection
                    && let Err(error) = catch_up(open, &path, &in_log)
                {
                    tracing::warn!(error = %error, "the write-ahead log could not be written back; it grows");
                    connection = None;
                }
                if rest.send(()).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { wake, rested, at_work: false, frames, thread })
    }

    /// Has the log's length told after every commit on this connection.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let frames = Arc::clone(&self.frames);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            frames.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < CHECKPOINT_FRAMES {
            return;
        }
        if !self.at_work {
            self.at_work = self.wake.try_send(()).is_ok();
        }
        let rests = if frames < CHECKPOINT_FRAMES_MAX {
            self.rested.try_recv().is_ok()
        } else {
            self.rested.recv().is_ok()
        };
        if rests {
            self.at_work = false;
            // If a reader or another process is in the way, the next round gets it.
            if checkpoint(connection).is_ok() {
                self.frames.store(0, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn stop(self) {
        drop((self.wake, self.rested));
        self.thread.join().ok();
    }
}

/// Writes back and syncs, until what the writer added meanwhile is little.
fn catch_up(connection: &Connection, database: &Path, in_log: &AtomicU32) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS_MAX {
        let before = in_log.load(Ordering::Relaxed);
        checkpoint(connection)?;
        synced::sync(database);
        if in_log.load(Ordering::Relaxed).saturating_sub(before) <= REST_FRAMES {
            break;
        }
    }
    Ok(())
}

/// Writes back what can be written back without waiting for anybody.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
