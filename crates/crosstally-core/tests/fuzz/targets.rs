//! Every target: what it runs, what it begins with, and the words of its grammar.

mod events;
mod form;
mod json;
mod kept;
mod macros;
mod money;
mod proxy;
mod query;
mod rates;
mod sample;
mod signature;
mod status;

/// A target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Reads an input, and panics if something does not hold that must.
    pub(crate) run: fn(&[u8]),
    /// The inputs that it begins with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// The words of its grammar.
    pub(crate) words: &'static [&'static str],
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// All targets.
        pub(crate) const ALL: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name::run,
            seeds: $name::seeds,
            words: $name::WORDS,
        },)*];
    };
}

targets! { query form json macros money status signature proxy kept events rates sample }

/// The target of this name.
pub(crate) fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
