//! The tools, and the list of their runs.

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use crosstally_core::ids::RunId;
use crosstally_core::tools::shown;
use crosstally_engine::Engine;
use crosstally_engine::tools::{Again, CAPI_SEND_TEST, CAPI_VALIDATE, Call, CallError, Unable};
use crosstally_store::{StoreError, ToolRun};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::page::{PageIn, PageOut};
use super::{Refused, Reply, bad, capi, not_found};
use crate::auth;
use crate::state::State;

/// A run as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunOut {
    /// Its id.
    pub id: String,
    /// When it was.
    pub at: String,
    /// The tool.
    pub tool: String,
    /// Who asked.
    pub author: String,
    /// Whether nothing was found that is wrong.
    pub ok: bool,
    /// Whether it can be made again.
    pub repeatable: bool,
    /// What was asked, masked; where one run is shown.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub request: Value,
    /// What came out, masked; where one run is shown.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub answer: Value,
}

impl RunOut {
    /// A row of the list.
    #[must_use]
    pub fn row(run: &ToolRun) -> Self {
        Self {
            id: run.id.to_string(),
            at: run.at.to_string(),
            tool: run.tool.clone(),
            author: run.author.clone(),
            ok: run.passed,
            repeatable: !run.sealed.is_empty(),
            request: Value::Null,
            answer: Value::Null,
        }
    }

    /// All of a run.
    #[must_use]
    pub fn whole(run: &ToolRun) -> Self {
        let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self { request: json(&run.request), answer: json(&run.answer), ..Self::row(run) }
    }
}

/// Why a run was not made again.
#[derive(Debug, thiserror::Error)]
pub enum NotRepeated {
    /// No run has this id.
    #[error("no run has this id")]
    Unknown,
    /// What was asked is not kept.
    #[error(
        "what was asked held contact values, and this workspace keeps none; make it anew, or set keep_contact"
    )]
    NotKept,
    /// It cannot be read any more.
    #[error("{0}")]
    Unreadable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run that can be made again.
#[derive(Debug)]
pub struct Repeatable {
    tool: String,
    request: Value,
    call: Option<Call>,
    /// What a token must allow for it.
    pub scope: &'static str,
}

/// What was asked in a run.
///
/// # Errors
/// See [`NotRepeated`].
pub async fn repeatable(engine: &Engine, id: RunId) -> Result<Repeatable, NotRepeated> {
    let (tool, request) = match engine.asked_in(id).await? {
        Again::Request(tool, request) => (tool, request),
        Again::NotKept => return Err(NotRepeated::NotKept),
        Again::Unknown => return Err(NotRepeated::Unknown),
    };
    let (call, scope) = match tool.as_str() {
        CAPI_VALIDATE => (None, "read"),
        CAPI_SEND_TEST => (None, "deliveries:write"),
        name => {
            let read = Call::read(name, &request);
            let call = read.map_err(|error| NotRepeated::Unreadable(error.to_string()))?;
            let scope = call.scope();
            (Some(call), scope)
        }
    };
    Ok(Repeatable { tool, request, call, scope })
}

/// Makes a run again.
///
/// # Errors
/// See [`NotRepeated`].
pub async fn repeat_run(engine: &Engine, run: Repeatable, author: &str) -> Result<Value, NotRepeated> {
    let Repeatable { tool, request, call, .. } = run;
    match call {
        Some(call) => {
            let answer = engine.run_tool(&tool, &request, &call, author).await?;
            // Who repeats a run need not be who asked: of what was given then no more is shown than is kept.
            Ok(match shown::masked(&answer) {
                Value::Null => json!({ "run": answer["run"], "ok": answer["ok"] }),
                masked => masked,
            })
        }
        None => {
            let gone = || NotRepeated::Unreadable("its destination is not configured any more".to_owned());
            capi::again(engine, &tool, &request, author).await.ok_or_else(gone)
        }
    }
}

impl From<NotRepeated> for Refused {
    fn from(error: NotRepeated) -> Self {
        match error {
            NotRepeated::Unknown => not_found(),
            NotRepeated::Store(error) => error.into(),
            other => bad(other.to_string()),
        }
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        match error {
            CallError::UnknownTool(_) => not_found(),
            CallError::Missing(_) => not_found(),
            CallError::Unreadable(problem) => bad(problem),
        }
    }
}

impl From<Unable> for Refused {
    fn from(error: Unable) -> Self {
        match error {
            Unable::Call(error) => error.into(),
            Unable::Store(error) => error.into(),
        }
    }
}

impl From<Unable> for NotRepeated {
    fn from(error: Unable) -> Self {
        match error {
            Unable::Call(error) => Self::Unreadable(error.to_string()),
            Unable::Store(error) => Self::Store(error),
        }
    }
}

/// `POST /api/v1/tools/{group}/{verb}`.
pub async fn run(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Path((group, verb)): Path<(String, String)>,
    body: Bytes,
) -> Reply {
    let tool = format!("{group}_{verb}");
    let request: Value = serde_json::from_slice(&body).map_err(|_| bad("send the request as JSON"))?;
    let call = Call::read(&tool, &request)?;
    let author = auth::require(&state, &headers, call.scope()).await?;
    Ok(Json(state.engine.run_tool(&tool, &request, &call, &author).await?).into_response())
}

/// Which runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListIn {
    tool: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /api/v1/tools/runs`.
pub async fn list(Extract(state): Extract<State>, headers: HeaderMap, Query(wanted): Query<ListIn>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let page = PageIn { limit: wanted.limit, cursor: wanted.cursor };
    let (limit, before) = (page.limit()?, page.before::<RunId>()?);
    let runs = state.engine.store.list_tool_runs(wanted.tool, before, limit).await?;
    let rows: Vec<RunOut> = runs.iter().map(RunOut::row).collect();
    Ok(Json(PageOut::new(rows, limit, |row| row.id.clone())).into_response())
}

/// `GET /api/v1/tools/runs/{id}`.
pub async fn show(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let run = state.engine.store.tool_run(id).await?.ok_or_else(not_found)?;
    Ok(Json(RunOut::whole(&run)).into_response())
}

/// `POST /api/v1/tools/runs/{id}/repeat`.
pub async fn repeat(Extract(state): Extract<State>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let id = id.parse().map_err(|_| not_found())?;
    let run = repeatable(&state.engine, id).await?;
    let author = auth::require(&state, &headers, run.scope).await?;
    Ok(Json(repeat_run(&state.engine, run, &author).await?).into_response())
}
