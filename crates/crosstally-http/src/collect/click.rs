//! `GET /c/{campaign}`, and what a visitor is sent on with.

use std::net::IpAddr;
use std::sync::LazyLock;

use bytes::Bytes;
use crosstally_core::redirect::{self, Page, Redirect};
use crosstally_engine::click::{ClickIn, ClickOut, Cookie, SECOND_PARAM, Sent};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use crate::answer::{self, Answer};
use crate::state::State;
use crate::{client, problem};

/// How long a cookie of a click lasts, in seconds: the 90 days of most windows.
const COOKIE_S: u32 = 90 * 86_400;
/// The headers in which browsers say that nobody has asked for the page yet.
const PREFETCH: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// Captures the click and redirects.
pub(crate) async fn handle<B>(state: &State, campaign: &str, request: &Request<B>, peer: IpAddr) -> Answer {
    if let Some(answer) = second_page(state, request) {
        return answer;
    }
    answer(state.engine.capture_click(input(state, campaign, request, peer)).await)
}

/// What a request says of a visitor.
pub(super) fn input<'r, B>(
    state: &State,
    slug: &'r str,
    request: &'r Request<B>,
    peer: IpAddr,
) -> ClickIn<'r> {
    let headers = request.headers();
    ClickIn {
        campaign: slug,
        query: request.uri().query().unwrap_or(""),
        ip: Some(client::address(peer, headers, &state.options)),
        user_agent: text(headers, &header::USER_AGENT),
        referrer: text(headers, &header::REFERER),
        language: text(headers, &header::ACCEPT_LANGUAGE),
        cookies: text(headers, &header::COOKIE),
        gpc: client::asks_for_privacy(headers),
        head: *request.method() == Method::HEAD,
        // Four looks at headers that a configuration without this mark does without.
        prefetch: state.engine.labels_bots() && is_prefetch(headers),
        test: false,
    }
}

/// The second of two pages, if that is what is asked for: no click of its own.
pub(super) fn second_page<B>(state: &State, request: &Request<B>) -> Option<Answer> {
    let is_seal = |query: &&str| query.strip_prefix(SECOND_PARAM).is_some_and(|rest| rest.starts_with('='));
    let query = request.uri().query().filter(is_seal)?;
    let target = state.engine.second_target(query);
    Some(target.map_or_else(
        || problem::fault(problem::Fault::NoRoute, ""),
        |target| page(Page::RefreshSilently, &target),
    ))
}

/// How a visitor is sent on.
pub(super) fn answer(out: ClickOut) -> Answer {
    match out {
        ClickOut::Redirect(target) => redirect(target),
        ClickOut::Sent(sent) => sent_on(*sent),
        ClickOut::Refused(reason) => problem::refusal(reason, "", None),
    }
}

fn sent_on(sent: Sent) -> Answer {
    let Sent { target, how, cookies, second } = sent;
    let mut answer = match how {
        Redirect::Found => redirect(target),
        Redirect::Temporary => {
            let mut answer = redirect(target);
            if answer.status() == StatusCode::FOUND {
                *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            }
            answer
        }
        Redirect::Meta => page(Page::Refresh, &target),
        Redirect::DoubleMeta => page(Page::RefreshSilently, second.as_deref().unwrap_or(&target)),
        Redirect::NoReferrer => page(Page::RefreshSilently, &target),
        Redirect::Script => page(Page::Script, &target),
    };
    for Cookie { name, value, path } in cookies {
        let cookie = format!("{name}={value}; Path={path}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Lax");
        // Slugs and click ids are words: whatever they are, no header can be broken by them.
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    answer
}

fn page(kind: Page, to: &str) -> Answer {
    static WITH_SCRIPT: LazyLock<String> = LazyLock::new(redirect::script_policy);
    let mut answer = answer::body(StatusCode::OK, "text/html; charset=utf-8", redirect::page(kind, to));
    let policy = if kind == Page::Script { WITH_SCRIPT.as_str() } else { redirect::POLICY };
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let referrer = if kind == Page::RefreshSilently { "no-referrer" } else { "origin" };
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
    answer
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    PREFETCH.iter().any(|name| {
        headers.get(name).is_some_and(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            [&b"prefetch"[..], b"preview", b"prerender"].iter().any(|word| value.starts_with(word))
        })
    })
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
