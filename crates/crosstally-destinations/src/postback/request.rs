//! The call: URL, headers and body with their macros filled in.

use crosstally_core::event::OutboundEvent;
use crosstally_core::reason::Reason;
use crosstally_core::template::{Piece, Template, Unresolved};
use crosstally_core::time::Timestamp;
use crosstally_core::{hops, limits};
use url::Url;

use super::effective::Effective;
use super::escape::Escape;
use super::leftover;
use super::macros::Values;
use super::told;
use crate::age;
use crate::dialect::{Built, LeftOut, Request, Settings};
use crate::privacy;
use crate::refused::Refused;

/// Who is called, in words.
const PARTNER: &str = "this destination";

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
            Err(Refused { reason, detail }) => built.left_out.push(LeftOut { index, reason, detail }),
        }
    }
    built
}

fn request(settings: &Settings, event: &OutboundEvent, now: Timestamp) -> Result<Request, Refused> {
    age::not_too_old(settings, event, now)?;
    privacy::no_opt_out(event, PARTNER)?;
    if !told::limits(settings, event) {
        privacy::no_limits(event, PARTNER)?;
    }
    let secret = settings.secret("secret");
    let effective = Effective::of(&settings.values);
    let values = Values { event, effective: &effective, secret };
    let fill = |template: &Template, escape: Escape| {
        escape.fill(template, |found| values.of(found)).map_err(unresolved)
    };
    let read = |text: &str, escape: Escape| effective.template(text, escape).0;
    let template = read(effective.url(), Escape::Percent);
    let url = url(&fill(&template, Escape::Percent)?, &template)?;
    let method = effective.method();
    let mut headers = Vec::new();
    for (name, text) in effective.headers() {
        let value = fill(&read(text, Escape::Header), Escape::Header)?;
        whole(leftover::in_body(&value, Escape::Header), "a header")?;
        headers.push((name.to_ascii_lowercase(), value));
    }
    let mut body = String::new();
    if let Some(text) = effective.body() {
        let escape = effective.body_escape();
        body = fill(&read(text, escape), escape)?;
        headers.push(("content-type".to_owned(), effective.content_type().to_owned()));
        whole(leftover::in_body(&body, escape), "the body")?;
    }
    headers.push(hops::header(event.origin.hops));
    if body.len() > limits::POSTBACK_BODY_BYTES_MAX {
        return Err(Refused::incomplete(format!(
            "the body has {} bytes; at most {} are sent",
            body.len(),
            limits::POSTBACK_BODY_BYTES_MAX
        )));
    }
    let body_shown = settings.masked(&body).into_bytes();
    let secrets = secret.cloned().into_iter().collect();
    Ok(Request { method, url, headers, body: body.into_bytes(), body_shown, secrets })
}

fn unresolved(missing: Unresolved) -> Refused {
    let Unresolved { name, why } = missing;
    Refused { reason: Reason::TemplateUnresolved, detail: format!("the macro `{name}`: {why}") }
}

/// Nothing leaves with a macro's own name as a value.
fn whole(left: Option<String>, place: &str) -> Result<(), Refused> {
    match left {
        None => Ok(()),
        Some(left) => {
            let detail = format!("{place} would carry `{left}` as it is, which nobody fills in");
            Err(Refused { reason: Reason::TemplateUnresolved, detail })
        }
    }
}

fn url(filled: &str, template: &Template) -> Result<String, Refused> {
    if filled.len() > limits::TARGET_BYTES_MAX {
        return Err(Refused::incomplete(format!(
            "the URL has {} bytes; at most {} are sent",
            filled.len(),
            limits::TARGET_BYTES_MAX
        )));
    }
    if dot_segments(filled) != dot_segments(&template_text(template)) {
        return Err(Refused::incomplete(
            "the values in the URL's path make a segment `.` or `..`, which would lead to another path",
        ));
    }
    whole(leftover::in_url(filled), "the URL")?;
    match Url::parse(filled) {
        Ok(url) => Ok(url.into()),
        Err(error) => Err(Refused::incomplete(format!("the filled in URL is none: {error}"))),
    }
}

/// The URL's template with a letter for each macro: a segment that a value has a part in is never meant to be dots.
fn template_text(template: &Template) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Macro(_) => "x".to_owned(),
    };
    template.pieces().iter().map(text).collect()
}

/// Which segments of the path mean "here" or "one up", in any spelling.
fn dot_segments(url: &str) -> Vec<bool> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots =
        |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.split(['/', '\\']).map(dots).collect()
}
