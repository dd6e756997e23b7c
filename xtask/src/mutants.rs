//! `cargo xtask mutants`: puts each fault of `crates/*/mutants.toml` into a copy of the tree, and insists that the test that
//! is said to catch it goes red.
//!
//! All faults are put in at once, each behind a switch in the environment, so that the copy is built once; each test is run
//! without its fault, where it must be green, and with it. Needs minutes, and is run by hand when tests or rules change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::project::Project;
use crate::steps::{self, cargo};
use crate::stopwatch::Stopwatch;

/// Names the fault that is switched on.
const SWITCH: &str = "CROSSTALLY_MUTANT";
/// What a fault's text says for "if this fault is switched on".
const WORD: &str = "MUTANT";
/// A test that has not ended by then has failed: some faults make it wait for ever.
const PATIENCE: Duration = Duration::from_secs(150);

/// Which faults.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Faults by name; all by default
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

/// One fault.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// Its name, unique over all crates.
    name: String,
    /// What is wrong, in words.
    fault: String,
    /// The test that catches it: the package, `lib` or the name of its test program, the test's path.
    test: String,
    /// How the fault comes about.
    edit: Vec<Edit>,
}

/// One place that is changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The file, below the crate.
    file: String,
    /// What stands there, once.
    find: String,
    /// What stands there with the fault.
    put: String,
}

/// Where a test is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    package: String,
    target: String,
}

/// Makes the copy, builds it, and runs each test twice.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let mutants = read(&project.root)?;
    let work = project.target.join("mutants");
    let copy = work.join("tree");
    make_copy(&project.root, &copy)?;
    infect(&copy, &mutants)?;
    let chosen: Vec<&Mutant> = mutants
        .iter()
        .map(|(_, mutant)| mutant)
        .filter(|mutant| options.names.is_empty() || options.names.contains(&mutant.name))
        .collect();
    if chosen.is_empty() {
        bail!("no fault is called {}", options.names.join(", "));
    }
    // A target folder of its own: Cargo tells crates of two trees apart by their path below the root, which is the same.
    let programs = build(&copy, &work.join("target"), &chosen)?;
    let (mut survivors, mut green) = (Vec::new(), BTreeSet::new());
    for mutant in &chosen {
        let (place, test) = mutant.place()?;
        let program = programs.get(&place).with_context(|| format!("no test program for {}", mutant.test))?;
        let folder = copy.join("crates").join(&place.package);
        if green.insert(&mutant.test) && !passes(program, &folder, test, None)? {
            bail!("`{}` fails without any fault", mutant.test);
        }
        let caught = !passes(program, &folder, test, Some(&mutant.name))?;
        let verdict = if caught { "caught  " } else { "SURVIVED" };
        steps::say(&format!("{verdict}  {}: {} ({})", mutant.name, mutant.fault, mutant.test));
        if !caught {
            survivors.push(mutant.name.as_str());
        }
    }
    if !survivors.is_empty() {
        bail!("{} of {} faults were not caught: {}", survivors.len(), chosen.len(), survivors.join(", "));
    }
    steps::say(&format!("all {} faults are caught", chosen.len()));
    Ok(())
}

impl Mutant {
    fn place(&self) -> Result<(Place, &str)> {
        let mut words = self.test.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(package), Some(target), Some(test), None) => {
                Ok((Place { package: package.to_owned(), target: target.to_owned() }, test))
            }
            _ => bail!("{}: a test is named by package, `lib` or program, and path", self.name),
        }
    }
}

