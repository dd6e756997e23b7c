//! `crosstally postback send`: a real call, as a partner would make it.

use anyhow::{Context, Result, bail};
use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::{Key, SCHEMES, Scheme};
use crosstally_core::secret::Secret;
use crosstally_destinations::dialect::Request;
use crosstally_engine::clock::{Clock as _, SystemClock};
use crosstally_engine::http_out::{HttpOut, SendOptions};
use crosstally_engine::keys::hex_of;
use crosstally_engine::random::Random;
use serde_json::{Value, json};

use crate::cli::PostbackSend;
use crate::exit::{self, Code};
use crate::remote::escaped;
use crate::show;

/// How long the answer is waited for.
const DEADLINE_MS: u64 = 30_000;
/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Sends the call and prints the answer.
pub(super) async fn run(wanted: &PostbackSend, json: bool) -> Result<()> {
    let (request, inbound) = call(wanted)?;
    let request = Request { headers: [request.headers, signed(wanted, &inbound)?].concat(), ..request };
    let options =
        SendOptions { deadline_ms: DEADLINE_MS, allow_private: true, read_bytes_max: ANSWER_BYTES_MAX };
    let client = HttpOut::new().context("the client cannot be made")?;
    let answer = match client.send(&request, options).await {
        Ok(answer) => answer,
        Err(error) => bail!("{} cannot be reached: {}", wanted.url, error.detail),
    };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if json {
        let body = if said.is_null() { json!(text) } else { said.clone() };
        show::json(&json!({ "status": answer.status, "answer": body }))?;
    } else {
        print(answer.status, &said, &text)?;
    }
    outcome(answer.status, &said, &text)
}

/// The request without its signature, and as the other side will see it.
fn call(wanted: &PostbackSend) -> Result<(Request, Inbound)> {
    let mut pairs = Vec::new();
    if let Some(click) = &wanted.click {
        pairs.push(format!("click_id={}", escaped(click)));
    }
    for param in &wanted.params {
        let Some((name, value)) = param.split_once('=') else {
            let problem = format!("`{}` is not written as key=value", show::clean(param));
            return Err(exit::with(Code::Usage, problem));
        };
        pairs.push(format!("{}={}", escaped(name), escaped(value)));
    }
    let pairs = pairs.join("&");
    let json_body = wanted
        .json_body
        .as_ref()
        .map(|file| std::fs::read(file).with_context(|| format!("{} cannot be read", file.display())))
        .transpose()?;
    let usual = if json_body.is_some() { "POST" } else { "GET" };
    let method = match wanted.method.as_deref().unwrap_or(usual).to_ascii_uppercase().as_str() {
        "GET" if json_body.is_none() => "GET",
        "POST" => "POST",
        "GET" => return Err(exit::with(Code::Usage, "a body goes by POST")),
        _ => return Err(exit::with(Code::Usage, "--method is GET or POST")),
    };
    let (query, body, content_type) = match (method, json_body) {
        (_, Some(body)) => (pairs, body, "application/json"),
        ("POST", None) => (String::new(), pairs.into_bytes(), "application/x-www-form-urlencoded"),
        (_, None) => (pairs, Vec::new(), ""),
    };
    let target = if query.is_empty() { String::new() } else { format!("?{query}") };
    let url = format!("{}/postback/{}{target}", wanted.url.trim_end_matches('/'), escaped(&wanted.partner));
    let headers = if content_type.is_empty() {
        Vec::new()
    } else {
        vec![("content-type".to_owned(), content_type.to_owned())]
    };
    let inbound = Inbound {
        method: method.to_owned(),
        query: query.into_bytes(),
        body: body.clone(),
        ..Inbound::default()
    };
    Ok((Request { method, url, headers, body_shown: Vec::new(), body, secrets: Vec::new() }, inbound))
}

/// The headers of the signature.
fn signed(wanted: &PostbackSend, inbound: &Inbound) -> Result<Vec<(String, String)>> {
    let Some(name) = &wanted.sign else { return Ok(Vec::new()) };
    let Some(scheme) = Scheme::named(name) else {
        let problem =
            format!("no scheme is called `{}`; known are {}", show::clean(name), SCHEMES.join(", "));
        return Err(exit::with(Code::Usage, problem));
    };
    let of_file = wanted
        .secret_file
        .as_ref()
        .map(|file| {
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
        })
        .transpose()?;
    let Some(secret) = of_file.map(|text| text.trim().to_owned()).or_else(|| wanted.secret.clone()) else {
        return Err(exit::with(Code::Usage, "--sign needs --secret-file, or CROSSTALLY_PARTNER_SECRET"));
    };
    let key = Key::new(scheme, &Secret::new(secret))
        .ok_or_else(|| exit::with(Code::Usage, format!("the secret is not one of `{name}`")))?;
    let random = Random::from_system().context("the operating system has no random numbers")?;
    let stamp = (SystemClock.now().as_millis() / 1000).to_string();
    let headers = key.headers(inbound, &stamp, &hex_of(random.bytes::<12>()));
    Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
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
