//! The files of the repository, read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::source::Source;

/// Files larger than this are data, not text that a person wrote.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The kinds of files that are read.
const TEXT: [&str; 17] = [
    "rs", "toml", "md", "sql", "sh", "py", "lua", "conf", "yml", "yaml", "json", "ts", "tsx", "css", "html",
    "service", "txt",
];

/// Folders that hold no work of ours, wherever they stand.
const SKIPPED: [&str; 3] = [".git", "node_modules", "__pycache__"];

/// All text of the repository by its path, with `/` between the parts.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
}

impl Tree {
    /// Reads everything below `root` that is not built, downloaded or generated.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(root, "", &mut files)?;
        let sources = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.clone(), Source::new(text)))
            .collect();
        Ok(Self { files, sources })
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Every file with its text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file below a folder (`""` for all), scanned.
    pub(crate) fn sources<'a>(&'a self, below: &'a str) -> impl Iterator<Item = (&'a str, &'a Source)> {
        self.sources
            .iter()
            .filter(move |(path, _)| path.starts_with(below))
            .map(|(path, source)| (path.as_str(), source))
    }

    /// One Rust file, scanned.
    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }

    /// The folders of all packages of the workspace: `crates/*` and `xtask`.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.files.keys().filter_map(|path| {
            let folder = path.strip_suffix("/Cargo.toml")?;
            let parts: Vec<_> = folder.split('/').collect();
            (matches!(parts.as_slice(), ["crates", _] | ["xtask"])).then_some(folder)
        })
    }

    /// The names of the folders directly below a folder.
    pub(crate) fn folders<'a>(&'a self, below: &'a str) -> Vec<&'a str> {
        let mut names: Vec<&str> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(below)?.split_once('/').map(|(name, _)| name))
            .collect();
        names.dedup();
        names
    }
}

fn read_folder(root: &Path, below: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type().with_context(|| format!("cannot look at {path}"))?;
        if kind.is_dir() {
            let built = below.is_empty() && matches!(name.as_str(), "target" | "data");
            let cache = entry.path().join("CACHEDIR.TAG").is_file();
            if !built && !cache && !SKIPPED.contains(&name.as_str()) {
                read_folder(root, &path, files)?;
            }
        } else if kind.is_file()
            && is_text(&path)
            && entry.metadata().is_ok_and(|m| m.len() <= FILE_BYTES_MAX)
        {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(())
}

fn is_text(path: &str) -> bool {
    path == ".ci/run" || path.rsplit_once('.').is_some_and(|(_, extension)| TEXT.contains(&extension))
}
