//! `POST /e` and `GET /e.gif`: what browsers tell.
//!
//! A page on one of the campaign's `sites` may read the answer, nobody else's. Bodies are JSON whatever their type says:
//! browsers send `text/plain` when a page is left, as that needs no question before.

use std::net::IpAddr;
use std::time::Duration;

use crosstally_core::browser::{BODY_BYTES_MAX, COOKIE_SECONDS, PAGE_VIEW, host_of_origin, registrable};
use crosstally_core::consent::Choice;
use crosstally_core::limits::HEADER_BYTES_MAX;
use crosstally_core::params::Params;
use crosstally_core::postback::{Headers, Inbound};
use crosstally_core::reason::Reason;
use crosstally_engine::browser::{BrowserIn, EventIn, Heard};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use serde_json::{Map, Value, json};

use self::wire::CallIn;
use super::postback::answer::tell_one;
use crate::answer::{Answer, body as answer_body};
use crate::problem::{Fault, fault, refusal};
use crate::state::State;
use crate::{answer, client};

mod wire;

/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(10);
/// Our own cookie: the click's id and, behind a dot, the id of its first action.
const OWN_COOKIE: &str = "_xt";
/// One transparent point.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// `POST /e`, and the question that a browser asks before it sends JSON as such.
pub(crate) async fn tell<B>(state: &State, request: Request<B>, peer: IpAddr) -> Answer
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let origin = origin_of(request.headers());
    let answered = match *request.method() {
        Method::OPTIONS => preflight(),
        Method::POST => heard(state, request, peer).await,
        _ => refusal(Reason::MethodNotAllowed, "tell events by POST", None),
    };
    readable(state, answered, origin)
}

/// `GET /e.gif`: one event as an image, for pages that run no script.
pub(crate) async fn image<B>(state: &State, request: Request<B>, peer: IpAddr) -> Answer {
    if request.method() != Method::GET {
        return refusal(Reason::MethodNotAllowed, "send GET", None);
    }
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let raw = inbound(state, &parts, peer, query.as_bytes().to_vec(), Vec::new());
    let params = match Params::parse(query.as_bytes()) {
        Ok(params) => params,
        Err(reason) => return tell_one(&state.engine.refuse_browser(raw, reason, "").await),
    };
    let referrer = text(&parts.headers, &header::REFERER);
    let said = |name: &str| params.get(name).unwrap_or_default().to_owned();
    let page = Some(said("page")).filter(|page| !page.is_empty()).unwrap_or_else(|| referrer.clone());
    let own = ["campaign", "click_id", "name", "event_id", "page", "transaction_id"];
    let fields: Map<String, Value> = params
        .iter()
        .filter(|param| !own.contains(&param.name.as_str()))
        .map(|param| (param.name.clone(), Value::String(param.value.clone())))
        .collect();
    let name = Some(said("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| PAGE_VIEW.to_owned());
    let transaction_id = Some(said("transaction_id")).filter(|order| !order.is_empty());
    let mut input = BrowserIn {
        campaign: said("campaign"),
        click_id: said("click_id"),
        host: host_of_origin(&referrer),
        click_vouches: true,
        page,
        events: vec![EventIn {
            name,
            event_id: said("event_id"),
            transaction_id,
            fields,
            ..EventIn::default()
        }],
        ..visitor(state, &parts, peer)
    };
    (input.fbc, input.fbp) = (cookie(&parts.headers, "_fbc"), cookie(&parts.headers, "_fbp"));
    match state.engine.hear_browser(input, raw).await {
        Ok(_) => answer_body(StatusCode::OK, "image/gif", GIF),
        Err(out) => tell_one(&out),
    }
}

async fn heard<B>(state: &State, request: Request<B>, peer: IpAddr) -> Answer
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, stream) = request.into_parts();
    let mut raw = inbound(state, &parts, peer, Vec::new(), Vec::new());
    match collect(stream).await {
        Ok(whole) => raw.body = whole,
        Err(Some(unread)) => return unread,
        Err(None) => {
            let detail = format!("the limit is {BODY_BYTES_MAX} bytes");
            return close(tell_one(&state.engine.refuse_browser(raw, Reason::BodyTooLarge, &detail).await));
        }
    }
    let call = match CallIn::read(&raw.body) {
        Ok(call) => call,
        Err(detail) => {
            return tell_one(&state.engine.refuse_browser(raw, Reason::BodyUnreadable, &detail).await);
        }
    };
    let origin = origin_of(&parts.headers).unwrap_or_else(|| text(&parts.headers, &header::REFERER));
    let keep = call.keep.clone();
    let mut input = call.into_input(visitor(state, &parts, peer));
    input.host = host_of_origin(&origin);
    let asked = (input.fbc.clone(), input.fbp.clone());
    let denied = input.consent.user_data() == Some(Choice::Denied);
    match state.engine.hear_browser(input, raw).await {
        // Who does not want to be known gets no cookie, however the page asked.
        Ok(heard) if denied => said(&heard),
        Ok(heard) => told(&heard, &parts.headers, &origin, &keep, asked),
        Err(out) => tell_one(&out),
    }
}

