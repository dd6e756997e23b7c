//! What is wrong with a document, and what is allowed but unwise: where it stands, what it is, and how to mend it.
//!
//! A finding never shows a secret: the texts are made from names, and from values only where they cannot be secrets.

use std::fmt;

use serde::Serialize;

/// Something that keeps a document from being taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The document's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key, such as `partner[acme].auth.token`; empty if it is not about one key.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// How to mend it.
    pub fix: String,
}

/// Something that is allowed but unwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The document's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key.
    pub path: String,
    /// What is unwise.
    pub problem: String,
    /// How to do it better.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, problem, fix, .. } = self;
        write!(out, "{file}:{line}:{column}: {problem}\n  fix: {fix}")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, problem, fix, .. } = self;
        write!(out, "{file}:{line}:{column}: warning: {problem}\n  fix: {fix}")
    }
}
