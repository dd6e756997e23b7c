//! Runs of the tools: what was asked, what came out, by whom.

use crosstally_core::ids::RunId;
use crosstally_core::time::Timestamp;

use crate::{Store, StoreError, on};

/// One run of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRun {
    /// Its id.
    pub id: RunId,
    /// When it was.
    pub at: Timestamp,
    /// The tool.
    pub tool: String,
    /// Who asked: a token's name, or `command`.
    pub author: String,
    /// Whether nothing was found that is wrong.
    pub passed: bool,
    /// What was asked, as JSON, masked.
    pub request: String,
    /// What came out, as JSON, masked.
    pub answer: String,
    /// The request as it was, sealed; empty if it may not be kept.
    pub sealed: Vec<u8>,
}

impl Store {
    /// Keeps a run, and of its tool the newest `keep`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_tool_run(&self, run: ToolRun, keep: u32) -> Result<(), StoreError> {
        on!(self, add_tool_run(run, keep))
    }

    /// One run.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn tool_run(&self, id: RunId) -> Result<Option<ToolRun>, StoreError> {
        on!(self, tool_run(id))
    }

    /// Runs, newest first: of one tool, or of all; those before `before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn list_tool_runs(
        &self,
        tool: Option<String>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<ToolRun>, StoreError> {
        on!(self, list_tool_runs(tool, before, limit))
    }
}
