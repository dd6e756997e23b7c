//! Choices between a few words, as a configuration writes them.

/// A choice between a few words.
pub trait Word: Copy + 'static {
    /// All choices, in the order in which messages list them.
    const ALL: &'static [Self];

    /// The word for it.
    fn word(self) -> &'static str;
}
