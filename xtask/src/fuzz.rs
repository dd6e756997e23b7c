//! `cargo xtask fuzz`: the fuzz targets led by coverage, for as long as one likes. Continuous integration runs the same
//! targets as tests, on the kept corpora and a fixed number of inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::project::Project;
use crate::steps::{self, Steps, cargo};

/// What to run, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The targets; without any, all of them, one after the other
    targets: Vec<String>,
    /// Minutes for each target
    #[arg(long, default_value_t = 10, value_name = "N")]
    minutes: u32,
    /// Keep the inputs that reach something new in `fuzz/corpus/`
    #[arg(long)]
    keep: bool,
}

/// Coverage for libFuzzer, by options that a stable compiler takes.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Bytes of the longest input.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Seconds after which one input counts as a hang.
const HANG_SECONDS: u32 = 10;
/// Memory beyond which one input counts as a flood.
const MEMORY_MB_MAX: u32 = 2_048;

/// The program that libFuzzer is in.
struct Fuzzer {
    program: PathBuf,
    /// Where inputs are laid out.
    work: PathBuf,
}

/// Builds, runs each target for its time, and reports every one that failed.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let fuzzer = build(project)?;
    let targets = fuzzer.targets(&options.targets)?;
    let mut run = Steps::new(targets.len());
    let mut failed = Vec::new();
    for target in &targets {
        // One target that fails does not keep the others from running.
        if let Err(error) = run.run(target, || fuzzer.fuzz(target, options.minutes * 60)) {
            steps::say(&format!("{error:#}"));
            failed.push(target.as_str());
        }
        if options.keep {
            fuzzer.keep(target)?;
        }
    }
    if failed.is_empty() {
        run.close();
        return Ok(());
    }
    bail!(
        "failed: {}; what they fail on is kept in fuzz/corpus, `cargo xtask test --only fuzz` replays it",
        failed.join(", ")
    )
}

fn build(project: &Project) -> Result<Fuzzer> {
    let target = project.target.join("fuzz");
    let host = host()?;
    let manifest = project.root.join("fuzz/Cargo.toml");
    // For a named machine, so that build scripts and macros are not measured.
    let mut command =
        cargo(&project.root, &["build", "--release", "--locked", "--target", &host, "--manifest-path"]);
    steps::run(command.arg(manifest).env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target))?;
    Ok(Fuzzer { program: target.join(host).join("release/crosstally-fuzz"), work: target.join("inputs") })
}

/// The machine that the compiler builds for.
fn host() -> Result<String> {
    let about = steps::capture(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it builds for")?.to_owned())
}

impl Fuzzer {
    fn order(&self, target: &str, order: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("CROSSTALLY_FUZZ_TARGET", target).env("CROSSTALLY_FUZZ_DO", order);
        command
    }

    /// The targets that were asked for.
    fn targets(&self, wanted: &[String]) -> Result<Vec<String>> {
        let listed = steps::capture(&mut self.order("", "list"))?;
        let all: Vec<String> = listed.lines().map(str::to_owned).collect();
        if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
            bail!("no target is called `{unknown}`; there are {}", all.join(", "));
        }
        Ok(if wanted.is_empty() { all } else { wanted.to_vec() })
    }

    fn folder(&self, target: &str) -> PathBuf {
        self.work.join(target)
    }

    /// Seeds, kept inputs, and what earlier runs on this machine have found.
    fn lay_out(&self, target: &str) -> Result<()> {
        fs::create_dir_all(self.folder(target))?;
        steps::run(&mut self.order(target, &format!("lay-out {}", self.folder(target).display())))
    }

    fn fuzz(&self, target: &str, seconds: u32) -> Result<()> {
        self.lay_out(target)?;
        let folder = self.folder(target);
        let found = self.work.join(format!("{target}-found"));
        fs::create_dir_all(&found)?;
        let mut command = self.order(target, "");
        command.arg(&folder).args([
            format!("-dict={}", folder.with_extension("words").display()),
            format!("-artifact_prefix={}/", found.display()),
            format!("-max_total_time={seconds}"),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-timeout={HANG_SECONDS}"),
            format!("-rss_limit_mb={MEMORY_MB_MAX}"),
            "-print_final_stats=1".to_owned(),
        ]);
        let outcome = steps::run(&mut command);
        // Whatever broke a property is replayed from now on.
        if holds_files(&found)? {
            steps::run(&mut self.order(target, &format!("add {}", found.display())))?;
            fs::remove_dir_all(&found)?;
        }
        outcome
    }

    /// Of all inputs of this machine the fewest that reach as much become the kept corpus.
    fn keep(&self, target: &str) -> Result<()> {
        let fewest = self.work.join(format!("{target}-fewest"));
        if fewest.try_exists()? {
            fs::remove_dir_all(&fewest)?;
        }
        fs::create_dir_all(&fewest)?;
        let mut command = self.order(target, "");
        steps::run(command.arg("-merge=1").arg(&fewest).arg(self.folder(target)))?;
        steps::run(&mut self.order(target, &format!("keep {}", fewest.display())))
    }
}

fn holds_files(folder: &Path) -> Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_some())
}
