//! `POST /v1/events`.

use std::net::IpAddr;
use std::time::Duration;

use crosstally_core::hops;
use crosstally_core::limits::EVENTS_BODY_BYTES_MAX;
use crosstally_core::params::Params;
use crosstally_core::postback::{Headers, Inbound, SERVER_EVENT};
use crosstally_core::reason::Reason;
use crosstally_core::verdict::Verdict;
use crosstally_engine::postback::PostbackOut;
use crosstally_engine::snapshot::SERVER_EVENTS;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;

use super::postback::answer::{tell_one, tell_rows};
use crate::answer::Answer;
use crate::problem::{Fault, fault, refusal};
use crate::state::State;
use crate::{auth, client, once};

/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Books the events and answers for each.
pub(crate) async fn handle<B>(state: &State, request: Request<B>, peer: IpAddr) -> Answer
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.method() != Method::POST {
        return refusal(Reason::MethodNotAllowed, "send events by POST", None);
    }
    let (parts, stream) = request.into_parts();
    // Whoever may not send is not read.
    let sender = match auth::require(state, &parts.headers, "events:write").await {
        Ok(sender) => sender,
        Err(answer) => return close(answer),
    };
    let partner = match partner(&parts) {
        Ok(partner) => partner,
        Err(reason) => {
            let detail = "the query cannot be read, so the partner is not known";
            return close(refusal(reason, detail, None));
        }
    };
    let raw = match collect(stream).await {
        Ok(raw) => raw,
        Err(answer) => return close(answer),
    };
    let inbound = Inbound {
        method: SERVER_EVENT.to_owned(),
        partner,
        query: Vec::new(),
        body: raw,
        content_type: text(&parts.headers, &header::CONTENT_TYPE),
        headers: hops_of(&parts.headers),
        parts: Vec::new(),
        peer: Some(client::address(peer, &parts.headers, &state.options)),
        user_agent: text(&parts.headers, &header::USER_AGENT),
    };
    match parts.headers.get(once::HEADER) {
        None => booked(state, inbound).await.0,
        Some(key) => once(state, &sender, key, inbound).await,
    }
}

/// How far the request has come: nothing else of its headers is about its events.
fn hops_of(headers: &HeaderMap) -> Headers {
    let mut kept = Headers::default();
    if let Some(value) = headers.get(hops::HEADER) {
        kept.push(hops::HEADER, String::from_utf8_lossy(value.as_bytes()));
    }
    kept
}

#[expect(clippy::disallowed_methods, reason = "the body is collected under its cap and its deadline")]
async fn collect<B>(stream: B) -> Result<Vec<u8>, Answer>
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(BODY_WAIT, Limited::new(stream, EVENTS_BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(refusal(Reason::BodyTooLarge, &format!("the limit is {EVENTS_BODY_BYTES_MAX} bytes"), None))
        }
        Ok(Err(_)) => Err(fault(Fault::BadRequest, "the body broke off")),
        Err(_) => Err(fault(Fault::BodyTimeout, "")),
    }
}

/// The partner that the query names. A query that cannot be read may name one: its events are nobody's.
fn partner(parts: &Parts) -> Result<String, Reason> {
    let query = parts.uri.query().unwrap_or_default();
    let params = Params::parse(query.as_bytes())?;
    Ok(params.get("partner").unwrap_or(SERVER_EVENTS).to_owned())
}

/// Books the events, and says whether all of them are stored.
async fn booked(state: &State, inbound: Inbound) -> (Answer, bool) {
    let out = state.engine.receive_events(inbound).await;
    let stored = !out.rows.iter().any(PostbackOut::must_come_again);
    match out.rows.as_slice() {
        [row] if !out.is_list => (tell_one(row), stored),
        rows => match rows.iter().find(|row| row.must_come_again()) {
            Some(lost) => (tell_one(lost), false),
            None => {
                let refused = rows.iter().all(|row| row.verdict == Verdict::Refused);
                let status = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
                (tell_rows(status, rows), true)
            }
        },
    }
}

/// The same request of a sender under the same key is done once; its answer is given again.
async fn once(state: &State, sender: &str, key: &HeaderValue, inbound: Inbound) -> Answer {
    match once::claim(state, sender, key, &[inbound.partner.as_bytes(), &inbound.body]).await {
        Ok(claimed) => {
            let (answer, stored) = booked(state, inbound).await;
            claimed.keep(state, answer, stored).await
        }
        Err(answer) => answer,
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// The rest of an unread body must not be taken for the next request.
fn close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
