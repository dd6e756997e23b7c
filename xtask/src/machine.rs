//! What is installed here, and installing what is missing where that is ours to do: as root on Debian.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::steps;

/// Whether this process is root: only root owns root's `/proc/self`.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Where a program is, by PATH and the places where Debian puts servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let script = "PATH=\"$PATH:/usr/sbin:/usr/local/sbin:/sbin\" command -v \"$1\"";
    let output = Command::new("sh").args(["-c", script, "sh", name]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    let path = PathBuf::from(path.trim());
    (output.status.success() && path.is_file()).then_some(path)
}

/// Installs Debian packages if this is root on Debian; otherwise one line says what to install.
pub(crate) fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let names = packages.join(" ");
    let debian = Path::new("/etc/debian_version").is_file() && find_program("apt-get").is_some();
    if !debian {
        bail!("{purpose} is missing: install it (on Debian: apt-get install {names})");
    }
    if !is_root() {
        bail!("{purpose} is missing: run `sudo apt-get install {names}`");
    }
    steps::say(&format!("{purpose} is missing: installing {names}"));
    apt(&["update", "-q"]).context("apt-get update failed")?;
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend_from_slice(packages);
    apt(&arguments).with_context(|| format!("{purpose} is missing and `apt-get install {names}` failed"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    steps::capture(
        Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_or_not() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-anywhere").is_none());
        assert!(find_program("if").is_none(), "a word of the shell is no program");
    }
}