/// What is known of the visitor without their saying it.
fn visitor(state: &State, parts: &http::request::Parts, peer: IpAddr) -> BrowserIn {
    let headers = &parts.headers;
    let mut input = BrowserIn {
        ip: Some(client::address(peer, headers, &state.options)),
        user_agent: text(headers, &header::USER_AGENT),
        language: text(headers, &header::ACCEPT_LANGUAGE),
        ..BrowserIn::default()
    };
    input.consent.gpc = client::asks_for_privacy(headers);
    input
}

/// The answer without cookies.
fn said(heard: &Heard) -> Answer {
    answer::json(
        StatusCode::OK,
        &json!({
            "result": if heard.recorded > 0 || heard.repeated == 0 { "recorded" } else { "duplicate" },
            "recorded": heard.recorded,
            "repeated": heard.repeated,
            "refused": heard.too_many,
            "click_id": heard.click_id.to_string(),
            "fbc": heard.fbc,
            "fbp": heard.fbp,
            "domain": heard.domain,
        }),
    )
}

fn told(
    heard: &Heard,
    headers: &HeaderMap,
    origin: &str,
    keep: &str,
    (fbc, fbp): (String, String),
) -> Answer {
    let mut answer = said(heard);
    // A cookie that the page's own site sets lives longer than one that a script sets, where browsers tell them apart.
    let ours = host_of_origin(&format!("https://{}", text(headers, &header::HOST)));
    let same_site = ours.as_deref().and_then(registrable).is_some_and(|site| site == heard.domain);
    let host = host_of_origin(origin);
    if same_site && host.as_deref().and_then(registrable) == Some(heard.domain.as_str()) {
        let secure = if origin.starts_with("https:") { "; Secure" } else { "" };
        let own = Some(format!("{}.{keep}", heard.click_id));
        let renewed =
            |now: &Option<String>, was: String| now.clone().filter(|now| *now != was || !was.is_empty());
        for (name, value) in [
            (OWN_COOKIE, own),
            ("_fbc", renewed(&heard.fbc, fbc)),
            ("_fbp", heard.fbp.clone().filter(|_| !fbp.is_empty())),
        ] {
            let Some(value) = value.filter(|value| is_cookie_value(value)) else { continue };
            let line = format!(
                "{name}={value}; Domain={}; Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax{secure}",
                heard.domain
            );
            if let Ok(line) = HeaderValue::try_from(line) {
                answer.headers_mut().append(header::SET_COOKIE, line);
            }
        }
    }
    answer
}

/// Bytes that a cookie's value may have.
fn is_cookie_value(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

fn preflight() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    answer
}

/// Lets the page read the answer, if it is on a host of a campaign.
fn readable(state: &State, mut answer: Answer, origin: Option<String>) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    let known =
        origin.filter(|origin| host_of_origin(origin).is_some_and(|host| state.engine.hears_host(&host)));
    if let Some(origin) = known.and_then(|origin| HeaderValue::try_from(origin).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    answer
}

/// The body under its cap; `None` in the error if it is too large.
#[expect(clippy::disallowed_methods, reason = "the body is collected under its cap and its deadline")]
async fn collect<B>(stream: B) -> Result<Vec<u8>, Option<Answer>>
where
    B: Body<Data: Send> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(BODY_WAIT, Limited::new(stream, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(None),
        Ok(Err(_)) => Err(Some(close(fault(Fault::BadRequest, "the body broke off")))),
        Err(_) => Err(Some(close(fault(Fault::BodyTimeout, "")))),
    }
}

fn inbound(
    state: &State,
    parts: &http::request::Parts,
    peer: IpAddr,
    query: Vec<u8>,
    body: Vec<u8>,
) -> Inbound {
    Inbound {
        method: parts.method.as_str().to_owned(),
        partner: String::new(),
        query,
        body,
        content_type: text(&parts.headers, &header::CONTENT_TYPE),
        headers: Headers::default(),
        parts: Vec::new(),
        peer: Some(client::address(peer, &parts.headers, &state.options)),
        user_agent: text(&parts.headers, &header::USER_AGENT),
    }
}

fn origin_of(headers: &HeaderMap) -> Option<String> {
    Some(text(headers, &header::ORIGIN)).filter(|origin| !origin.is_empty() && origin != "null")
}

/// A header's text, as much as is kept of any.
fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).unwrap_or("");
    wire::short(value, HEADER_BYTES_MAX)
}

fn cookie(headers: &HeaderMap, name: &str) -> String {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

/// The rest of an unread body must not be taken for the next request.
fn close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
