//! `crosstally capi validate|send-test`.

use anyhow::Result;
use crosstally_core::limits::ADMIN_BODY_BYTES_MAX;
use crosstally_engine::capi::send_test::TestCall;
use crosstally_engine::capi::validate::{EVENTS_MAX, NotValidated};
use crosstally_http::api::capi::{FindingOut, TestOut, ValidateOut, test_and_keep, validate_and_keep};

use super::{EVENT_BYTES_MAX, stdin, unknown};
use crate::cli::At;
use crate::commands::tools::AUTHOR;
use crate::exit::{self, Code};
use crate::remote::{self, Where, query};
use crate::show;

/// Says all that is wrong with the events on stdin.
pub(super) async fn validate(destination: &str, at: &At, json: bool) -> Result<()> {
    let text = stdin(u64::try_from(ADMIN_BODY_BYTES_MAX)?)?;
    let told: ValidateOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                validate_and_keep(engine, destination, &text, AUTHOR).await.map_err(|wrong| match wrong {
                    NotValidated::UnknownDestination(known) => unknown(destination, &known),
                    NotValidated::Empty => {
                        exit::with(Code::Usage, "no event on stdin; send one as JSON, or several, one a line")
                    }
                    NotValidated::TooMany(count) => {
                        exit::with(Code::Usage, format!("{count} events; send at most {EVENTS_MAX} at once"))
                    }
                })
            })
            .await?
        }
        Where::There(server) => {
            let path = query("/api/v1/capi/validate", &[("destination", &Some(destination.to_owned()))]);
            server.post(&path, "application/json", text).await?
        }
    };
    if json {
        show::json(&told)?;
    } else {
        show::text(&show::clean_lines(&page(&told, destination)))?;
    }
    match told.summary.refused {
        0 => Ok(()),
        1 if told.summary.events == 1 => Err(exit::with(Code::CheckFailed, "the event would not be sent")),
        refused => Err(exit::with(Code::CheckFailed, format!("{refused} events would not be sent"))),
    }
}

fn page(told: &ValidateOut, destination: &str) -> String {
    let mut page = String::new();
    for one in told.data.iter().filter(|one| !one.findings.is_empty()) {
        let verdict = if one.valid { "would be sent, but" } else { "would not be sent" };
        page.push_str(&format!("line {}: {} {} {verdict}\n", one.line, one.event, one.event_id));
        page.push_str(&list(&one.findings));
    }
    let summary = &told.summary;
    page.push_str(&format!(
        "{} of {} would be sent to {destination}, {} would not\n",
        summary.valid, summary.events, summary.refused
    ));
    page
}

fn list(findings: &[FindingOut]) -> String {
    let line = |finding: &FindingOut| {
        let at = if finding.at.is_empty() { "the event" } else { &finding.at };
        let word = if finding.refuses { "" } else { "left out: " };
        format!("  {at}: {word}{}\n    fix: {} ({})\n", finding.problem, finding.fix, finding.code)
    };
    findings.iter().map(line).collect()
}

/// Sends the event on stdin as a test.
pub(super) async fn send_test(destination: &str, call: TestCall, at: &At, json: bool) -> Result<()> {
    let event = stdin(EVENT_BYTES_MAX)?;
    let told: TestOut = match remote::find(at)? {
        Where::Here(ground) => {
            remote::here(&ground, async |engine| {
                let told = test_and_keep(engine, destination, &event, &call, AUTHOR).await;
                told.map_err(|known| unknown(destination, &known))
            })
            .await?
        }
        Where::There(server) => {
            let really = call.really.then(|| "true".to_owned());
            let wanted =
                [("destination", &Some(destination.to_owned())), ("code", &call.code), ("really", &really)];
            server.post(&query("/api/v1/capi/send-test", &wanted), "application/json", event).await?
        }
    };
    if json {
        show::json(&told)?;
    } else {
        show::text(&show::clean_lines(&test_page(&told)?))?;
    }
    verdict(&told)
}

fn test_page(told: &TestOut) -> Result<String> {
    let mut page = String::new();
    if !told.sent {
        return Ok(list(&told.findings));
    }
    for finding in &told.findings {
        page.push_str(&list(std::slice::from_ref(finding)));
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    page.push_str(&format!("sent {}\n", text(&told.marked)));
    page.push_str(&format!("{}\n", serde_json::to_string_pretty(&told.request)?));
    match told.status {
        Some(status) => page.push_str(&format!("answer {status}\n{}\n", text(&told.answer))),
        None => page.push_str("no answer\n"),
    }
    let then = match told.outcome.as_deref() {
        Some("delivered") => "taken",
        Some("retry") => "a delivery would be tried again",
        Some("paused") => "deliveries would be held",
        _ => "a delivery would be refused for good",
    };
    page.push_str(&format!("{then}: {} ({})\n", text(&told.meaning), text(&told.code)));
    page.push_str(&format!("  {}\n", text(&told.detail)));
    Ok(page)
}

fn verdict(told: &TestOut) -> Result<()> {
    let fix = told.fix.as_deref().unwrap_or_default();
    if !told.sent {
        let problem = told.problem.as_deref().unwrap_or_default();
        return Err(exit::with(Code::CheckFailed, format!("nothing was sent: {problem}\n  fix: {fix}")));
    }
    let code = match told.outcome.as_deref() {
        Some("delivered") => return Ok(()),
        Some("retry") => Code::Partial,
        _ => Code::CheckFailed,
    };
    let meaning = told.meaning.as_deref().unwrap_or_default();
    Err(exit::with(code, format!("the test was not taken: {meaning}\n  fix: {fix}")))
}
