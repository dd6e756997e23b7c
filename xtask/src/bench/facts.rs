//! The machine that was measured.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::project::Project;
use crate::steps;
use crate::stopwatch::Stopwatch;

/// How many syncs are timed.
const SYNCS: usize = 200;

/// What a reader must know to compare figures.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Facts {
    cores: usize,
    cpu: String,
    kernel: String,
    memory_mb: u64,
    /// The middle of many: 4 KiB appended and synced to the disk with the data.
    sync_us: u64,
    commit: String,
    /// Whether the work tree differs from the commit.
    changed: bool,
}

impl Facts {
    /// Looks around.
    pub(crate) fn find(project: &Project, folder: &Path) -> Result<Self> {
        let git = |arguments: &[&str]| {
            steps::capture(Command::new("git").args(arguments).current_dir(&project.root)).unwrap_or_default()
        };
        Ok(Self {
            cores: thread::available_parallelism().map_or(0, std::num::NonZero::get),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory_mb: kilobytes(Path::new("/proc/meminfo"), "MemTotal").unwrap_or_default() / 1024,
            sync_us: sync_us(folder)?,
            commit: git(&["rev-parse", "--short=12", "HEAD"]).trim().to_owned(),
            changed: !git(&["status", "--porcelain"]).trim().is_empty(),
        })
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = if self.changed { " with changes" } else { "" };
        write!(
            f,
            "{} cores of {}, {} MB, Linux {}, one synced 4 KiB write {} us, commit {}{changed}",
            self.cores, self.cpu, self.memory_mb, self.kernel, self.sync_us, self.commit
        )
    }
}

/// A field of a `/proc` file.
fn field(path: impl AsRef<Path>, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A field of a `/proc` file that counts kilobytes.
pub(crate) fn kilobytes(path: &Path, name: &str) -> Option<u64> {
    field(path, name)?.split(' ').next()?.parse().ok()
}

fn sync_us(folder: &Path) -> Result<u64> {
    let mut file = fs::File::create(folder.join("sync")).context("cannot write where the data will be")?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let watch = Stopwatch::start();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).context("cannot sync")?;
        times.push(watch.elapsed().as_micros());
    }
    times.sort_unstable();
    Ok(u64::try_from(times[SYNCS / 2])?)
}
