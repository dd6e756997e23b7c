//! Runs of the tools.

use crosstally_core::ids::RunId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, rows};
use crate::{StoreError, ToolRun, WORKSPACE};

const COLUMNS: &str = "id, at, tool, author, passed, request, answer, sealed";

const INSERT: &str =
    "INSERT INTO tool_runs (id, workspace, at, tool, author, passed, request, answer, sealed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FORGET: &str = "DELETE FROM tool_runs WHERE workspace = ?1 AND tool = ?3 AND id <=
    (SELECT id FROM tool_runs WHERE workspace = ?1 AND tool = ?3 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

impl Sqlite {
    pub(crate) async fn add_tool_run(&self, run: ToolRun, keep: u32) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            connection.prepare_cached(INSERT)?.execute(params![
                run.id.as_bytes(),
                WORKSPACE,
                run.at.as_millis(),
                run.tool,
                run.author,
                run.passed,
                run.request,
                run.answer,
                run.sealed,
            ])?;
            connection.prepare_cached(FORGET)?.execute(params![WORKSPACE, keep, run.tool])?;
            Ok(())
        };
        self.engine.write(1, work).await
    }

    pub(crate) async fn tool_run(&self, id: RunId) -> Result<Option<ToolRun>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = format!("SELECT {} FROM tool_runs WHERE id = ?1", COLUMNS);
            Ok(connection.prepare_cached(&ask)?.query_row([id.as_bytes()], read).optional()?)
        };
        self.engine.read(work).await
    }

    pub(crate) async fn list_tool_runs(
        &self,
        tool: Option<String>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<ToolRun>, StoreError> {
        let work = move |connection: &Connection| {
            let ask = format!(
                "SELECT {} FROM tool_runs WHERE workspace = ?1 AND (?2 IS NULL OR tool = ?2)
                AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
                COLUMNS
            );
            let mut ask = connection.prepare_cached(&ask)?;
            let values = params![WORKSPACE, tool, before.as_ref().map(|id| id.as_bytes().as_slice()), limit];
            let runs = ask.query_map(values, read)?;
            Ok(runs.collect::<rusqlite::Result<_>>()?)
        };
        self.engine.read(work).await
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ToolRun> {
    Ok(ToolRun {
        id: RunId::from_bytes(row.get(0)?),
        at: rows::time(row, 1)?,
        tool: row.get(2)?,
        author: row.get(3)?,
        passed: row.get(4)?,
        request: row.get(5)?,
        answer: row.get(6)?,
        sealed: row.get(7)?,
    })
}
