//! Trying a destination: whether events would be sent, the request that would be, and one sent as a test.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use crosstally_engine::Engine;
use crosstally_engine::capi::send_test::{TestCall, TestSent, Tested};
use crosstally_engine::capi::validate::{EVENTS_MAX, Finding, NotValidated, Validated};
use crosstally_engine::capi::{Build, shown};
use crosstally_engine::tools::{CAPI_SEND_TEST, CAPI_VALIDATE};
use crosstally_store::StoreError;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reply, bad, not_found};
use crate::auth;
use crate::state::State;

/// Which destination, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedIn {
    /// Its slug.
    destination: String,
    /// The code of the platform's test view.
    #[serde(default)]
    code: Option<String>,
    /// Whether a real event may be sent where there is no test mode.
    #[serde(default)]
    really: bool,
}

/// Which destination.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildIn {
    /// Its slug.
    destination: String,
}

/// One thing that is wrong with an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindingOut {
    /// The place, as a JSON pointer.
    pub at: String,
    /// The reason code.
    pub code: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Whether the event is not sent for it; else only the value is left out.
    pub refuses: bool,
}

impl From<&Finding> for FindingOut {
    fn from(finding: &Finding) -> Self {
        Self {
            at: finding.at.clone(),
            code: finding.code.to_owned(),
            problem: finding.problem.clone(),
            fix: finding.fix.clone(),
            refuses: finding.refuses,
        }
    }
}

/// One event that was looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct ValidatedOut {
    /// The line that it begins in.
    pub line: usize,
    /// Its name.
    pub event: String,
    /// Its id.
    pub event_id: String,
    /// Whether it would be sent.
    pub valid: bool,
    /// What is wrong with it.
    pub findings: Vec<FindingOut>,
}

/// How many there are of each kind.
#[derive(Debug, Serialize, Deserialize)]
pub struct SummaryOut {
    /// Events.
    pub events: usize,
    /// Those that would be sent.
    pub valid: usize,
    /// Those that would not.
    pub refused: usize,
}

/// All events that were looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct ValidateOut {
    /// The run, under which this is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The events, in their order.
    pub data: Vec<ValidatedOut>,
    /// Counts.
    pub summary: SummaryOut,
}

impl From<&[Validated]> for ValidateOut {
    fn from(all: &[Validated]) -> Self {
        let data: Vec<ValidatedOut> = all
            .iter()
            .map(|one| ValidatedOut {
                line: one.line,
                event: one.event.clone(),
                event_id: one.event_id.clone(),
                valid: !one.is_refused(),
                findings: one.findings.iter().map(FindingOut::from).collect(),
            })
            .collect();
        let valid = data.iter().filter(|one| one.valid).count();
        let summary = SummaryOut { events: data.len(), valid, refused: data.len() - valid };
        Self { run: None, data, summary }
    }
}

/// A place in an event, and what is wrong there.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProblemOut {
    /// A JSON pointer, or a reason code.
    pub at: String,
    /// What is wrong.
    pub problem: String,
}

/// What building a request came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct BuildOut {
    /// The request that would be sent, secrets masked; nothing if none would be.
    pub request: Option<Value>,
    /// What would be left out of the event.
    pub left_out: Vec<ProblemOut>,
    /// Why it would not be sent.
    pub refused: Vec<ProblemOut>,
}

impl BuildOut {
    /// What is shown of it.
    ///
    /// # Errors
    /// The destination is unknown; these are known.
    pub fn of(built: Build) -> Result<Self, Vec<String>> {
        let problems = |all: Vec<(String, String)>| {
            all.into_iter().map(|(at, problem)| ProblemOut { at, problem }).collect()
        };
        match built {
            Build::Request(request, notes) => {
                Ok(Self { request: Some(shown(&request)), left_out: problems(notes), ..Self::default() })
            }
            Build::Refused(reasons) => Ok(Self { refused: problems(reasons), ..Self::default() }),
            Build::UnknownDestination(known) => Err(known),
        }
    }
}

/// What a test came to.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TestOut {
    /// The run, under which this is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whether it was sent.
    pub sent: bool,
    /// What is in the way, if it was not sent and the event is not to blame.
    pub problem: Option<String>,
    /// What to do.
    pub fix: Option<String>,
    /// What is wrong with the event; or what was left out of it, if it was sent.
    pub findings: Vec<FindingOut>,
    /// How the platform was told that it is a test.
    pub marked: Option<String>,
    /// The request, secrets masked.
    pub request: Option<Value>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The answer's body, secrets masked.
    pub answer: Option<String>,
    /// What it comes to: `delivered`, `retry`, `refused`, `split` or `paused`.
    pub outcome: Option<String>,
    /// The reason code.
    pub code: Option<String>,
    /// The reason in a sentence.
    pub meaning: Option<String>,
    /// The platform's own words.
    pub detail: Option<String>,
}

impl TestOut {
    /// What is shown of a test; `None` if the destination is unknown.
    #[must_use]
    pub fn of(tested: &Tested) -> Option<Self> {
        match tested {
            Tested::Sent(sent) => Some(Self::sent(sent)),
            Tested::Refused(findings) => Some(Self {
                findings: findings.iter().map(FindingOut::from).collect(),
                problem: Some("the event would not be sent".to_owned()),
                fix: Some("mend what the findings name".to_owned()),
                ..Self::default()
            }),
            Tested::Unable(problem, fix) => {
                Some(Self { problem: Some(problem.clone()), fix: Some(fix.clone()), ..Self::default() })
            }
            Tested::UnknownDestination(_) => None,
        }
    }

