//! The rules of the tree that the compiler does not check. Every finding is printed, with its place and its fix.

mod allow;
mod coverage;
mod cycles;
mod destinations;
mod finding;
#[cfg(test)]
mod fixture;
mod floors;
mod invariant;
mod manifest;
mod size;
mod source;
mod supply;
mod tree;
mod twins;
mod words;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use allow::Allow;
use tree::Tree;

/// Runs every check over the repository at `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let allow = Allow::read(tree.text(allow::PATH))?;
    let mut findings = [
        floors::check(&tree),
        cycles::check(&tree, &allow),
        size::check(&tree, &allow),
        invariant::check(&tree),
        twins::check(&tree, &allow),
        destinations::check(&tree, &allow),
        words::check(&tree),
        coverage::check(&tree),
        manifest::check(&tree),
        supply::check(root, tree.text("deny.toml"))?,
    ]
    .concat();
    // Last: by now every exception that is needed has been asked for.
    findings.extend(allow.check());
    findings.sort();
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => writeln!(out, "tidy: {} files, nothing to mend", tree.files().count())?,
        1 => bail!("tidy: 1 finding"),
        count => bail!("tidy: {count} findings"),
    }
    Ok(())
}
