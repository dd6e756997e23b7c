//! A small made-up repository in a temporary folder, so that each check is seen to go red.

use std::fs;

use tempfile::TempDir;

use super::tree::Tree;

/// The repository; gone when dropped.
pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    /// Writes the files, each given as path and text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        Self { folder }
    }

    /// Reads it as tidy does.
    pub(crate) fn tree(&self) -> Tree {
        Tree::read(self.folder.path()).expect("a readable tree")
    }
}
