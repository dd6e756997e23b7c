//! `capi send-test`: one event, marked as the platform wants a test marked, sent at once through the door that deliveries
//! take, and what the platform said. No delivery is made and none is touched: neither the schedule nor a pause learns of it.

use crosstally_core::delivery::Outcome;
use crosstally_core::event::OutboundEvent;
use crosstally_core::event::server_event;
use crosstally_core::reason::Reason;
use crosstally_destinations::dialect::{
    BatchOutcome, NoTest, Reading, Request, Response, Settings, TestMode,
};
use serde_json::Value;

use super::validate::{Finding, leaving, of_note};
use super::{defaults, shown};
use crate::Engine;
use crate::delivery::outcomes::without_answer;
use crate::delivery::sign_in::SignIn;
use crate::http_out::{SendError, SendOptions};
use crate::snapshot::ReadyDestination;

/// Characters of an answer that are shown.
const ANSWER_CHARS_MAX: usize = 8_192;

/// How to send a test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestCall {
    /// The code of the platform's test view, where the settings hold none.
    pub code: Option<String>,
    /// Sends a real event where the platform has no test mode.
    pub really: bool,
}

/// What a test came to.
#[derive(Debug)]
pub enum Tested {
    /// It was sent.
    Sent(Box<TestSent>),
    /// It would not be sent, for these reasons.
    Refused(Vec<Finding>),
    /// It cannot be sent as things stand: what is in the way, and what to do.
    Unable(String, String),
    /// No destination has this name; these are known.
    UnknownDestination(Vec<String>),
}

/// A test that was sent.
#[derive(Debug)]
pub struct TestSent {
    /// How the platform was told that it is a test.
    pub marked: String,
    /// The request, secrets masked.
    pub request: Value,
    /// The answer's status; none without an answer.
    pub status: Option<u16>,
    /// The answer's body, secrets masked.
    pub answer: String,
    /// What it comes to: `delivered`, `retry`, `refused`, `split` or `paused`.
    pub outcome: &'static str,
    /// Why.
    pub reason: Reason,
    /// The platform's own words, short.
    pub detail: String,
    /// Values that were left out of the event.
    pub left_out: Vec<Finding>,
    /// What the platform says that the time is.
    pub date: Option<String>,
}

impl Engine {
    /// Sends one event as a test.
    pub async fn send_test(&self, destination: &str, event_json: &[u8], call: &TestCall) -> Tested {
        let ready = match self.ready_destination(destination) {
            Ok(ready) => ready,
            Err(known) => return Tested::UnknownDestination(known),
        };
        if !ready.missing_secrets.is_empty() {
            let missing = ready.missing();
            return Tested::Unable(
                format!("{missing} cannot be read here"),
                "set what the configuration names for it, where this command or server runs".to_owned(),
            );
        }
        let (settings, marked) = match marked(&ready, call) {
            Ok(marked) => marked,
            Err((problem, fix)) => return Tested::Unable(problem, fix),
        };
        let now = self.clock.now();
        let read = server_event::read(event_json, defaults(&self.snapshot.load(), now));
        let (event, notes) = match read {
            Ok(read) => (read.event, read.notes),
            Err(problems) => {
                return Tested::Refused(problems.iter().map(|problem| of_note(problem, true)).collect());
            }
        };
        let (event, mut left_out) = leaving(&ready, &event, &self.geo, now);
        if left_out.iter().any(|finding| finding.refuses) {
            return Tested::Refused(left_out);
        }
        left_out.extend(notes.iter().map(|note| of_note(note, false)));
        let sent = self.call(&ready, settings, event, marked, left_out).await;
        tracing::info!(
            destination,
            outcome = sent.outcome,
            code = sent.reason.code(),
            "a test event was sent by hand"
        );
        Tested::Sent(Box::new(sent))
    }

    /// Sends one event with settings under which it is a test, or to a sandbox.
    pub(crate) async fn try_event(
        &self,
        ready: &ReadyDestination,
        settings: Settings,
        event: OutboundEvent,
    ) -> TestSent {
        self.call(ready, settings, event, String::new(), Vec::new()).await
    }

