//! The call: URL, headers and body with their macros filled in.

use crosstally_core::event::OutboundEvent;
use crosstally_core::macro_names::built_in;
use crosstally_core::reason::Reason;
use crosstally_core::secret::Secret;
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
use crate::call_url::CallUrl;
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
    let fill = |template: &Template, escape: Escape| filled(template, escape, values);
    let whole =
        |text: &str, template: &Template, place: Place| whole(settings, values, text, template, place);
    let read = |text: &str, escape: Escape| effective.known(&settings.templates, text, escape);
    let template = read(effective.url(), Escape::Percent);
    let text = fill(&template, Escape::Percent)?;
    may_be_called(&text, &template)?;
    whole(&text, &template, Place::Url)?;
    let url = read_url(&text)?;
    let method = effective.method();
    let mut headers = Vec::new();
    for (name, text) in effective.headers() {
        let template = read(text, Escape::Header);
        let value = fill(&template, Escape::Header)?;
        whole(&value, &template, Place::Header)?;
        headers.push((name.to_ascii_lowercase(), value));
    }
    let mut body = String::new();
    if let Some(text) = effective.body() {
        let escape = effective.body_escape();
        let template = read(text, escape);
        body = fill(&template, escape)?;
        headers.push(("content-type".to_owned(), effective.content_type().to_owned()));
        whole(&body, &template, Place::Body(escape))?;
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

fn filled(template: &Template, escape: Escape, values: Values<'_>) -> Result<String, Refused> {
    escape.fill(template, |found| values.of(found)).map_err(unresolved)
}

/// A part of the call.
#[derive(Clone, Copy)]
enum Place {
    Url,
    Header,
    Body(Escape),
}

impl Place {
    const fn escape(self) -> Escape {
        match self {
            Self::Url => Escape::Percent,
            Self::Header => Escape::Header,
            Self::Body(escape) => escape,
        }
    }

    fn leftover(self, text: &str) -> Option<String> {
        match self {
            Self::Url => leftover::in_url(text),
            Self::Header | Self::Body(_) => leftover::in_body(text, self.escape()),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Url => "the URL",
            Self::Header => "a header",
            Self::Body(_) => "the body",
        }
    }
}

/// Nothing leaves with a macro's own name as a value.
fn whole(
    settings: &Settings,
    values: Values<'_>,
    text: &str,
    template: &Template,
    place: Place,
) -> Result<(), Refused> {
    let Some(mut left) = place.leftover(text) else { return Ok(()) };
    if values.secret.is_some() && template.macros().any(|found| is_secret(&found.name)) {
        // A secret may look like a macro, and is none: what counts is what is left beside it.
        let harmless = Secret::new("secret");
        let beside = filled(template, place.escape(), Values { secret: Some(&harmless), ..values })?;
        let Some(other) = place.leftover(&beside) else { return Ok(()) };
        left = other;
    }
    let left = settings.masked(&left);
    let detail = format!("{} would carry `{left}` as it is, which nobody fills in", place.words());
    Err(Refused { reason: Reason::TemplateUnresolved, detail })
}

fn is_secret(name: &str) -> bool {
    built_in(name).is_some_and(|(name, _)| name == "secret")
}

/// Whether the URL is one that a call may have, for its length and where it leads.
fn may_be_called(filled: &str, template: &Template) -> Result<(), Refused> {
    if filled.len() > limits::TARGET_BYTES_MAX {
        return Err(Refused::incomplete(format!(
            "the URL has {} bytes; at most {} are sent",
            filled.len(),
            limits::TARGET_BYTES_MAX
        )));
    }
    if leads_elsewhere(filled, template) {
        return Err(Refused::incomplete(
            "the values in the URL's path make a segment `.` or `..`, which would lead to another path",
        ));
    }
    Ok(())
}

fn read_url(filled: &str) -> Result<CallUrl, Refused> {
    match Url::parse(filled) {
        Ok(url) => Ok(url.into()),
        Err(error) => Err(Refused::incomplete(format!("the filled in URL is none: {error}"))),
    }
}

/// Whether the values make a segment of the path `.` or `..`.
fn leads_elsewhere(filled: &str, template: &Template) -> bool {
    let ends_path = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['?', '#']));
    // Mostly no value stands in the path at all.
    if template.pieces().first().is_some_and(ends_path) {
        return false;
    }
    !dot_segments(filled).eq(dot_segments(&template_text(template)))
}

/// The URL's template with a letter for each macro: a segment that a value has a part in is never meant to be dots.
fn template_text(template: &Template) -> String {
    let mut text = String::new();
    for piece in template.pieces() {
        text.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Macro(_) => "x",
        });
    }
    text
}

/// Which segments of the path mean "here" or "one up", in any spelling.
fn dot_segments(url: &str) -> impl Iterator<Item = bool> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).map(is_dots)
}

fn is_dots(segment: &str) -> bool {
    let mut rest = segment.as_bytes();
    let mut dots = 0;
    while let [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] = rest {
        dots += 1;
        rest = after;
    }
    rest.is_empty() && matches!(dots, 1 | 2)
}

#[cfg(test)]
mod tests {
    use crosstally_core::template::Brackets;
    use proptest::prelude::*;

    use super::*;

    /// By the words of the rule: small letters, `%2e` for a dot.
    fn is_dots_as_spelt(segment: &str) -> bool {
        matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    }

    #[test]
    fn every_spelling_of_dots_is_seen() {
        for dots in [".", "%2e", "%2E", "..", ".%2e", "%2E.", "%2e%2E"] {
            assert!(is_dots(dots) && is_dots_as_spelt(dots), "{dots}");
        }
        for other in ["", "...", "%2e..", "x.", ".x", "%2", "%2e%", "%2f", "%252e", "\u{ff0e}", ". "] {
            assert!(!is_dots(other) && !is_dots_as_spelt(other), "{other}");
        }
    }

    #[test]
    fn values_lead_elsewhere_only_where_they_stand_in_the_path() {
        for (template, filled, expected) in [
            ("https://a.example/{x}/b", "https://a.example/../b", true),
            ("https://a.example/{x}/b", "https://a.example/1/b", false),
            ("https://a.example/./{x}?y={x}", "https://a.example/./1?y=..", false),
            ("https://a.example/../b?y=/{x}", "https://a.example/../b?y=/..", false),
            ("https://a.example/{x}{x}?y", "https://a.example/.%2e?y", true),
        ] {
            let template = Template::read(template, Brackets::BRACES).0;
            assert_eq!(leads_elsewhere(filled, &template), expected, "{filled}");
        }
    }

    proptest! {
        #[test]
        fn dots_are_what_they_are_spelt(segment in "(\\.|%2e|%2E|%|2|e|x|\u{e9}){0,4}") {
            prop_assert_eq!(is_dots(&segment), is_dots_as_spelt(&segment), "{}", segment);
        }
    }
}
