//! Trying a destination: whether events would be sent, and one sent as a test.

use axum::Json;
use axum::extract::{Query, State as Extract};
use axum::response::IntoResponse;
use bytes::Bytes;
use crosstally_engine::capi::send_test::{TestCall, TestSent, Tested};
use crosstally_engine::capi::validate::{EVENTS_MAX, Finding, NotValidated, Validated};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        Self { data, summary }
    }
}

/// What a test came to.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TestOut {
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

/// `POST /api/v1/capi/validate`.
pub async fn validate(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<WantedIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "read").await?;
    match state.engine.validate_events(&wanted.destination, &body) {
        Ok(all) => Ok(Json(ValidateOut::from(all.as_slice())).into_response()),
        Err(NotValidated::UnknownDestination(_)) => Err(not_found()),
        Err(NotValidated::Empty) => Err(bad("send an event as JSON, or several, one a line")),
        Err(NotValidated::TooMany(_)) => Err(bad(format!("send at most {EVENTS_MAX} events at once"))),
    }
}

/// `POST /api/v1/capi/send-test`.
pub async fn send_test(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Query(wanted): Query<WantedIn>,
    body: Bytes,
) -> Reply {
    auth::require(&state, &headers, "deliveries:write").await?;
    let call = TestCall { code: wanted.code, really: wanted.really };
    let tested = state.engine.send_test(&wanted.destination, &body, &call).await;
    TestOut::of(&tested).map(|out| Json(out).into_response()).ok_or_else(not_found)
}