    async fn call(
        &self,
        ready: &ReadyDestination,
        settings: Settings,
        event: OutboundEvent,
        marked: String,
        left_out: Vec<Finding>,
    ) -> TestSent {
        let options = SendOptions { allow_private: ready.config.allow_private, ..SendOptions::default() };
        let send = async |request: Request| self.http_out.send(&request, options).await;
        let signing = SignIn::default();
        let settings = match signing.settings(ready, || self.clock.now(), send).await {
            Ok(None) => settings,
            Ok(Some(signed_in)) => Settings { secrets: signed_in.secrets, ..settings },
            Err(failed) => {
                let failed = failed.without_tokens();
                let marked = "the sign-in, which comes before any event".to_owned();
                return told(&failed.request, &failed.answer, failed.reading, marked, left_out);
            }
        };
        let now = self.clock.now();
        let built = ready.dialect.build(&settings, &[event], now);
        let Some(request) = built.request else {
            let refused = Outcome::Refused { reason: Reason::EventIncomplete };
            let nothing = Request {
                method: "",
                url: String::new().into(),
                headers: Vec::new(),
                body: Vec::new(),
                body_shown: Vec::new(),
                secrets: Vec::new(),
            };
            let answer = Ok(Response::default());
            let why: Vec<String> = built.left_out.into_iter().map(|left| left.detail).collect();
            let why = if why.is_empty() { "nothing was sent".to_owned() } else { why.join("; ") };
            return told(&nothing, &answer, Reading::whole(refused, why), marked, left_out);
        };
        let answer = self.http_out.send(&request, options).await;
        let reading = match &answer {
            Ok(response) => ready.dialect.read(&settings, response, 1, self.clock.now()),
            Err(error) => Reading::whole(without_answer(error), error.detail.clone()),
        };
        told(&request, &answer, reading, marked, left_out)
    }
}

/// The settings of a test, and the words for how it is marked; else what is in the way, and what to do.
fn marked(ready: &ReadyDestination, call: &TestCall) -> Result<(Settings, String), (String, String)> {
    let kind = ready.dialect.kind();
    match ready.dialect.for_test(&ready.settings, call.code.as_deref()) {
        Ok(settings) => Ok((settings, words(ready.dialect.test_mode()))),
        Err(NoTest::Missing(_)) if call.really => {
            Ok((ready.settings.clone(), "not as a test: it counts like any other event".to_owned()))
        }
        Err(NoTest::Missing(instead)) => Err((
            format!("`{kind}` has no test mode: an event that is sent counts"),
            format!("{instead}; or send a real event with --really"),
        )),
        Err(NoTest::NeedsCode(from)) => Err((
            format!("`{kind}` marks a test with a code, and none is known"),
            format!("copy it from {from} and give it with --code"),
        )),
        Err(NoTest::WrongCode(problem)) => {
            let (problem, fix) = problem.split_once("; ").unwrap_or((&problem, "copy it again"));
            Err((format!("the code {problem}"), fix.to_owned()))
        }
    }
}

fn words(mode: TestMode) -> String {
    match mode {
        TestMode::Flag(name) => format!("as a test, by `{name}`: checked and not counted"),
        TestMode::Code { setting, from, counts } => {
            let then = if counts { ", and counts all the same" } else { "" };
            format!("as a test, by `{setting}`: it shows under {from}{then}")
        }
        TestMode::Missing(_) => String::new(),
    }
}

fn told(
    request: &Request,
    answer: &Result<Response, SendError>,
    reading: Reading,
    marked: String,
    left_out: Vec<Finding>,
) -> TestSent {
    let outcome = match reading.outcome {
        BatchOutcome::Whole(outcome) => outcome,
        BatchOutcome::Each(each) => each
            .into_iter()
            .next()
            .unwrap_or(Outcome::Retry { reason: Reason::DestUnreadable, after_ms: None }),
    };
    let (status, body) = match answer {
        Ok(response) => (Some(response.status), request.masked_answer(response)),
        Err(_) => (None, String::new()),
    };
    TestSent {
        marked,
        request: shown(request),
        status,
        answer: body.chars().take(ANSWER_CHARS_MAX).collect(),
        outcome: outcome.as_str(),
        reason: outcome.reason(),
        detail: request.masked(&reading.detail),
        left_out,
        date: answer.as_ref().ok().and_then(|response| response.header("date")).map(str::to_owned),
    }
}
