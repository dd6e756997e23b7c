//! A real browser for the tests: Debian's Chromium, found or installed, and the library that drives it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::machine;
use crate::project::Project;
use crate::steps;
use crate::web;

/// What the tests read to find the browser.
const PROGRAM: &str = "CROSSTALLY_TEST_CHROMIUM";
/// What they read to find the library that drives it.
const MODULES: &str = "CROSSTALLY_TEST_WEB";
/// Under which names it is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// A browser and its driver.
#[derive(Debug)]
pub(crate) struct Browser {
    program: PathBuf,
    modules: PathBuf,
}

impl Browser {
    /// Names them in a command's environment.
    pub(crate) fn name_in(&self, command: &mut Command) {
        command.env(PROGRAM, &self.program).env(MODULES, &self.modules);
    }
}

/// Finds or installs both.
pub(crate) fn prepare(project: &Project) -> Result<Browser> {
    Ok(Browser { program: find_or_install()?, modules: web::packages(project)? })
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(program) = find() {
        return Ok(program);
    }
    machine::install(&["chromium"], "Chromium (for the tests of the browser script)")?;
    find().context("Chromium was installed, but is not in PATH")
}

fn find() -> Option<PathBuf> {
    let program = NAMES.into_iter().find_map(machine::find_program)?;
    // A name in PATH may be a stub that only says how to install it.
    let version = steps::capture(Command::new(&program).arg("--version")).ok()?;
    steps::say(version.trim());
    Some(program)
}

/// `cargo xtask chromium -- CMD`: hands on the command's exit code.
pub(crate) fn run_beside(project: &Project, command: &[OsString]) -> Result<u8> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command given") };
    let browser = prepare(project)?;
    let mut beside = Command::new(program);
    browser.name_in(beside.args(arguments));
    let status = beside.status().with_context(|| format!("cannot run {}", program.to_string_lossy()))?;
    let code = status.code().context("the command was ended by a signal")?;
    Ok(u8::try_from(code).unwrap_or(1))
}
