//! Fuzz targets with a fixed budget: each reads whatever bytes it is given and asserts what must hold for all of them.
//!
//! Here every target replays its seeds and its kept corpus (`fuzz/corpus/`), then runs the same number of inputs made from
//! them, from the same random numbers every time. `cargo xtask fuzz` runs the same targets for hours, led by coverage.

mod corpus;
mod input;
mod mutate;
mod partners;
mod samples;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mutate::Mutations;
use targets::Target;

/// Where the presets are.
const PRESETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
/// Where the kept corpora are.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
/// Inputs that are made for a target beyond its corpus.
const MADE: usize = 8_000;

/// How many inputs to make: `CROSSTALLY_FUZZ_INPUTS`, for more than the fixed budget without coverage.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment how long to run")]
fn made() -> usize {
    std::env::var("CROSSTALLY_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MADE)
}

fn run(target: &Target) {
    let mut inputs = (target.seeds)();
    inputs.extend(corpus::read(CORPUS, target.name));
    for input in &inputs {
        one(target, input);
    }
    let mut mutations = Mutations::new(target.words, &inputs);
    for _ in 0..made() {
        one(target, &mutations.next_input());
    }
}

/// One input. One that breaks a property is kept, so that it is replayed for ever.
fn one(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("the target `{}` fails on b\"{}\"", target.name, input.escape_ascii());
        corpus::add(CORPUS, target.name, input);
        resume_unwind(panic);
    }
}

macro_rules! fuzz {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(targets::named(stringify!($name)).expect("a target of this name"));
        })*

        #[test]
        fn every_target_is_a_test() {
            let listed: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
            assert_eq!(listed, [$(stringify!($name)),*]);
        }
    };
}

fuzz! { query form json macros money status signature proxy kept events rates sample }