    fn sent(sent: &TestSent) -> Self {
        let about = sent.reason.about();
        Self {
            run: None,
            sent: true,
            problem: None,
            fix: (sent.outcome != "delivered").then(|| about.fix.to_owned()),
            findings: sent.left_out.iter().map(FindingOut::from).collect(),
            marked: Some(sent.marked.clone()),
            request: Some(sent.request.clone()),
            status: sent.status,
            answer: Some(sent.answer.clone()),
            outcome: Some(sent.outcome.to_owned()),
            code: Some(sent.reason.code().to_owned()),
            meaning: Some(about.sentence.to_owned()),
            detail: Some(sent.detail.clone()),
        }
    }
}

/// The request of a run: the events as documents, where they are some.
fn asked(destination: &str, call: &TestCall, body: &[u8]) -> Value {
    let whole = serde_json::from_slice::<Value>(body).map(|event| vec![event]);
    let lines = || body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let events: Result<Vec<Value>, _> = whole.or_else(|_| lines().map(serde_json::from_slice).collect());
    // What cannot be read cannot be masked either.
    let events = events.map_or_else(|_| json!({ "unreadable_bytes": body.len() }), Value::from);
    json!({ "destination": destination, "code": call.code, "really": call.really, "events": events })
}

/// Looks at events, and keeps the run.
///
/// # Errors
/// See [`NotValidated`]; a store that fails keeps nothing and takes nothing from the answer.
pub async fn validate_and_keep(
    engine: &Engine,
    destination: &str,
    body: &[u8],
    author: &str,
) -> Result<ValidateOut, NotValidated> {
    let mut told = ValidateOut::from(engine.validate_events(destination, body)?.as_slice());
    let request = asked(destination, &TestCall::default(), body);
    let (answer, passed) = (json!(told), told.summary.refused == 0);
    let kept = engine.keep_run(CAPI_VALIDATE, &request, &answer, passed, author).await;
    told.run = run_of(kept);
    Ok(told)
}

/// Sends a test, and keeps the run.
///
/// # Errors
/// The destination is unknown; these are known.
pub async fn test_and_keep(
    engine: &Engine,
    destination: &str,
    body: &[u8],
    call: &TestCall,
    author: &str,
) -> Result<TestOut, Vec<String>> {
    let tested = engine.send_test(destination, body, call).await;
    if let Tested::UnknownDestination(known) = tested {
        return Err(known);
    }
    let mut told = TestOut::of(&tested).unwrap_or_default();
    let passed = told.outcome.as_deref() == Some("delivered");
    let request = asked(destination, call, body);
    let kept = engine.keep_run(CAPI_SEND_TEST, &request, &json!(told), passed, author).await;
    told.run = run_of(kept);
    Ok(told)
}

fn run_of(kept: Result<crosstally_core::ids::RunId, StoreError>) -> Option<String> {
    match kept {
        Ok(id) => Some(id.to_string()),
        Err(error) => {
            tracing::warn!(error = %error, "the run of a tool was not kept");
            None
        }
    }
}

/// Makes a run again; nothing if its destination is gone.
pub(super) async fn again(engine: &Engine, tool: &str, request: &Value, author: &str) -> Option<Value> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
    let destination = text("destination").unwrap_or_default();
    let events = request.get("events").and_then(Value::as_array).into_iter().flatten();
    let body = events.map(ToString::to_string).collect::<Vec<_>>().join("\n").into_bytes();
    if tool == CAPI_VALIDATE {
        let told = validate_and_keep(engine, &destination, &body, author).await;
        return told.ok().map(|told| json!(told));
    }
    let really = request.get("really").and_then(Value::as_bool).unwrap_or(false);
    let call = TestCall { code: text("code"), really };
    let told = test_and_keep(engine, &destination, &body, &call, author).await;
    told.ok().map(|told| json!(told))
}

/// `POST /api/v1/capi/validate`.
pub async fn validate(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<WantedIn>,
    body: Bytes,
) -> Reply {
    let author = auth::require(&state, &headers, "read").await?;
    match validate_and_keep(&state.engine, &wanted.destination, &body, &author).await {
        Ok(told) => Ok(Json(told).into_response()),
        Err(NotValidated::UnknownDestination(_)) => Err(not_found()),
        Err(NotValidated::Empty) => Err(bad("send an event as JSON, or several, one a line")),
        Err(NotValidated::TooMany(_)) => Err(bad(format!("send at most {EVENTS_MAX} events at once"))),
    }
}

/// `POST /api/v1/capi/build`.
pub async fn build(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<BuildIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    let built = BuildOut::of(state.engine.build_request(&wanted.destination, &body));
    built.map(|out| Json(out).into_response()).map_err(|_| not_found())
}

/// `POST /api/v1/capi/send-test`.
pub async fn send_test(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<WantedIn>,
    body: Bytes,
) -> Reply {
    let author = auth::require(&state, &headers, "deliveries:write").await?;
    let call = TestCall { code: wanted.code, really: wanted.really };
    let told = test_and_keep(&state.engine, &wanted.destination, &body, &call, &author).await;
    told.map(|out| Json(out).into_response()).map_err(|_| not_found())
}
