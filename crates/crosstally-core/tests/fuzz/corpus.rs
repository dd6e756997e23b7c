//! Kept inputs: one file per target, one input per line, every byte that is not plain text escaped as in Rust's `b"…"`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn file(folder: &str, target: &str) -> PathBuf {
    Path::new(folder).join(format!("{target}.inputs"))
}

/// The inputs of a target; none if nothing was kept yet.
pub(crate) fn read(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(file(folder, target)).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(unescaped).collect()
}

/// Keeps one more input.
pub(crate) fn add(folder: &str, target: &str, input: &[u8]) {
    if !read(folder, target).iter().any(|known| known == input) {
        let opened = fs::OpenOptions::new().create(true).append(true).open(file(folder, target));
        let written = opened.and_then(|mut file| writeln!(file, "{}", input.escape_ascii()));
        assert!(written.is_ok(), "the input could not be kept: {written:?}");
    }
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                    let (high, low) = (digit().unwrap_or(0), digit().unwrap_or(0));
                    u8::try_from(high << 4 | low).unwrap_or(0)
                }
                Some(other) => other,
                None => b'\\',
            },
            plain => plain,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back() {
        let folder = std::env::temp_dir().join(format!("crosstally-corpus-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.to_string_lossy().into_owned();
        let every: Vec<u8> = (0..=255).chain(*b"\\x41\\\\\"'").collect();
        for input in [&every[..], b"", b"a=1&b=2", &every] {
            add(&path, "every", input);
        }
        let kept: Vec<Vec<u8>> = vec![every, b"a=1&b=2".to_vec()];
        assert_eq!(read(&path, "every"), kept);
        fs::remove_dir_all(&folder).expect("the folder");
    }
}
