//! Reading ahead for a batch when the disk is slow to give pages.
//!
//! Each piece of work looks up what it depends on, and the writer does one piece after the other. While the pages are in
//! the system's memory nothing is quicker. When the history has outgrown the memory, a batch waits for the disk once per
//! page and piece. Then what the pieces will look up is looked up side by side first, on connections that only read; the
//! writer, which comes behind, finds the pages in memory. What was read ahead is thrown away: it decides nothing.

use std::path::PathBuf;
use std::thread;

use rusqlite::Connection;

use super::super::connect::{Access, connect_with_cache};
use super::Write;
use super::disk::DiskReads;
use crate::{OpenError, Watch};

/// How many look-ups are under way at once. They wait for the disk, not for a processor.
const READERS: usize = 16;
/// What a reader keeps for itself: the upper pages of a few b-trees.
const READER_CACHE_KB: i64 = 256;
/// From this time for one piece on, in microseconds, reading ahead begins; below the other it ends. Only pieces that had
/// to go to the disk count with their time: on a busy machine a piece that has all in memory can take as long, and
/// more threads would only make it slower.
const SLOW_US: u64 = 250;
const QUICK_US: u64 = 125;
/// What one piece counts at most, so that a single long wait changes nothing.
const SAMPLE_US_MAX: u64 = 1_000;
/// The mean moves by this part of each new sample.
const SMOOTHING: u64 = 8;

/// Knows how long a piece takes that was not read ahead, and reads ahead when that is long.
pub(super) struct Warmer {
    path: PathBuf,
    watch: Watch,
    disk_reads: DiskReads,
    readers: Vec<Connection>,
    mean_us: u64,
    slow: bool,
}

impl Warmer {
    pub(super) const fn new(path: PathBuf, watch: Watch, disk_reads: DiskReads) -> Self {
        Self { path, watch, disk_reads, readers: Vec::new(), mean_us: 0, slow: false }
    }

    /// Does the first piece of a batch, which is never read ahead: it tells how slow the disk is now. If it is slow, the
    /// other pieces are read ahead meanwhile. Whether the first one succeeded.
    pub(super) fn lead(&mut self, connection: &Connection, batch: &mut [Box<dyn Write>]) -> bool {
        let Some((first, others)) = batch.split_first_mut() else { return true };
        if self.slow && self.open_readers().is_err() {
            // Without them everything is right, only slower.
            self.readers.clear();
        }
        let watch = self.watch;
        let (read_before, began) = ((self.disk_reads)(), watch());
        let (succeeded, ended) = thread::scope(|scope| {
            let share = others.len().div_ceil(READERS).max(1);
            for (reader, pieces) in self.readers.iter_mut().zip(others.chunks_mut(share)) {
                let ahead = move || pieces.iter_mut().for_each(|piece| piece.look_up(reader));
                // A thread that cannot be had is work that is not read ahead.
                thread::Builder::new().name("store-ahead".into()).spawn_scoped(scope, ahead).ok();
            }
            (first.work(connection), watch())
        });
        if first.looks_up() {
            let from_memory = (self.disk_reads)() == read_before;
            let took = u64::try_from(ended.saturating_sub(began).as_micros()).unwrap_or(u64::MAX);
            self.learn(if from_memory { 0 } else { took });
        }
        succeeded
    }

    fn learn(&mut self, sample_us: u64) {
        self.mean_us = (self.mean_us * (SMOOTHING - 1) + sample_us.min(SAMPLE_US_MAX)) / SMOOTHING;
        self.slow = self.mean_us >= if self.slow { QUICK_US } else { SLOW_US };
        if !self.slow {
            self.readers.clear();
        }
    }

    fn open_readers(&mut self) -> Result<(), OpenError> {
        while self.readers.len() < READERS {
            self.readers.push(connect_with_cache(&self.path, Access::Read, READER_CACHE_KB)?);
        }
        Ok(())
    }
}
