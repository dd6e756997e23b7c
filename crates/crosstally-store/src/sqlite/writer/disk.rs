//! How much the calling thread had to fetch from the disk.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes fetched from the disk itself so far; what the system had in memory does not count.
pub(super) type DiskReads = Box<dyn FnMut() -> u64 + Send>;

/// The system's own count for the thread that asks first, which must go on asking. Zero for ever where there is none.
pub(super) fn disk_reads() -> DiskReads {
    let mut account = None;
    Box::new(move || {
        let account = account.get_or_insert_with(|| File::open("/proc/thread-self/io").ok());
        let mut text = [0; 512];
        let length = account.as_ref().and_then(|account| account.read_at(&mut text, 0).ok()).unwrap_or(0);
        text.get(..length).and_then(fetched).unwrap_or(0)
    })
}

fn fetched(account: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(account).ok()?;
    text.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_account_is_read() {
        assert_eq!(fetched(b"rchar: 6976\nwchar: 0\nread_bytes: 40960\nwrite_bytes: 1\n"), Some(40_960));
        assert_eq!(fetched(b"rchar: 6976\n"), None);
        let mut reads = disk_reads();
        assert!(reads() <= reads(), "it never goes back");
    }
}
