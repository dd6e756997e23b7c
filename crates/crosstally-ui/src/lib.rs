//! What browsers are served: the script, built from `web/script` by `cargo xtask web` and committed, so that a build needs
//! no Node.
//!
//! **Invariant**: bytes and nothing else: knows no crate of ours, no door and no configuration.

/// The browser script.
pub const SCRIPT: &[u8] = include_bytes!("../dist/t.js");
/// The same, compressed with Brotli.
pub const SCRIPT_BROTLI: &[u8] = include_bytes!("../dist/t.js.br");
/// The same, compressed with gzip.
pub const SCRIPT_GZIP: &[u8] = include_bytes!("../dist/t.js.gz");

/// The most that the script may weigh on its way to a browser, whichever of the two it reads.
pub const SCRIPT_BYTES_MAX: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_weighs_no_more_than_was_promised() {
        for (name, bytes) in [("gzip", SCRIPT_GZIP), ("brotli", SCRIPT_BROTLI)] {
            assert!((500..=SCRIPT_BYTES_MAX).contains(&bytes.len()), "{name}: {} bytes", bytes.len());
        }
        assert!(SCRIPT_GZIP.starts_with(&[0x1f, 0x8b]));
    }

    #[test]
    fn the_script_runs_under_a_strict_content_security_policy() {
        let text = String::from_utf8_lossy(SCRIPT);
        for word in ["eval(", "new Function", "innerHTML", "document.write", "javascript:", "XMLHttpRequest"]
        {
            assert!(!text.contains(word), "{word}");
        }
    }
}
