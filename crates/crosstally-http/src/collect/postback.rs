//! `GET|POST /postback/{partner}`.

use std::net::IpAddr;
use std::time::Duration;

use crosstally_core::limits::{HEADER_BYTES_MAX, POSTBACK_BODY_BYTES_MAX};
use crosstally_core::params::Params;
use crosstally_core::postback::{Headers, Inbound};
use crosstally_core::reason::Reason;
use crosstally_engine::postback::Received;
use crosstally_engine::snapshot::SHEET_PARAM;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;

use self::answer::{tell, tell_one};
use crate::answer::Answer;
use crate::state::State;
use crate::{client, problem};

pub(super) mod answer;

/// Headers that say nothing about a conversion.
const COMMON_HEADERS: &[&str] = &[
    "host",
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "user-agent",
    "cache-control",
    "pragma",
    "referer",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "forwarded",
];
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Hands the call to the engine and tells the sender what became of it.
pub(crate) async fn handle<B>(state: &State, partner: &str, request: Request<B>, peer: IpAddr) -> Answer
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match receive(state, partner, request, peer).await {
        Ok(received) => tell(&received),
        Err(answer) => *answer,
    }
}

/// Reads the body under its cap and hands the call to the engine; a call that cannot even be read has its answer already.
#[expect(clippy::disallowed_methods, reason = "the body is collected under its cap and its deadline")]
pub(super) async fn receive<B>(
    state: &State,
    partner: &str,
    request: Request<B>,
    peer: IpAddr,
) -> Result<Received, Box<Answer>>
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let mut inbound = inbound(partner, &parts, client::address(peer, &parts.headers, &state.options));
    let encoding = text(&parts.headers, header::CONTENT_ENCODING.as_str());
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        let detail = "compressed bodies are not read here; send the body as it is";
        let refused = state.engine.refuse_postback(inbound, Reason::UnsupportedMediaType, detail).await;
        return Err(Box::new(tell_one(&refused)));
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, POSTBACK_BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => inbound.body = collected.to_bytes().into(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("the limit is {POSTBACK_BODY_BYTES_MAX} bytes");
            let refused = state.engine.refuse_postback(inbound, Reason::BodyTooLarge, &detail).await;
            return Err(Box::new(close(tell_one(&refused))));
        }
        // The sender has gone in mid-body: nobody reads the answer, nothing was accepted.
        Ok(Err(_)) => {
            return Err(Box::new(close(problem::fault(problem::Fault::BadRequest, "the body broke off"))));
        }
        Err(_) => return Err(Box::new(close(problem::fault(problem::Fault::BodyTimeout, "")))),
    }
    Ok(state.engine.receive_postback(inbound).await)
}

fn inbound(partner: &str, parts: &http::request::Parts, peer: IpAddr) -> Inbound {
    let headers = &parts.headers;
    Inbound {
        method: parts.method.as_str().to_owned(),
        partner: partner.to_owned(),
        query: parts.uri.query().unwrap_or("").as_bytes().to_vec(),
        body: Vec::new(),
        content_type: text(headers, header::CONTENT_TYPE.as_str()),
        headers: kept_headers(headers),
        parts: Vec::new(),
        peer: Some(peer),
        user_agent: text(headers, header::USER_AGENT.as_str()),
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// The headers that a contract or a signature can ask for: all but those that every client sends.
fn kept_headers(headers: &HeaderMap) -> Headers {
    let mut kept = Headers::default();
    for (name, value) in headers {
        if COMMON_HEADERS.contains(&name.as_str()) || value.len() > HEADER_BYTES_MAX {
            continue;
        }
        kept.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
    }
    kept
}

/// The rest of an unread body must not be taken for the next request.
fn close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    answer
}

/// The partner that a call to the sheet receiver names; empty if it names none, which no partner is called.
pub(crate) fn sheet(uri: &http::Uri) -> String {
    let params = Params::parse(uri.query().unwrap_or("").as_bytes()).unwrap_or_default();
    params.get(SHEET_PARAM).unwrap_or_default().to_owned()
}
