//! Other people's libraries as judges of our requests, Meta's own Python SDK among them: a virtual environment below the
//! target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::steps;

/// What the tests read to find the interpreter.
pub(crate) const VARIABLE: &str = "CROSSTALLY_TEST_ORACLE_PYTHON";

/// The judges, at the versions whose behaviour the tests know.
const PACKAGES: [&str; 2] = ["facebook_business==26.0.3", "standardwebhooks==1.1.0"];

/// Makes the environment if it is not there, and gives its interpreter.
pub(crate) fn prepare(target: &Path) -> Result<PathBuf> {
    let folder = target.join("oracle-venv");
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    let packages = PACKAGES.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == packages) && imports(&python).is_ok() {
        steps::say(&format!("{packages} are in place"));
        return Ok(python);
    }
    if make(&folder).is_err() {
        machine::install(&["python3", "python3-venv"], "Python with venv (for the SDK oracle)")?;
        make(&folder)?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    steps::run(Command::new(&python).args(install).args(PACKAGES))
        .with_context(|| format!("cannot install {packages} from PyPI"))?;
    imports(&python).context("the judges were installed but cannot be imported")?;
    fs::write(&stamp, packages).context("cannot mark the environment as whole")?;
    Ok(python)
}

/// Starts from nothing: half an environment is worse than none.
fn make(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    steps::capture(Command::new("python3").args(["-m", "venv"]).arg(folder)).map(drop)
}

fn imports(python: &Path) -> Result<String> {
    steps::capture(
        Command::new(python)
            .args(["-c", "import facebook_business.adobjects.serverside.event, standardwebhooks.webhooks"]),
    )
}
