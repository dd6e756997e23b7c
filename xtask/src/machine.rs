//! What is installed here, and installing what is missing where that is ours to do: as root on Debian.

use std::fs;
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

/// Installs exactly what a folder's lock file names, by its hashes, into a folder of the target; no package runs a script of
/// its own while it is installed.
pub(crate) fn install_node_packages(given: &Path, folder: &Path, what: &str) -> Result<PathBuf> {
    let stamp = folder.join("installed");
    let lock = fs::read_to_string(given.join("package-lock.json"))
        .with_context(|| format!("the lock file of {what}"))?;
    if fs::read_to_string(&stamp).is_ok_and(|text| text == lock) {
        steps::say(&format!("{what}: in place"));
        return Ok(folder.to_path_buf());
    }
    if ["node", "npm"].iter().any(|name| find_program(name).is_none()) {
        install(&["nodejs", "npm"], "Node.js with npm (for the tests)")?;
    }
    emptied(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(given.join(name), folder.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    steps::run(Command::new("npm").args(install).current_dir(folder))
        .with_context(|| format!("cannot install {what} from the npm registry"))?;
    fs::write(&stamp, lock).context("cannot mark the folder as whole")?;
    Ok(folder.to_path_buf())
}

/// Removes a folder: half an environment is worse than none.
pub(crate) fn emptied(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
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
