//! `GET /c/{campaign}`.

use std::net::IpAddr;

use bytes::Bytes;
use crosstally_engine::click::{ClickIn, ClickOut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::answer::Answer;
use crate::state::State;
use crate::{client, problem};

/// Captures the click and redirects.
pub(crate) async fn handle<B>(state: &State, campaign: &str, request: &Request<B>, peer: IpAddr) -> Answer {
    let headers = request.headers();
    let input = ClickIn {
        campaign,
        query: request.uri().query().unwrap_or(""),
        ip: Some(client::address(peer, headers, &state.options)),
        user_agent: text(headers, &header::USER_AGENT),
        referrer: text(headers, &header::REFERER),
        language: text(headers, &header::ACCEPT_LANGUAGE),
        cookies: text(headers, &header::COOKIE),
        gpc: headers.get("sec-gpc").is_some_and(|value| value.as_bytes() == b"1"),
    };
    match state.engine.capture_click(input).await {
        ClickOut::Redirect(target) => redirect(target),
        ClickOut::Refused(reason) => problem::refusal(reason, "", None),
    }
}

fn redirect(target: String) -> Answer {
    let Ok(location) = HeaderValue::try_from(target) else {
        return problem::fault(problem::Fault::Internal, "");
    };
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::FOUND;
    let headers = answer.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).unwrap_or("")
}
