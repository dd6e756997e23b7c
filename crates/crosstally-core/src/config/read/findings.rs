//! Collects what is wrong and what is unwise, each with its line and column.

use crate::config::{Problem, Warning};
use crate::nearest::nearest;

/// Problems that are told at once; a document with more is not the one that somebody meant.
const PROBLEMS_MAX: usize = 100;
/// Most words that a message lists, and most that are compared to find what was meant.
const LISTED_MAX: usize = 24;
const COMPARED_MAX: usize = 1_000;

/// A place in the document: an offset in bytes, and the key it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// The offset.
    pub(super) at: usize,
    /// The key, such as `partner[acme].auth.token`.
    pub(super) path: String,
}

/// What was found so far.
pub(super) struct Findings<'d> {
    file: &'d str,
    document: &'d str,
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    untold: usize,
    warnings: Vec<Warning>,
}

impl<'d> Findings<'d> {
    pub(super) fn new(document: &'d str, file: &'d str) -> Self {
        let ends = document.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(ends).collect();
        Self { file, document, line_starts, problems: Vec::new(), untold: 0, warnings: Vec::new() }
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, spot: &Spot, problem: impl Into<String>, fix: impl Into<String>) {
        if self.is_full() {
            self.untold += 1;
            return;
        }
        let (line, column) = self.position(spot.at);
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line,
            column,
            path: spot.path.clone(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    /// Notes something unwise.
    pub(super) fn warning(&mut self, spot: &Spot, problem: impl Into<String>, fix: impl Into<String>) {
        let (line, column) = self.position(spot.at);
        self.warnings.push(Warning {
            file: self.file.to_owned(),
            line,
            column,
            path: spot.path.clone(),
            problem: problem.into(),
            fix: fix.into(),
        });
    }

    /// Whether no more problems are told.
    pub(super) const fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    /// A fix for a word that is not known: what was probably meant, else what is known.
    pub(super) fn meant<'w>(&self, word: &str, known: impl IntoIterator<Item = &'w str>) -> String {
        let known: Vec<&str> = known.into_iter().take(COMPARED_MAX).collect();
        self.near(word, known.iter().copied())
            .map_or_else(|| format!("use {}", one_of(&known)), |near| format!("did you mean `{near}`?"))
    }

    /// The known word that was probably meant.
    pub(super) fn near<'w>(&self, word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
        // Comparing is dear; nobody reads it once the list is full.
        if self.is_full() { None } else { nearest(word, known.into_iter().take(COMPARED_MAX)) }
    }

    /// The line of a place.
    pub(super) fn line(&self, at: usize) -> usize {
        self.position(at).0
    }

    /// Line and column, both from 1, columns in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.document.get(start..at).unwrap_or("");
        (line, before.chars().filter(|c| *c != '\u{feff}').count() + 1)
    }

    /// Everything, in the order of the document.
    pub(super) fn into_parts(mut self) -> (Vec<Problem>, Vec<Warning>) {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.warnings.sort_by_key(|warning| (warning.line, warning.column));
        if let (1.., Some(last)) = (self.untold, self.problems.last().cloned()) {
            self.problems.push(Problem {
                path: String::new(),
                problem: format!("there are {} more problems", self.untold),
                fix: "mend those above and check again".to_owned(),
                ..last
            });
        }
        (self.problems, self.warnings)
    }
}

/// A list of words for a sentence: "one of `a`, `b`".
pub(super) fn one_of(words: &[&str]) -> String {
    let listed: Vec<String> = words.iter().take(LISTED_MAX).map(|word| format!("`{word}`")).collect();
    match listed.as_slice() {
        [] => "none: there are none yet".to_owned(),
        [only] => only.clone(),
        many if words.len() > LISTED_MAX => format!("one of {}, …", many.join(", ")),
        many => format!("one of {}", many.join(", ")),
    }
}
