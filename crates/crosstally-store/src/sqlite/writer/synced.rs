//! Syncing a database file that SQLite has open.
//!
//! Closing any descriptor of a file drops all locks that this process holds on it, SQLite's among them (POSIX, `fcntl`).
//! So what is opened here is never closed: one descriptor for each database that a process ever writes to.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// With the device and the number of the file, as another file may come to the same path.
static FILES: Mutex<Vec<(u64, u64, Arc<File>)>> = Mutex::new(Vec::new());

/// Has the disk take what was written to the file. It only saves the next one who does so time: SQLite relies on its own.
pub(super) fn sync(database: &Path) {
    if let Err(error) = file(database).and_then(|file| file.sync_data()) {
        tracing::warn!(error = %error, "the database could not be synced ahead; the next commit does it");
    }
}

fn file(database: &Path) -> io::Result<Arc<File>> {
    let found = std::fs::metadata(database)?;
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let same =
        |(device, number, _): &&(u64, u64, Arc<File>)| (*device, *number) == (found.dev(), found.ino());
    if let Some((_, _, file)) = files.iter().find(same) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(File::open(database)?);
    let opened = file.metadata()?;
    files.push((opened.dev(), opened.ino(), Arc::clone(&file)));
    Ok(file)
}
