//! Runs of the tools.

use crosstally_core::ids::RunId;

use super::rows::{Id, Text};
use super::transact::Value;
use super::{Postgres, rows};
use crate::{StoreError, ToolRun, WORKSPACE};

const COLUMNS: &str = "id, at, tool, author, passed, request, answer, sealed";

// The rows to forget are those of before the new one, which the statement does not see yet.
const ADD: &str = "WITH gone AS (
        DELETE FROM tool_runs WHERE workspace = $1 AND tool = $4 AND id <=
            (SELECT id FROM tool_runs WHERE workspace = $1 AND tool = $4 ORDER BY id DESC LIMIT 1 OFFSET $10)
    )
    INSERT INTO tool_runs (workspace, id, at, tool, author, passed, request, answer, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

impl Postgres {
    pub(crate) async fn add_tool_run(&self, run: ToolRun, keep: u32) -> Result<(), StoreError> {
        let values: [&Value<'_>; 10] = [
            &WORKSPACE,
            &Id::from(run.id),
            &run.at.as_millis(),
            &Text(&run.tool),
            &Text(&run.author),
            &run.passed,
            &Text(&run.request),
            &Text(&run.answer),
            &run.sealed,
            &i64::from(keep.saturating_sub(1)),
        ];
        self.engine.write(ADD, &values).await.map(drop)
    }

    pub(crate) async fn tool_run(&self, id: RunId) -> Result<Option<ToolRun>, StoreError> {
        let ask = format!("SELECT {} FROM tool_runs WHERE workspace = $1 AND id = $2", COLUMNS);
        self.engine.read(&ask, &[&WORKSPACE, &Id::from(id)]).await?.first().map(read).transpose()
    }

    pub(crate) async fn list_tool_runs(
        &self,
        tool: Option<String>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<ToolRun>, StoreError> {
        let ask = format!(
            "SELECT {} FROM tool_runs WHERE workspace = $1 AND ($2::text IS NULL OR tool = $2)
            AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
            COLUMNS
        );
        let (tool, before) = (tool.as_deref().map(Text), before.map(Id::from));
        let found = self.engine.read(&ask, &[&WORKSPACE, &tool, &before, &i64::from(limit)]).await?;
        found.iter().map(read).collect()
    }
}

fn read(row: &tokio_postgres::Row) -> Result<ToolRun, StoreError> {
    Ok(ToolRun {
        id: RunId::from_bytes(rows::id(row, 0)?),
        at: rows::time(row, 1)?,
        tool: rows::get(row, 2)?,
        author: rows::get(row, 3)?,
        passed: rows::get(row, 4)?,
        request: rows::get(row, 5)?,
        answer: rows::get(row, 6)?,
        sealed: rows::get(row, 7)?,
    })
}
