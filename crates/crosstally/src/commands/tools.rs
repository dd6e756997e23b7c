//! What the tools' commands share: a tool is run on a data directory, on a server, or on neither, and the run is kept where
//! it can be.

use std::path::PathBuf;

use anyhow::{Context, Result};
use crosstally_core::ids::RunId;
use crosstally_engine::clock::{Clock as _, SystemClock};
use crosstally_engine::http_out::HttpOut;
use crosstally_engine::random::Random;
use crosstally_engine::tools::preflight::HopOut;
use crosstally_engine::tools::{Bench, Call, CallError, Unable};
use crosstally_http::api::tools::{NotRepeated, RunOut, repeat_run, repeatable};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{At, Place, Runs};
use crate::exit::{self, Code};
use crate::remote::{self, Where, query};
use crate::{local, settings, show};

/// Who asks, where it is a command.
pub(super) const AUTHOR: &str = "command";

/// Reads a request as the tool reads it.
pub(super) fn call(tool: &str, request: &Value) -> Result<Call> {
    Call::read(tool, request).map_err(told)
}

fn told(error: CallError) -> anyhow::Error {
    match error {
        CallError::UnknownTool(_) | CallError::Missing(_) => exit::with(Code::NotFound, error.to_string()),
        CallError::Unreadable(problem) => exit::with(Code::Usage, problem),
    }
}

/// Runs a tool where the flags say; the answer as it is printed for machines.
pub(super) async fn run(tool: &str, request: &Value, at: &At) -> Result<Value> {
    run_telling(tool, request, at, None, |_| {}).await
}

/// The same; where it runs here, each hop of a pre-flight is told when it is done, and pages are opened in the browser.
pub(super) async fn run_telling(
    tool: &str,
    request: &Value,
    at: &At,
    browser: Option<PathBuf>,
    told_hop: impl Fn(&HopOut) + Send,
) -> Result<Value> {
    let call = call(tool, request)?;
    match remote::find(at)? {
        Where::There(server) => {
            let path = format!("/api/v1/tools/{}", tool.replacen('_', "/", 1));
            server.post(&path, "application/json", request.to_string().into_bytes()).await
        }
        Where::Here(ground) => here(tool, request, &call, &ground, browser, told_hop).await,
    }
}

/// The same for a tool that has an address of its own under --url: its run is kept where --data or --database-url says.
pub(super) async fn run_at(tool: &str, request: &Value, place: &Place) -> Result<Value> {
    let call = call(tool, request)?;
    if place.data.is_none() && place.database_url.is_none() {
        return nowhere(&call).await;
    }
    here(tool, request, &call, &settings::ground(place)?, None, |_| {}).await
}

async fn here(
    tool: &str,
    request: &Value,
    call: &Call,
    ground: &settings::Ground,
    browser: Option<PathBuf>,
    told_hop: impl Fn(&HopOut) + Send,
) -> Result<Value> {
    if local::is_missing(ground) {
        return nowhere(call).await;
    }
    remote::here(ground, async |engine| {
        if let Some(program) = browser {
            engine.door.opens_pages_with(program);
        }
        let ran = engine.run_tool_telling(tool, request, call, AUTHOR, told_hop).await;
        ran.map_err(|error| match error {
            Unable::Call(error) => told(error),
            Unable::Store(error) => error.into(),
        })
    })
    .await
}

/// Without any data: what needs none.
async fn nowhere(call: &Call) -> Result<Value> {
    let random = Random::from_system().context("the operating system has no random numbers")?;
    let http_out = HttpOut::new().context("the client cannot be made")?;
    let bench = Bench {
        http_out: &http_out,
        click_id_key: None,
        keys: None,
        now: SystemClock.now(),
        nonce: random.bytes(),
    };
    Ok(bench.run(call).await.shown(None))
}

/// Whether the tool found nothing wrong.
pub(super) fn verdict(answer: &Value, otherwise: &str) -> Result<()> {
    if answer.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    Err(exit::with(Code::CheckFailed, otherwise))
}

/// A text of an answer, cleaned.
pub(super) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => show::clean(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

/// A list of an answer.
pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Tells where the run is kept.
pub(super) fn told_where(answer: &Value) -> Result<()> {
    match answer.get("run").and_then(Value::as_str) {
        Some(id) => show::aside(&format!("kept as {id}; see `crosstally runs show {id}`")),
        None => show::aside(
            "not kept: there is no data directory here; name one with --data, or a server with --url",
        ),
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<RunOut>,
}

fn id(text: &str) -> Result<RunId> {
    text.parse().map_err(|_| exit::with(Code::NotFound, format!("`{}` is no id of a run", show::clean(text))))
}

/// Runs one of the runs commands.
pub(super) async fn runs(command: Runs, json: bool) -> Result<()> {
    match command {
        Runs::List { tool, limit, at } => {
            let rows = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| {
                        let runs = engine.store.list_tool_runs(tool, None, limit).await?;
                        Ok(runs.iter().map(RunOut::row).collect())
                    })
                    .await?
                }
                Where::There(server) => {
                    let limit = Some(limit.to_string());
                    let path = query("/api/v1/tools/runs", &[("tool", &tool), ("limit", &limit)]);
                    server.get::<Page>(&path).await?.data
                }
            };
            if json {
                return show::json(&rows);
            }
            let cells = rows.iter().map(|run: &RunOut| {
                let found = if run.ok { "ok" } else { "something is wrong" };
                vec![run.id.clone(), run.at.clone(), run.tool.clone(), run.author.clone(), found.to_owned()]
            });
            show::table(&["run", "at", "tool", "by", "found"], cells)
        }
        Runs::Show { id: asked, at } => {
            let id = id(&asked)?;
            let run: RunOut = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| {
                        let run = engine.store.tool_run(id).await?;
                        run.as_ref().map(RunOut::whole).ok_or_else(|| missing(&asked))
                    })
                    .await?
                }
                Where::There(server) => server.get(&format!("/api/v1/tools/runs/{id}")).await?,
            };
            show::json(&run)
        }
        Runs::Repeat { id: asked, at } => {
            let id = id(&asked)?;
            let answer: Value = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| {
                        let run = repeatable(engine, id).await.map_err(|error| match error {
                            NotRepeated::Unknown => missing(&asked),
                            other => other.into(),
                        })?;
                        Ok(repeat_run(engine, run, AUTHOR).await?)
                    })
                    .await?
                }
                Where::There(server) => {
                    let path = format!("/api/v1/tools/runs/{id}/repeat");
                    server.post(&path, "application/json", Vec::new()).await?
                }
            };
            show::json(&answer)
        }
    }
}

fn missing(id: &str) -> anyhow::Error {
    exit::with(Code::NotFound, format!("no run is called `{}`", show::clean(id)))
}
