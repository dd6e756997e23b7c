//! `crosstally preflight`: hop after hop as it is gone, then what is wrong and what to do.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::tools::{list, run_telling, text, told_where, verdict};
use crate::cli::{Preflight, PreflightRun};
use crate::show;

/// Runs one of the pre-flight commands.
pub(crate) async fn execute(command: Preflight, json: bool) -> Result<()> {
    match command {
        Preflight::Run(wanted) => run(&wanted, json).await,
        Preflight::Checklist(wanted) => checklist(&wanted, json).await,
    }
}

async fn checklist(wanted: &PreflightRun, json: bool) -> Result<()> {
    let browser = wanted.browser.clone();
    let answer = run_telling("preflight_checklist", &request(wanted), &wanted.at, browser, |_| {}).await?;
    if json {
        show::json(&answer)?;
    } else {
        for line in list(&answer, "lines") {
            let outcome = text(line, "outcome");
            let mark = if outcome == "fail" { "FAIL".to_owned() } else { outcome };
            show::text(&format!(
                "{mark:<8}{} ({})\n        {}\n",
                text(line, "question"),
                text(line, "check"),
                text(line, "why")
            ))?;
            let fix = text(line, "fix");
            if !fix.is_empty() {
                show::text(&format!("        fix: {fix}\n"))?;
            }
        }
        let count = |name: &str| text(&answer, name);
        let sums =
            format!("{} pass, {} fail, {} unknown\n", count("passed"), count("failed"), count("unknown"));
        show::text(&sums)?;
        told_where(&answer)?;
    }
    verdict(&answer, "a line fails: see what to do about it above")
}

async fn run(wanted: &PreflightRun, json: bool) -> Result<()> {
    let answer = run_telling("preflight_run", &request(wanted), &wanted.at, wanted.browser.clone(), |hop| {
        // A terminal that cannot be written to does not keep the run from its end.
        drop(show::progress(&format!("{}/7 {}: {}", hop.number, hop.hop.name(), words(hop.compared.word()))));
    })
    .await?;
    if json {
        show::json(&answer)?;
    } else {
        page(&answer)?;
        told_where(&answer)?;
    }
    verdict(&answer, "a hop differs: see what to do about it above")
}

/// The request as the tool reads it; what is not given is not in it.
fn request(wanted: &PreflightRun) -> Value {
    let mut request = Map::new();
    request.insert("campaign".to_owned(), json!(wanted.campaign));
    for (name, value) in [
        ("partner", &wanted.partner),
        ("base", &wanted.base),
        ("lander", &wanted.lander),
        ("postback", &wanted.postback),
        ("status", &wanted.status),
        ("event", &wanted.event),
        ("currency", &wanted.currency),
        ("user_agent", &wanted.user_agent),
        ("code", &wanted.code),
    ] {
        request.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    request.extend(wanted.actions.map(|actions| ("actions".to_owned(), json!(actions))));
    request.insert("params".to_owned(), json!(wanted.params));
    request.insert("allow_private".to_owned(), json!(wanted.allow_private));
    request.insert("browser".to_owned(), json!(wanted.browser.is_some()));
    Value::Object(request)
}

fn words(state: &str) -> &'static str {
    match state {
        "same" => "the same",
        "differs" => "DIFFERS",
        _ => "not checked",
    }
}

fn page(answer: &Value) -> Result<()> {
    let tally = |hop: &Value, name: &str| {
        let tally = hop.get(name).cloned().unwrap_or_default();
        let sums: Vec<String> = list(&tally, "values")
            .iter()
            .map(|sum| format!("{} {}", text(sum, "amount"), text(sum, "currency")))
            .collect();
        (text(&tally, "count"), sums.join(" + "), text(&tally, "first"))
    };
    let rows = list(answer, "hops").iter().map(|hop| {
        let ((expected, meant, _), (found, read, first)) = (tally(hop, "expected"), tally(hop, "found"));
        let value = if meant == read { read } else { format!("{read} (of {meant})") };
        let state = words(&text(hop, "compared")).to_owned();
        vec![text(hop, "number"), text(hop, "hop"), state, format!("{found}/{expected}"), value, first]
    });
    show::table(&["", "hop", "compared", "count", "value", "first"], rows.collect::<Vec<_>>())?;
    for hop in list(answer, "hops") {
        for note in list(hop, "notes").iter().filter_map(Value::as_str) {
            show::text(&format!("{}: {}\n", text(hop, "hop"), show::clean(note)))?;
        }
    }
    for case in list(answer, "negatives") {
        let passed = match case.get("passed").and_then(Value::as_bool) {
            Some(true) => "as it must be",
            Some(false) => "NOT as it must be",
            None => "not tried",
        };
        show::text(&format!("case {}: {passed} ({})\n", text(case, "case"), text(case, "found")))?;
    }
    for defect in list(answer, "defects") {
        show::text(&format!(
            "\n{} at {}: {}\n  why: {}\n  fix: {}\n",
            text(defect, "code"),
            text(defect, "hop"),
            text(defect, "problem"),
            text(defect, "why"),
            text(defect, "fix")
        ))?;
    }
    for problem in list(answer, "problems").iter().filter_map(Value::as_str) {
        show::text(&format!("{}\n", show::clean(problem)))?;
    }
    Ok(())
}
