//! The exceptions, each with its reason, from `xtask/tidy-allow.toml`.
//!
//! An exception that nothing needs any more is a finding: the list can only shrink by itself, never grow stale.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::finding::Finding;

/// Where the list is.
pub(crate) const PATH: &str = "xtask/tidy-allow.toml";

/// The list, and which of its entries have been asked for.
#[derive(Default)]
pub(crate) struct Allow {
    entries: Vec<(Kind, Entry)>,
    used: RefCell<BTreeSet<usize>>,
}

/// What an exception is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file over the length.
    LongFile,
    /// A function over the length.
    LongFunction,
    /// A file or function of one dialect.
    Twin,
    /// A folder among the destinations that is none.
    Folder,
    /// A module arrow.
    Arrow,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    long_file: Vec<Entry>,
    long_function: Vec<Entry>,
    twin: Vec<Entry>,
    folder: Vec<Entry>,
    arrow: Vec<Entry>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    #[serde(alias = "function", alias = "to")]
    part: Option<String>,
    reason: String,
}

impl Allow {
    /// Reads the list; no list is an empty one.
    pub(crate) fn read(text: Option<&str>) -> Result<Self> {
        let file: File =
            toml::from_str(text.unwrap_or_default()).with_context(|| format!("cannot read {PATH}"))?;
        let mut entries = Vec::new();
        for (kind, list) in [
            (Kind::LongFile, file.long_file),
            (Kind::LongFunction, file.long_function),
            (Kind::Twin, file.twin),
            (Kind::Folder, file.folder),
            (Kind::Arrow, file.arrow),
        ] {
            entries.extend(list.into_iter().map(|entry| (kind, entry)));
        }
        Ok(Self { entries, used: RefCell::default() })
    }

    /// Whether the list lets this pass.
    pub(crate) fn has(&self, kind: Kind, path: &str, part: Option<&str>) -> bool {
        let place = self
            .entries
            .iter()
            .position(|(k, entry)| *k == kind && entry.path == path && entry.part.as_deref() == part);
        place.is_some_and(|place| {
            self.used.borrow_mut().insert(place);
            true
        })
    }

    /// Entries without a reason, and entries that nothing asked for. Call it after all other checks.
    pub(crate) fn check(&self) -> Vec<Finding> {
        let used = self.used.borrow();
        let mut findings = Vec::new();
        for (place, (kind, entry)) in self.entries.iter().enumerate() {
            let name = format!("{kind:?} {} {}", entry.path, entry.part.as_deref().unwrap_or_default());
            if entry.reason.trim().is_empty() {
                findings.push(Finding::of(PATH, format!("{name}: no reason"), "say why in one sentence"));
            }
            if !used.contains(&place) {
                let what = format!("{name}: nothing needs this exception");
                findings.push(Finding::of(PATH, what, "delete the entry"));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn stale_and_unreasoned_entries_are_findings() {
        let allow = Allow::read(Some(
            "[[long_file]]\npath='a.rs'\nreason='a table'\n[[long_file]]\npath='b.rs'\nreason=' '\n",
        ))
        .unwrap();
        assert!(!allow.has(Kind::LongFile, "c.rs", None));
        assert!(!allow.has(Kind::Twin, "a.rs", None));
        assert!(allow.has(Kind::LongFile, "b.rs", None));
        let said: Vec<_> = allow.check().into_iter().map(|f| f.what).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("a.rs") && said[0].contains("nothing needs"));
        assert!(said[1].contains("b.rs") && said[1].contains("no reason"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(Allow::read(Some("[[long_files]]\npath='a'\nreason='b'\n")).is_err());
    }
}
