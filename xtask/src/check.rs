//! The quick checks that need no database: format, tidy, lints, documentation.

use anyhow::Result;

use crate::docs;
use crate::project::Project;
use crate::steps::{self, Steps, cargo};
use crate::tidy;

/// How many steps [`fast`] runs.
pub(crate) const FAST_STEPS: usize = 3;

/// `cargo xtask check`.
pub(crate) fn run(project: &Project) -> Result<()> {
    let mut run = Steps::new(FAST_STEPS);
    fast(project, &mut run)?;
    run.close();
    Ok(())
}

/// Format, tidy, lints: fast first.
pub(crate) fn fast(project: &Project, run: &mut Steps) -> Result<()> {
    let root = &project.root;
    run.run("format", || steps::run(&mut cargo(root, &["fmt", "--all", "--check"])))?;
    run.run("tidy", || {
        tidy::run(root)?;
        docs::check(root)
    })?;
    run.run("lints", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        steps::run(&mut cargo(root, &arguments))
    })
}

/// The documentation of everything, private items too, without a warning.
pub(crate) fn documentation(project: &Project) -> Result<()> {
    let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    steps::run(cargo(&project.root, &arguments).env("RUSTDOCFLAGS", "-D warnings"))
}
