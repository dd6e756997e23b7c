//! `crosstally capi build|validate|send-test`.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::capi::send_test::TestCall;
use crosstally_engine::settings::check_config;
use crosstally_engine::snapshot::Snapshot;
use crosstally_http::api::capi::BuildOut;
use serde_json::json;

use crate::cli::{At, Capi, is_flag};
use crate::exit::{self, Code};
use crate::remote::{self, Where, query};
use crate::{local, settings, show};

mod trial;

/// The largest event that is read.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// Runs one of the capi commands.
pub(crate) async fn run(command: Capi, json: bool) -> Result<()> {
    match command {
        Capi::Build { destination, config, at } => build(&destination, config.as_deref(), &at).await,
        Capi::Validate { destination, at } => trial::validate(&destination, &at, json).await,
        Capi::SendTest { destination, code, really, at } => {
            trial::send_test(&destination, TestCall { code, really }, &at, json).await
        }
    }
}

/// What stands on stdin, up to a number of bytes.
fn stdin(bytes_max: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().take(bytes_max + 1).read_to_end(&mut text).context("stdin cannot be read")?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(exit::with(
            Code::Usage,
            format!("stdin has more than {bytes_max} bytes; send less at once"),
        ));
    }
    Ok(text)
}

fn unknown(destination: &str, known: &[String]) -> anyhow::Error {
    let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
    exit::with(Code::NotFound, format!("no destination is called `{destination}`; known: {known}"))
}

async fn build(destination: &str, config: Option<&Path>, at: &At) -> Result<()> {
    let event = stdin(EVENT_BYTES_MAX)?;
    if config.is_some() && is_flag("--url") {
        return Err(exit::with(
            Code::Usage,
            "--config is read here, and a running server builds by its own configuration; leave one of --config and --url out",
        ));
    }
    let found = match config {
        Some(_) => Where::Here(settings::ground(&at.place)?),
        None => remote::find(at)?,
    };
    let told = match found {
        Where::Here(ground) => build_here(destination, config, &event, &ground).await?,
        Where::There(server) => {
            let path = query("/api/v1/capi/build", &[("destination", &Some(destination.to_owned()))]);
            server.post(&path, "application/json", event).await?
        }
    };
    if let Some(request) = &told.request {
        for left_out in &told.left_out {
            show::aside(&format!("left out: {}: {}", left_out.at, left_out.problem))?;
        }
        return show::json(request);
    }
    show::json(&json!({ "refused": told.refused }))?;
    Err(exit::with(Code::CheckFailed, "the event would not be sent; the reasons are above"))
}

async fn build_here(
    destination: &str,
    config: Option<&Path>,
    event: &[u8],
    ground: &settings::Ground,
) -> Result<BuildOut> {
    let document = config
        .map(|file| {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            Ok::<_, anyhow::Error>((text, file.display().to_string()))
        })
        .transpose()?;
    local::with_engine(ground, async |engine| {
        if let Some((document, file)) = &document {
            let (config, _) = check_config(document, file).map_err(|problems| {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                exit::with(Code::CheckFailed, list.join("\n"))
            })?;
            let snapshot = Snapshot::new(0, config, engine.secret_source.as_ref(), &engine.keys);
            engine.snapshot.store(Arc::new(snapshot));
        }
        let built = engine.build_request(destination, event);
        BuildOut::of(built).map_err(|known| unknown(destination, &known))
    })
    .await
}
