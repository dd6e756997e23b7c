//! The call: URL, headers and body with their macros filled in.

use std::borrow::Cow;

use crosstally_core::event::OutboundEvent;
use crosstally_core::limits;
use crosstally_core::reason::Reason;
use crosstally_core::template::Template;
use crosstally_core::time::Timestamp;
use url::Url;

use super::config;
use super::macros::{Escape, value_of};
use crate::age;
use crate::dialect::{Built, LeftOut, Request, Settings};

/// Builds the call for the first of the events that can be sent.
pub(super) fn build(settings: &Settings, events: &[OutboundEvent], now: Timestamp) -> Built {
    let mut built = Built { request: None, included: Vec::new(), payloads: Vec::new(), left_out: Vec::new() };
    for (index, event) in events.iter().enumerate() {
        match request(settings, event, now) {
            Ok(request) => {
                let shown = String::from_utf8_lossy(&request.body_shown).into_owned();
                built.payloads.push(if shown.is_empty() { request.url_shown() } else { shown });
                built.included.push(index);
                built.request = Some(request);
                break;
            }
            Err((reason, detail)) => built.left_out.push(LeftOut { index, reason, detail }),
        }
    }
    built
}

fn request(settings: &Settings, event: &OutboundEvent, now: Timestamp) -> Result<Request, (Reason, String)> {
    age::not_too_old(settings, event, now).map_err(|refused| (refused.reason, refused.detail))?;
    let secret = settings.secret("secret");
    let value = |name: &str| value_of(event, secret, name);
    let url = url(settings.text("url").unwrap_or_default(), value)?;
    let method = config::method(settings);
    let mut headers: Vec<(String, String)> = settings
        .map("headers")
        .map(|(name, text)| (name.to_ascii_lowercase(), Escape::Header.fill(&Template::parse(text), value)))
        .collect();
    let mut body = String::new();
    if let Some(text) = settings.text("body").filter(|_| method == "POST") {
        let content_type = config::content_type(settings);
        let escape = Escape::of_content_type(content_type).unwrap_or(Escape::Percent);
        body = escape.fill(&Template::parse(text), value);
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    if body.len() > limits::POSTBACK_BODY_BYTES_MAX {
        let detail = format!(
            "the body has {} bytes; at most {} are sent",
            body.len(),
            limits::POSTBACK_BODY_BYTES_MAX
        );
        return Err((Reason::EventIncomplete, detail));
    }
    let body_shown = settings.masked(&body).into_bytes();
    let secrets = secret.cloned().into_iter().collect();
    Ok(Request { method, url, headers, body: body.into_bytes(), body_shown, secrets })
}

fn url<'a>(
    template: &str,
    value: impl FnMut(&str) -> Option<Cow<'a, str>>,
) -> Result<String, (Reason, String)> {
    let refuse = |detail: String| Err((Reason::EventIncomplete, detail));
    let template = Template::parse(template);
    let filled = Escape::Percent.fill(&template, value);
    if filled.len() > limits::TARGET_BYTES_MAX {
        return refuse(format!(
            "the URL has {} bytes; at most {} are sent",
            filled.len(),
            limits::TARGET_BYTES_MAX
        ));
    }
    let plain = Escape::Percent.fill(&template, |_| None);
    if dot_segments(&filled) != dot_segments(&plain) {
        return refuse(
            "a value in the URL's path is `.` or `..`, which would lead to another path".to_owned(),
        );
    }
    match Url::parse(&filled) {
        Ok(url) => Ok(url.into()),
        Err(error) => refuse(format!("the filled in URL is none: {error}")),
    }
}

/// Which segments of the path mean "here" or "one up", in any spelling.
fn dot_segments(url: &str) -> Vec<bool> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots =
        |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.split(['/', '\\']).map(dots).collect()
}
