//! `postback send`: a real call to a partner's door, or to a foreign URL that a template makes, the raw answer, and beside
//! it the same call with a wrong token, which must be refused.

use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::{Key, SCHEMES, Scheme};
use crosstally_core::secret::Secret;
use crosstally_core::tools::shown;
use crosstally_destinations::dialect::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::call::Made;
use super::{Bench, CallError};
use crate::clock::watch;
use crate::http_out::{SendError, SendOptions};
use crate::keys::hex_of;

mod call;
#[cfg(test)]
mod tests;

/// How long the answer is waited for.
const DEADLINE_MS: u64 = 30_000;
/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Characters of it that are told.
const ANSWER_CHARS_MAX: usize = 64 * 1024;
/// Parameters of one call.
const PARAMS_MAX: usize = 200;

/// What to send.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// The tracking address, for a call to a partner's door.
    pub url: String,
    /// The partner's slug.
    pub partner: String,
    /// A foreign URL with macros, in place of a door.
    pub template: String,
    /// Parameters, in their order; with a template, the macros' values.
    pub params: Vec<(String, String)>,
    /// A click id, sent as `click_id`.
    pub click: Option<String>,
    /// `GET` or `POST`.
    pub method: Option<String>,
    /// A JSON body; parameters then go into the query.
    pub json_body: Option<String>,
    /// The scheme of the signature.
    pub scheme: Option<String>,
    /// The secret of the signature, or of the template's `{secret}`.
    pub secret: Option<String>,
    /// Whether the same call is sent once more with a wrong token.
    pub negative: bool,
    /// Whether addresses outside the public internet may be asked.
    pub allow_private: bool,
}

impl Wanted {
    /// Whether it can be sent at all.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub fn check(&self) -> Result<(), CallError> {
        let no = |problem: &str| Err(CallError::Unreadable(problem.to_owned()));
        let is_door = !self.url.is_empty() || !self.partner.is_empty();
        if self.params.len() > PARAMS_MAX {
            return no("too many parameters");
        }
        match (is_door, self.template.is_empty()) {
            (true, false) => return no("give a partner's door (url and partner), or a template, not both"),
            (false, true) => return no("give a partner's door (url and partner), or a template"),
            (true, true) if self.url.is_empty() => return no("the door needs `url`, the tracking address"),
            (true, true) if self.partner.is_empty() => return no("the door needs `partner`, its slug"),
            _ => {}
        }
        match self.method.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("GET") if self.json_body.is_some() => return no("a body goes by POST"),
            None | Some("GET" | "POST") => {}
            Some(_) => return no("the method is GET or POST"),
        }
        let Some(name) = &self.scheme else { return Ok(()) };
        let Some(scheme) = Scheme::named(name) else {
            let known = SCHEMES.join(", ");
            return Err(CallError::Unreadable(format!("no scheme is called `{name}`; known are {known}")));
        };
        let Some(secret) = &self.secret else { return no("a signature needs the secret") };
        match Key::new(scheme, &Secret::new(secret.clone())) {
            Some(_) => Ok(()),
            None => Err(CallError::Unreadable(format!("the secret is not one of `{name}`"))),
        }
    }
}

/// One thing about a template.
#[derive(Debug, Clone, Serialize)]
pub struct Lint {
    is_error: bool,
    problem: String,
    fix: String,
}

/// One call and its answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Shot {
    method: String,
    url: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Value::is_null")]
    answer: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    time_ms: u64,
    /// Whether the answer says that the call was refused.
    #[serde(skip)]
    refused: bool,
}

/// The call with a wrong token.
#[derive(Debug, Clone, Serialize)]
pub struct Negative {
    /// What was wrong in it.
    wrong: String,
    /// Whether it was refused, as it must be.
    refused: bool,
    call: Shot,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The answer's status; none without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer, as JSON where it is some.
    pub answer: Value,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    time_ms: u64,
    method: String,
    url: String,
    body: String,
    lints: Vec<Lint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    negative: Option<Negative>,
    /// What is wrong; nothing if the call was taken and the wrong one was not.
    pub problems: Vec<String>,
}

/// Sends the call.
pub async fn send(bench: &Bench<'_>, wanted: &Wanted) -> Report {
    let mut report = Report::default();
    let made = if wanted.template.is_empty() {
        Some(call::door(wanted))
    } else {
        call::from_template(bench, wanted, &mut report.lints)
    };
    let faults = report.lints.iter().filter(|lint| lint.is_error);
    report.problems.extend(faults.map(|lint| lint.problem.clone()));
    let Some(made) = made else { return report };
    let signature = signed(bench, wanted, &made.inbound);
    let shot = fire(bench, wanted, &made, &signature).await;
    judge(&shot, &mut report.problems);
    (report.status, report.answer, report.error) = (shot.status, shot.answer, shot.error);
    (report.method, report.url, report.body) = (shot.method, shot.url, shot.body);
    report.time_ms = shot.time_ms;
    if wanted.negative {
        negative(bench, wanted, &made, &mut report).await;
    }
    report
}

