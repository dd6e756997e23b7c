//! `crosstally capi build|validate|send-test`.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::capi::send_test::TestCall;
use crosstally_engine::capi::{Build, shown};
use crosstally_engine::settings::check_config;
use crosstally_engine::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::cli::{Capi, Place};
use crate::exit::{self, Code};
use crate::{local, settings, show};

mod trial;

/// The largest event that is read.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// Runs one of the capi commands.
pub(crate) async fn run(command: Capi, json: bool) -> Result<()> {
    match command {
        Capi::Build { destination, config, place } => build(&destination, config.as_deref(), &place).await,
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

async fn build(destination: &str, config: Option<&Path>, place: &Place) -> Result<()> {
    let event = stdin(EVENT_BYTES_MAX)?;
    let ground = settings::ground(place)?;
    let document = config
        .map(|file| {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            Ok::<_, anyhow::Error>((text, file.display().to_string()))
        })
        .transpose()?;
    let built = local::with_engine(&ground, async |engine| {
        if let Some((document, file)) = &document {
            let (config, _) = check_config(document, file).map_err(|problems| {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                exit::with(Code::CheckFailed, list.join("\n"))
            })?;
            let snapshot = Snapshot::new(0, config, engine.secret_source.as_ref(), &engine.keys);
            engine.snapshot.store(Arc::new(snapshot));
        }
        Ok(engine.build_request(destination, &event))
    })
    .await?;
    match built {
        Build::Request(request, notes) => {
            for (at, problem) in &notes {
                show::aside(&format!("left out: {at}: {problem}"))?;
            }
            show::json(&shown(&request))
        }
        Build::Refused(reasons) => {
            let list: Vec<Value> =
                reasons.iter().map(|(at, problem)| json!({ "at": at, "problem": problem })).collect();
            show::json(&json!({ "refused": list }))?;
            Err(exit::with(Code::CheckFailed, "the event would not be sent; the reasons are above"))
        }
        Build::UnknownDestination(known) => Err(unknown(destination, &known)),
    }
}