/// All faults, each with its crate's folder.
fn read(root: &Path) -> Result<Vec<(PathBuf, Mutant)>> {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    let mut crates: Vec<PathBuf> = fs::read_dir(root.join("crates"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    crates.sort();
    for folder in crates {
        let path = folder.join("mutants.toml");
        if !path.is_file() {
            continue;
        }
        let file: File = toml::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let folder = folder.strip_prefix(root)?.to_owned();
        for mutant in file.mutant {
            if !names.insert(mutant.name.clone()) {
                bail!("two faults are called {}", mutant.name);
            }
            all.push((folder.clone(), mutant));
        }
    }
    Ok(all)
}

/// What Git knows or would take up, as it lies on the disk. Files that did not change keep their time, so that little is
/// built anew.
fn make_copy(root: &Path, copy: &Path) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let list = steps::capture(Command::new("git").args(list).current_dir(root))?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        if !from.is_file() {
            continue;
        }
        let bytes = fs::read(&from)?;
        put(&to, &bytes)?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Puts all faults in, each behind its switch.
fn infect(copy: &Path, mutants: &[(PathBuf, Mutant)]) -> Result<()> {
    for (path, text) in &infected_tree(copy, mutants)? {
        put(path, text.as_bytes())?;
    }
    Ok(())
}

/// The files of a tree that any fault changes, with all faults in them: also two that stand in one line have to go together.
fn infected_tree(root: &Path, mutants: &[(PathBuf, Mutant)]) -> Result<BTreeMap<PathBuf, String>> {
    let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (folder, mutant) in mutants {
        let is_on =
            format!("(std::env::var_os(\"{SWITCH}\").is_some_and(|name| name == \"{}\"))", mutant.name);
        for edit in &mutant.edit {
            let path = root.join(folder).join(&edit.file);
            let text = match texts.get(&path) {
                Some(text) => text.clone(),
                None => fs::read_to_string(&path).with_context(|| format!("{} is gone", path.display()))?,
            };
            let text = infected(&text, edit, &is_on)
                .with_context(|| format!("{}: {}", mutant.name, path.display()))?;
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

fn infected(text: &str, edit: &Edit, is_on: &str) -> Result<String> {
    let (find, fault) = (edit.find.trim_end_matches('\n'), edit.put.trim_end_matches('\n'));
    if !fault.contains(WORD) {
        bail!("what is put there does not ask for {WORD}");
    }
    match text.matches(find).count() {
        1 => Ok(text.replacen(find, &fault.replace(WORD, is_on), 1)),
        count => bail!("{find:?} stands there {count} times, not once"),
    }
}

/// Builds the test programs that are needed, and says where they are.
fn build(copy: &Path, target: &Path, mutants: &[&Mutant]) -> Result<BTreeMap<Place, PathBuf>> {
    let places: BTreeSet<Place> =
        mutants.iter().map(|mutant| Ok(mutant.place()?.0)).collect::<Result<_>>()?;
    let mut programs = BTreeMap::new();
    for place in places {
        let mut command =
            cargo(copy, &["test", "--no-run", "--locked", "--message-format", "json", "--package"]);
        command.arg(&place.package).env("CARGO_TARGET_DIR", target);
        match place.target.as_str() {
            "lib" => command.arg("--lib"),
            program => command.args(["--test", program]),
        };
        steps::say(&format!("building {} {}", place.package, place.target));
        let said = steps::capture(&mut command)?;
        let program = said.lines().filter_map(|line| program(line, &place)).next_back();
        programs.insert(place.clone(), program.with_context(|| format!("{} was not built", place.package))?);
    }
    Ok(programs)
}

/// The test program that a line of Cargo's tells of, if it is this one.
fn program(line: &str, place: &Place) -> Option<PathBuf> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = line["executable"].as_str()?;
    let (name, kind) = (line["target"]["name"].as_str()?, line["target"]["kind"][0].as_str()?);
    let is_it = match place.target.as_str() {
        "lib" => kind == "lib" && line["profile"]["test"] == true,
        program => kind == "test" && name == program,
    };
    is_it.then(|| PathBuf::from(path))
}

/// Whether one test passes, with a fault or without.
fn passes(program: &Path, folder: &Path, test: &str, fault: Option<&str>) -> Result<bool> {
    let mut command = Command::new(program);
    command.args(["--exact", test]).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(Stdio::piped()).env_remove(SWITCH);
    if let Some(fault) = fault {
        command.env(SWITCH, fault);
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let out = child.stdout.take().context("it was asked for")?;
    // Read beside, so that a talkative test does not stand still.
    let said = thread::spawn(move || std::io::read_to_string(out).unwrap_or_default());
    let watch = Stopwatch::start();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if watch.elapsed() > PATIENCE {
            child.kill()?;
            break child.wait()?;
        }
        thread::sleep(Duration::from_millis(50));
    };
    if fault.is_none() && status.success() {
        let said = said.join().unwrap_or_default();
        if !said.contains("test result: ok. 1 passed") {
            bail!("there is no test `{test}`");
        }
    }
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(find: &str, put: &str) -> Edit {
        Edit { file: String::new(), find: find.to_owned(), put: put.to_owned() }
    }

    #[test]
    fn a_fault_stands_behind_its_switch_in_one_place() {
        let text = "if a { b }\nif c { d }\n";
        let wrong = infected(text, &edit("if c {\n", "if c && !MUTANT {\n"), "(on)");
        assert_eq!(wrong.ok().as_deref(), Some("if a { b }\nif c && !(on) { d }\n"));
        for odd in [edit("if", "MUTANT"), edit("while", "MUTANT"), edit("if c", "if true")] {
            assert!(infected(text, &odd, "(on)").is_err());
        }
    }

    /// The faults are those of the tree as it stands: each has its place, once, also beside all others.
    #[test]
    fn every_fault_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mutants = read(&root).expect("the faults can be read");
        for (_, mutant) in &mutants {
            mutant.place().expect("a test");
        }
        infected_tree(&root, &mutants).unwrap_or_else(|error| panic!("{error:#}"));
    }
}
