//! Fuzz targets led by coverage: libFuzzer runs one target of crosstally-core's test `fuzz`, named by
//! `CROSSTALLY_FUZZ_TARGET`. `cargo xtask fuzz` builds this, lays out the inputs, and keeps those that found something.
//!
//! **Invariant**: knows nothing of a target but its name, its seeds and its words; whatever must hold is said there.
#![no_main]

/// The test's own modules.
#[path = "../../crates/crosstally-core/tests/fuzz"]
mod fuzz {
    pub(crate) mod corpus;
    pub(crate) mod input;
    pub(crate) mod partners;
    pub(crate) mod samples;
    pub(crate) mod targets;
}

use std::path::Path;
use std::sync::LazyLock;
use std::{env, fs, process};

use fuzz::targets::Target;
use fuzz::{corpus, input, partners, samples, targets};
use libfuzzer_sys::fuzz_target;

/// Where the presets are.
const PRESETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/crosstally-core/presets");
/// Where the kept corpora are.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = env::var("CROSSTALLY_FUZZ_TARGET").unwrap_or_default();
    targets::named(&name).unwrap_or_else(|| {
        let known: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        eprintln!("no target is called `{name}`; there are {}", known.join(", "));
        process::exit(2)
    })
});

/// What is to be done instead of fuzzing, by `CROSSTALLY_FUZZ_DO`: `list`, `lay-out FOLDER`,
/// `add FOLDER` or `keep FOLDER`.
fn prepare() {
    let order = env::var("CROSSTALLY_FUZZ_DO").unwrap_or_default();
    match order.split_once(' ').unwrap_or((&order, "")) {
        ("", _) => return,
        ("list", _) => targets::ALL.iter().for_each(|target| println!("{}", target.name)),
        ("lay-out", folder) => lay_out(Path::new(folder)),
        ("add", folder) => inputs(Path::new(folder)).iter().for_each(add),
        ("keep", folder) => keep(Path::new(folder)),
        (other, _) => eprintln!("`{other}` is not known"),
    }
    process::exit(0)
}

/// Seeds and kept inputs as one file each, and the words as libFuzzer reads them.
fn lay_out(folder: &Path) {
    let inputs = (TARGET.seeds)().into_iter().chain(corpus::read(CORPUS, TARGET.name));
    for (number, input) in inputs.enumerate() {
        fs::write(folder.join(format!("known-{number:05}")), input).expect("a folder to write to");
    }
    let quoted = |word: &&str| {
        let bytes: String = word.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{bytes}\"\n")
    };
    let words: String = TARGET.words.iter().map(quoted).collect();
    fs::write(folder.with_extension("words"), words).expect("a folder to write to");
}

fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder).expect("a folder of inputs");
    files.filter_map(|entry| fs::read(entry.ok()?.path()).ok()).collect()
}

fn add(input: &Vec<u8>) {
    corpus::add(CORPUS, TARGET.name, input);
}

/// The inputs of a folder join the target's kept corpus: short and long ones, and no more than a repository should hold.
fn keep(folder: &Path) {
    const INPUTS_MAX: usize = 300;
    const BYTES_MAX: usize = 1_024;
    const ALL_BYTES_MAX: usize = 48 * 1_024;
    let kept = corpus::read(CORPUS, TARGET.name);
    let seeds = (TARGET.seeds)();
    let mut inputs = inputs(folder);
    inputs.retain(|input| input.len() <= BYTES_MAX && !seeds.contains(input) && !kept.contains(input));
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    let room = INPUTS_MAX.saturating_sub(kept.len()).max(1);
    let mut bytes: usize = kept.iter().map(Vec::len).sum();
    for input in inputs.iter().step_by(inputs.len().div_ceil(room).max(1)) {
        bytes += input.len();
        if bytes <= ALL_BYTES_MAX {
            add(input);
        }
    }
}

fuzz_target!(init: prepare(), |data: &[u8]| (TARGET.run)(data));
