//! Other people's libraries as judges of our requests: those in Python in a virtual environment, those in JavaScript in
//! `node_modules`, both below the target folder. Nothing of theirs is kept in this repository but names and versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::machine;
use crate::project::Project;
use crate::steps;

/// What the tests read to find the Python.
const PYTHON_VARIABLE: &str = "CROSSTALLY_TEST_ORACLE_PYTHON";
/// What they read to find the folder with `node_modules`.
const NODE_VARIABLE: &str = "CROSSTALLY_TEST_ORACLE_NODE";

/// The judges in Python, at the versions whose behaviour the tests know. Those in JavaScript stand in `package.json`
/// beside the tests.
const PACKAGES: [&str; 4] = [
    "facebook_business==26.0.3",
    "standardwebhooks==1.1.0",
    "google-ads-datamanager-util==0.4.0",
    "pinterest-generated-client==0.1.12",
];
const IMPORTS: &str = "import facebook_business.adobjects.serverside.event, standardwebhooks.webhooks, \
     google.ads.datamanager_util, openapi_generated.pinterest_client";

/// Where the tests find their judges.
#[derive(Debug)]
pub(crate) struct Judges {
    python: PathBuf,
    node: PathBuf,
}

impl Judges {
    /// Names them in a command's environment.
    pub(crate) fn name_in(&self, command: &mut Command) {
        command.env(PYTHON_VARIABLE, &self.python).env(NODE_VARIABLE, &self.node);
    }
}

/// Installs the judges that are not there.
pub(crate) fn prepare(project: &Project) -> Result<Judges> {
    Ok(Judges { python: python(&project.target)?, node: node(&project.root, &project.target)? })
}

fn python(target: &Path) -> Result<PathBuf> {
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
    machine::emptied(folder)?;
    steps::capture(Command::new("python3").args(["-m", "venv"]).arg(folder)).map(drop)
}

fn imports(python: &Path) -> Result<String> {
    steps::capture(Command::new(python).args(["-c", IMPORTS]))
}

fn node(root: &Path, target: &Path) -> Result<PathBuf> {
    machine::install_node_packages(
        &root.join("crates/crosstally/tests/it/oracle"),
        &target.join("oracle-node"),
        "the judges in JavaScript",
    )
}
