//! What LinkedIn's answers mean. The places of bad events stand in its words and nowhere else; everything else is decided
//! by the status.

use std::collections::BTreeSet;

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::answer::{
    by_status, excerpt, is_redirect, is_success, object, pause, redirected, refused_at, retry,
    retry_after_ms, shown,
};
use crate::dialect::{BatchOutcome, Reading, Response, Settings};

/// What stands before the path of the field that is wrong with an event.
const REFUSAL: &str = "ERROR :: /";
/// What `Index: 12, ` before it may take up, and the end of the word before that.
const NAMED_BYTES_MAX: usize = 40;

/// Reads an answer to a request that carried `sent` events.
pub(super) fn read(settings: &Settings, response: &Response, sent: usize, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let asked = retry_after_ms(response, now);
    if is_success(response.status) {
        return taken(settings, response, sent);
    }
    let json = object(response);
    let word = |key: &str| json.as_ref().and_then(|json| json.get(key)?.as_str()).unwrap_or_default();
    let said = format!("{} {}", word("code"), word("message"));
    let ended = || pause(Reason::DestMisconfigured, shown(settings, &format!("{said}; set api_version")));
    let text = String::from_utf8_lossy(&response.body);
    match response.status {
        426 => ended(),
        400 if word("code").contains("VERSION") => ended(),
        400 | 422 if json.is_some() => refused_at(
            &places(word("message")),
            sent,
            shown(settings, &format!("{}: {said}", response.status)),
        ),
        // The same in words alone.
        400 | 422 if text.contains(REFUSAL) && !response.body_cut => {
            refused_at(&named(&text), sent, shown(settings, &format!("{}: {text}", response.status)))
        }
        // Cut off, so that nobody can say which place is named.
        _ => by_status(settings, response, asked, (json.is_some() || response.body_cut).then_some(&said)),
    }
}

/// Every event has its own status, unless the body is empty: then the batch's own counts.
fn taken(settings: &Settings, response: &Response, sent: usize) -> Reading {
    if response.body.is_empty() {
        return Reading::whole(Outcome::Delivered, format!("{}: taken", response.status));
    }
    let json = object(response);
    let elements = json.as_ref().and_then(|json| json.get("elements")?.as_array());
    let Some(elements) = elements.filter(|elements| elements.len() == sent) else {
        let detail =
            shown(settings, &format!("not one status for each event: {}", excerpt(settings, response)));
        return Reading::whole(retry(Reason::DestUnreadable, None), detail);
    };
    let each: Vec<Outcome> = elements.iter().map(|element| element_outcome(element.as_object())).collect();
    let bad = each.iter().filter(|outcome| **outcome != Outcome::Delivered).count();
    let first = elements.iter().find_map(|element| element.pointer("/error/message")?.as_str());
    let said = first.map(|words| format!(": {words}")).unwrap_or_default();
    let detail = shown(settings, &format!("{} of {sent} taken{said}", sent - bad));
    Reading { outcome: BatchOutcome::Each(each), detail, slow_down_ms: None }
}

fn element_outcome(element: Option<&Map<String, Value>>) -> Outcome {
    match element.and_then(|element| element.get("status")?.as_i64()) {
        Some(200..=299) => Outcome::Delivered,
        Some(429) => retry(Reason::DestRateLimited, None),
        Some(400..=499) => Outcome::Refused { reason: Reason::DestRejected },
        Some(500..) => retry(Reason::DestServerError, None),
        _ => retry(Reason::DestUnreadable, None),
    }
}

/// The same of an answer in words: what stands between may be anybody's page.
fn named(text: &str) -> BTreeSet<usize> {
    let place = |before: &str| {
        // No more than it takes up: as many could be named as fit into an answer.
        let near =
            before.split_at(before.floor_char_boundary(before.len().saturating_sub(NAMED_BYTES_MAX))).1;
        let (rest, place) = near.trim_end().strip_suffix(',')?.rsplit_once("Index: ")?;
        // The end of another word is none.
        let is_word = !rest.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        is_word.then(|| place.trim().parse().ok()).flatten()
    };
    text.match_indices(REFUSAL).filter_map(|(at, _)| place(text.split_at(at).0)).collect()
}

/// `Index: 3, ERROR :: /conversionHappenedAt :: ..`: 3.
fn places(message: &str) -> BTreeSet<usize> {
    let lower = message.to_ascii_lowercase();
    let digits = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    lower.split("index: ").skip(1).filter_map(digits).collect()
}
