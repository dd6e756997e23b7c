//! `crosstally postback send`: a real call, as a partner would make it, or as a delivery would make it from a template.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::PostbackSend;
use crate::commands::tools::{list, run_at, text};
use crate::exit::{self, Code};
use crate::show;

/// Sends the call and prints the answer.
pub(super) async fn run(wanted: &PostbackSend, as_json: bool) -> Result<()> {
    let answer = run_at("postback_send", &request(wanted)?, &wanted.place).await?;
    let status = answer.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let said = answer.get("answer").cloned().unwrap_or_default();
    let words = said.as_str().unwrap_or_default().to_owned();
    if as_json {
        show::json(&answer)?;
    } else {
        lints(&answer)?;
        if let Some(status) = status {
            print(status, &said, &words)?;
        }
        negative(&answer)?;
    }
    let Some(status) = status else {
        let errors = list(&answer, "lints").iter().any(|lint| text(lint, "is_error") == "true");
        if errors {
            return Err(exit::with(Code::CheckFailed, "nothing was sent: the template has mistakes"));
        }
        let to =
            if wanted.template.is_some() { "the partner" } else { wanted.url.as_deref().unwrap_or_default() };
        bail!("{to} cannot be reached: {}", text(&answer, "error"));
    };
    outcome(status, &said, &words)?;
    let problems: Vec<&str> = list(&answer, "problems").iter().filter_map(Value::as_str).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(exit::with(Code::CheckFailed, problems.join("\n")))
}

/// The request as the tool reads it.
fn request(wanted: &PostbackSend) -> Result<Value> {
    let mut params = Vec::new();
    for param in &wanted.params {
        let Some((name, value)) = param.split_once('=') else {
            let problem = format!("`{}` is not written as key=value", show::clean(param));
            return Err(exit::with(Code::Usage, problem));
        };
        params.push(json!([name, value]));
    }
    let read = |file: &std::path::Path| {
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
    };
    let body = wanted.json_body.as_deref().map(read).transpose()?;
    let of_file = wanted.secret_file.as_deref().map(read).transpose()?;
    let secret = of_file.map(|text| text.trim().to_owned()).or_else(|| wanted.secret.clone());
    if wanted.sign.is_some() && secret.is_none() {
        return Err(exit::with(Code::Usage, "--sign needs --secret-file, or CROSSTALLY_PARTNER_SECRET"));
    }
    let of = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(json!({
        "url": of(&wanted.url), "partner": of(&wanted.partner), "template": of(&wanted.template), "params": params,
        "click": wanted.click, "method": wanted.method, "json_body": body, "scheme": wanted.sign,
        "secret": secret.filter(|_| wanted.sign.is_some() || wanted.template.is_some()),
        "negative": wanted.negative, "allow_private": wanted.template.is_none() || wanted.allow_private,
    }))
}

fn lints(answer: &Value) -> Result<()> {
    for lint in list(answer, "lints") {
        let level = if text(lint, "is_error") == "true" { "error" } else { "note" };
        show::aside(&format!("{level}: {}; {}", text(lint, "problem"), text(lint, "fix")))?;
    }
    Ok(())
}

/// The call with a wrong token, beside the other.
fn negative(answer: &Value) -> Result<()> {
    let Some(negative) = answer.get("negative") else { return Ok(()) };
    let call = negative.get("call").cloned().unwrap_or_default();
    let told = if text(negative, "refused") == "true" { "refused, as it must be" } else { "TAKEN" };
    show::text(&format!("once more, and {}: {told} ({})\n", text(negative, "wrong"), text(&call, "status")))
}

fn print(status: u16, said: &Value, text: &str) -> Result<()> {
    let word = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let rows: Vec<&Value> = match said.get("results").and_then(Value::as_array) {
        Some(rows) => rows.iter().collect(),
        None => vec![said],
    };
    if rows.iter().all(|row| word(row, "result").is_empty()) {
        return show::text(&format!("{status} {}\n", show::clean(text)));
    }
    for row in rows {
        let parts = ["result", "code", "receipt", "conversion", "detail"].map(|name| word(row, name));
        let line: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        show::text(&format!("{}\n", show::clean(&line.join("  "))))?;
    }
    Ok(())
}

/// Whether the call was taken, for scripts.
fn outcome(status: u16, said: &Value, text: &str) -> Result<()> {
    let rows: Vec<&Value> = said
        .get("results")
        .and_then(Value::as_array)
        .map_or_else(|| vec![said], |rows| rows.iter().collect());
    let any = |result: &str| rows.iter().any(|row| row.get("result").and_then(Value::as_str) == Some(result));
    match status {
        401 | 403 => Err(exit::with(Code::Auth, "the call does not show that it is the partner's")),
        404 => Err(exit::with(Code::NotFound, "the server does not know this partner")),
        500.. | 429 => bail!("the server did not take the call ({status}); try again"),
        _ if status >= 400 || any("refused") || text.starts_with("ERROR ") => {
            Err(exit::with(Code::CheckFailed, "the call was refused"))
        }
        _ if any("quarantined") => {
            Err(exit::with(Code::Partial, "the call is kept and waits for somebody; see `crosstally trace`"))
        }
        _ => Ok(()),
    }
}
