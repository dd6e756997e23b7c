//! `crosstally capi build`.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::capi::{Build, shown};
use crosstally_engine::settings::check_config;
use crosstally_engine::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::cli::Capi;
use crate::exit::{self, Code};
use crate::{local, settings, show};

/// The largest event that is read.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// Runs one of the capi commands.
pub(crate) async fn run(command: Capi) -> Result<()> {
    let Capi::Build { destination, config, place } = command;
    let mut event = Vec::new();
    std::io::stdin().lock().take(EVENT_BYTES_MAX).read_to_end(&mut event).context("stdin cannot be read")?;
    let ground = settings::ground(&place)?;
    let document = config
        .map(|file| {
            let text = std::fs::read_to_string(&file)
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
        Ok(engine.build_request(&destination, &event))
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
        Build::UnknownDestination(known) => {
            let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
            Err(exit::with(
                Code::NotFound,
                format!("no destination is called `{destination}`; known: {known}"),
            ))
        }
    }
}