/// The headers of the signature.
fn signed(bench: &Bench<'_>, wanted: &Wanted, inbound: &Inbound) -> Vec<(String, String)> {
    let scheme = wanted.scheme.as_deref().and_then(Scheme::named);
    let key =
        scheme.zip(wanted.secret.clone()).and_then(|(scheme, secret)| Key::new(scheme, &Secret::new(secret)));
    let Some(key) = key else { return Vec::new() };
    let stamp = bench.now.as_seconds().to_string();
    let headers = key.headers(inbound, &stamp, &hex_of(bench.nonce));
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn fire(bench: &Bench<'_>, wanted: &Wanted, made: &Made, signature: &[(String, String)]) -> Shot {
    let mut request = made.request.clone();
    request.headers.extend_from_slice(signature);
    let options = SendOptions {
        deadline_ms: DEADLINE_MS,
        allow_private: wanted.allow_private,
        read_bytes_max: ANSWER_BYTES_MAX,
    };
    let began = watch();
    let answer = bench.http_out.send(&request, options).await;
    let time_ms = u64::try_from(watch().saturating_sub(began).as_millis()).unwrap_or(u64::MAX);
    shot(&request, answer, time_ms)
}

fn shot(request: &Request, answer: Result<Response, SendError>, time_ms: u64) -> Shot {
    let body = if request.body_shown.is_empty() { &request.body } else { &request.body_shown };
    let told = Shot {
        method: request.method.to_owned(),
        url: shown::text(&request.url_shown()),
        body: shown::text(&request.masked(&String::from_utf8_lossy(body))),
        time_ms,
        ..Shot::default()
    };
    match answer {
        Ok(response) => {
            let text = String::from_utf8_lossy(&response.body);
            let json: Option<Value> = serde_json::from_str(&text).ok();
            // Judged as it came: what is masked could be a part of its words.
            let refused = is_refused(response.status, json.as_ref(), &text);
            // Read before it is masked: in a text that is read only then, an escape would become the secret.
            let answer = match json.filter(|_| text.chars().nth(ANSWER_CHARS_MAX).is_none()) {
                Some(json) => without_secrets(request, json),
                None => {
                    let masked = request.masked_answer(&response);
                    Value::String(masked.chars().take(ANSWER_CHARS_MAX).collect())
                }
            };
            Shot { status: Some(response.status), answer, refused, ..told }
        }
        Err(error) => Shot { error: Some(error.detail), ..told },
    }
}

/// The document with the request's secrets masked in its texts, names and numbers.
fn without_secrets(request: &Request, json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(request.masked(&text)),
        Value::Number(number) => {
            let masked = request.masked(&number.to_string());
            if masked == number.to_string() { Value::Number(number) } else { Value::String(masked) }
        }
        Value::Array(items) => items.into_iter().map(|item| without_secrets(request, item)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| (request.masked(&name), without_secrets(request, value)))
            .collect(),
        plain @ (Value::Null | Value::Bool(_)) => plain,
    }
}

/// Whether an answer says that the call was refused: by its status, or by its words.
fn is_refused(status: u16, json: Option<&Value>, text: &str) -> bool {
    let words = json.and_then(Value::as_str).unwrap_or(text).trim_start();
    let says = |json: &Value| {
        let rows = json.get("results").and_then(Value::as_array);
        let row = |row: &Value| row.get("result").and_then(Value::as_str) == Some("refused");
        rows.map_or_else(|| row(json), |rows| rows.iter().any(row))
    };
    status >= 400
        || json.is_some_and(says)
        || words.starts_with("ERROR ")
        || words.starts_with("success=false")
}

fn judge(shot: &Shot, problems: &mut Vec<String>) {
    if let Some(error) = &shot.error {
        problems.push(format!("there is no answer: {error}"));
    } else if shot.refused {
        problems.push("the call was refused".to_owned());
    } else if shot.status.is_some_and(|status| (300..400).contains(&status)) {
        problems.push("the answer is a redirect: deliveries do not follow one".to_owned());
    }
}

/// The same call with a wrong token. It goes out behind the good one, so that whoever takes it all the same sees a repeat.
async fn negative(bench: &Bench<'_>, wanted: &Wanted, made: &Made, report: &mut Report) {
    let (wrong, bad) = call::spoiled(wanted, made);
    let Some(bad) = bad else {
        report.problems.push(wrong);
        return;
    };
    // Signed over something else, so that the signature cannot fit.
    let mut other = bad.inbound.clone();
    other.query.extend_from_slice(b"&wrong=1");
    other.body.extend_from_slice(b" ");
    let signature = signed(bench, wanted, &other);
    let call = fire(bench, wanted, &bad, &signature).await;
    let refused = call.refused;
    if !refused && call.error.is_none() {
        report.problems.push(format!("{wrong}, and the call was taken all the same: anybody can send"));
    }
    report.negative = Some(Negative { wrong, refused, call });
}
