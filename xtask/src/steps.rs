//! A run of named steps: each with a heading, its commands in full view, its time, and one clear line if it fails.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::stopwatch::Stopwatch;

/// The steps that have run so far.
pub(crate) struct Steps {
    total: usize,
    done: Vec<(String, Duration)>,
    whole: Stopwatch,
}

impl Steps {
    /// A run of `total` steps.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, done: Vec::new(), whole: Stopwatch::start() }
    }

    /// Runs one step. The first that fails ends the run.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        say(&format!("\n=== {}/{} {name}", self.done.len() + 1, self.total));
        let watch = Stopwatch::start();
        let outcome = step();
        let elapsed = watch.elapsed();
        match outcome {
            Ok(value) => {
                say(&format!("--- {name}: ok in {}", seconds(elapsed)));
                self.done.push((name.to_owned(), elapsed));
                Ok(value)
            }
            Err(error) => {
                say(&format!("--- {name}: FAILED after {}", seconds(elapsed)));
                Err(error.context(format!("step `{name}` failed")))
            }
        }
    }

    /// The closing table.
    pub(crate) fn close(self) {
        let mut table = String::from("\n=== all steps ok\n");
        for (name, elapsed) in &self.done {
            // Writing to a string cannot fail.
            let _written = writeln!(table, "{:>9}  {name}", seconds(*elapsed));
        }
        say(&format!("{table}{:>9}  in all", seconds(self.whole.elapsed())));
    }
}

/// Runs a command with its output in view; its failure is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    say(&format!("$ {line}"));
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a command quietly and hands back what it printed; its failure shows everything it said.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A `cargo` command at the root of the repository.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root);
    command
}

/// Talk goes to stderr, so that stdout is left to data.
pub(crate) fn say(text: &str) {
    // A closed stderr is no reason to stop.
    let _written = writeln!(std::io::stderr().lock(), "{text}");
}

/// `12.3 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    format!("{}.{} s", elapsed.as_secs(), elapsed.subsec_millis() / 100)
}

/// A command as a person would type it, without its environment: that may hold passwords.
fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| {
        let argument = argument.to_string_lossy();
        let plain = argument.chars().all(|c| c.is_alphanumeric() || "-_./=:,@+".contains(c));
        if plain && !argument.is_empty() { argument.into_owned() } else { format!("'{argument}'") }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_names_itself_and_shows_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo why; exit 3"])).expect_err("it exits 3");
        let said = format!("{error:#}");
        assert!(said.contains("sh -c 'echo why; exit 3'") && said.contains("exit status: 3"), "{said}");
        assert!(said.ends_with("why\n"), "{said}");
    }

    #[test]
    fn a_failed_step_is_named() {
        let error = Steps::new(1).run("sums", || -> Result<()> { bail!("2 + 2 = 5") }).expect_err("it fails");
        assert_eq!(format!("{error:#}"), "step `sums` failed: 2 + 2 = 5");
    }
}
