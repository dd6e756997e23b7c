//! Asking a judge: a script beside these tests, in a language whose library is the judge, one JSON value a line each way.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The variable that `cargo xtask test` sets to a Python with the libraries.
const PYTHON: &str = "CROSSTALLY_TEST_ORACLE_PYTHON";
/// The variable that it sets to a folder with `node_modules`.
const NODE: &str = "CROSSTALLY_TEST_ORACLE_NODE";

#[expect(
    clippy::disallowed_methods,
    reason = "the test command hands over its surroundings in the environment"
)]
fn surroundings(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run `cargo xtask test`"))
}

fn python() -> Result<String> {
    surroundings(PYTHON)
}

/// A file of the packages in JavaScript.
pub(crate) fn installed(path: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(surroundings(NODE)?).join("node_modules").join(path))
}

/// A command that runs one of the scripts beside this file.
pub(super) fn script(name: &str) -> Result<Command> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle").join(name);
    let mut command = if path.extension().is_some_and(|end| end == "py") {
        Command::new(python()?)
    } else {
        let mut node = Command::new("node");
        node.env("NODE_PATH", installed("")?);
        node
    };
    command.arg(path);
    Ok(command)
}

/// What a judge says to each of the inputs, in their order.
pub(super) fn ask(name: &str, inputs: &[Value]) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("inputs.ndjson");
    let lines: Vec<String> = inputs.iter().map(Value::to_string).collect();
    std::fs::write(&file, lines.join("\n"))?;
    let output = script(name)?.arg(&file).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let said = String::from_utf8(output.stdout)?;
    let answers = said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect::<Result<Vec<Value>>>()?;
    ensure!(answers.len() == inputs.len(), "{name}: {} answers to {}", answers.len(), inputs.len());
    Ok(answers)
}
