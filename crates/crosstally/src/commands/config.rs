//! `crosstally config check|plan|apply|export`.

use std::path::Path;

use anyhow::{Context, Result};
use crosstally_core::config::Problem;
use crosstally_engine::settings::{ApplyError, check_config, examples};
use crosstally_http::api::config::{ExampleOut, ImpactOut, PlanOut};

use crate::cli::Config;
use crate::exit::{self, Code};
use crate::remote::{self, Where, escaped};
use crate::show;

/// Runs one of the config commands.
pub(crate) async fn run(command: Config, json: bool) -> Result<()> {
    match command {
        Config::Check { file } => check(&file, json),
        Config::Plan { file, at } => {
            let document = read(&file)?;
            let name = file.display().to_string();
            let plan = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here_or_new(&ground, async |engine| {
                        let plan = engine.plan_config(&document, &name).await.map_err(refused)?;
                        Ok(PlanOut::new(&plan, None))
                    })
                    .await?
                }
                Where::There(server) => {
                    let path = format!("/api/v1/config/plan?file={}", escaped(&name));
                    server.post(&path, "application/toml", document.into_bytes()).await?
                }
            };
            show_plan(&plan, json)
        }
        Config::Apply { file, base, at } => {
            let document = read(&file)?;
            let name = file.display().to_string();
            let applied = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here_or_new(&ground, async |engine| {
                        let applied = engine
                            .apply_config(&document, &name, base, "command line")
                            .await
                            .map_err(refused)?;
                        Ok(PlanOut::new(&applied.plan, Some(applied.version)))
                    })
                    .await?
                }
                Where::There(server) => {
                    let base = base.map(|base| format!("&base={base}")).unwrap_or_default();
                    let path = format!("/api/v1/config/apply?file={}{base}", escaped(&name));
                    server.post(&path, "application/toml", document.into_bytes()).await?
                }
            };
            show_plan(&applied, json)
        }
        Config::Export { at } => {
            let document = match remote::find(&at)? {
                Where::Here(ground) => {
                    remote::here(&ground, async |engine| Ok(engine.export_config().await.map_err(refused)?.1))
                        .await?
                }
                Where::There(server) => server.get_text("/api/v1/config").await?,
            };
            if json {
                show::json(&serde_json::json!({ "document": document }))
            } else {
                show::text(&document)
            }
        }
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn check(file: &Path, json: bool) -> Result<()> {
    match check_config(&read(file)?, &file.display().to_string()) {
        Ok((config, warnings)) => {
            let examples = ExampleOut::list(&examples(&config));
            if json {
                let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                return show::json(&serde_json::json!({
                    "ok": true, "warnings": warnings, "examples": examples,
                }));
            }
            for warning in &warnings {
                eprintln!("{warning}");
            }
            let shown: String = examples.iter().map(example_text).collect();
            show::text(&format!("{}: ok\n{shown}", file.display()))
        }
        Err(problems) => {
            if json {
                let list: Vec<_> = problems
                    .iter()
                    .map(|problem| {
                        serde_json::json!({
                            "file": problem.file, "line": problem.line, "column": problem.column,
                            "path": problem.path, "problem": problem.problem, "fix": problem.fix,
                        })
                    })
                    .collect();
                show::json(&serde_json::json!({ "ok": false, "problems": list }))?;
            }
            Err(invalid(&problems))
        }
    }
}

fn invalid(problems: &[Problem]) -> anyhow::Error {
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    exit::with(
        Code::CheckFailed,
        format!("the configuration has {} problem(s)\n{}", problems.len(), list.join("\n")),
    )
}

fn refused(error: ApplyError) -> anyhow::Error {
    match error {
        ApplyError::Invalid(problems) => invalid(&problems),
        other => other.into(),
    }
}

fn show_plan(plan: &PlanOut, json: bool) -> Result<()> {
    if json {
        return show::json(plan);
    }
    for warning in &plan.warnings {
        eprintln!("{warning}");
    }
    let mut text = String::new();
    for change in &plan.changes {
        text.push_str(change.trim_end());
        text.push('\n');
    }
    for example in &plan.examples {
        text.push_str(&example_text(example));
    }
    for impact in &plan.impacts {
        text.push_str(&impact_text(impact));
    }
    match (plan.version, plan.changes.is_empty()) {
        (None, true) => text.push_str("no changes\n"),
        (None, false) => text.push_str(&format!("would be applied on top of version {}\n", plan.base)),
        (Some(version), true) => text.push_str(&format!("no changes; version {version} stays in force\n")),
        (Some(version), false) => text.push_str(&format!("applied as version {version}\n")),
    }
    show::text(&text)
}

/// A sample call as its first line, then headers and body.
fn example_text(example: &ExampleOut) -> String {
    let ExampleOut { destination, method, url, headers, body, not_sent } = example;
    if let Some(why) = not_sent {
        return format!("destination {destination}, with sample values, sends nothing: {why}\n");
    }
    let mut text = format!("destination {destination}, with sample values:\n    {method} {url}\n");
    for (name, value) in headers {
        text.push_str(&format!("    {name}: {value}\n"));
    }
    body.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    text
}

/// "partner acme: of 5120 calls of the last 30 days 312 would read otherwise: USD +1204.00 confirmed, -20.00 open"
fn impact_text(impact: &ImpactOut) -> String {
    let signed =
        |decimal: &str| if decimal.starts_with('-') { decimal.to_owned() } else { format!("+{decimal}") };
    let money: Vec<String> = impact
        .money
        .iter()
        .map(|money| {
            format!(
                "{} {} confirmed, {} open",
                money.currency,
                signed(&money.confirmed),
                signed(&money.pending)
            )
        })
        .collect();
    let money = if money.is_empty() { "no money moves".to_owned() } else { money.join("; ") };
    let more = if impact.capped { "the first " } else { "" };
    let mut text = format!(
        "partner {}: of {more}{} calls of the last 30 days {} would read otherwise: {money}\n",
        impact.partner, impact.receipts, impact.rows
    );
    if impact.gained + impact.lost > 0 {
        text.push_str(&format!(
            "    {} that wait or were refused would be booked, {} booked ones would not\n",
            impact.gained, impact.lost
        ));
    }
    if impact.rows > 0 {
        text.push_str(&format!(
            "    after applying: crosstally receipts replay --partner {} --apply\n",
            impact.partner
        ));
    }
    text
}
