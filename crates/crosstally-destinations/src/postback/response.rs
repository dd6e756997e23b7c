//! What a partner's answer means. Partners differ, so only the status counts, and the body where the settings say so.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::Timestamp;
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::effective::Effective;
use super::prefix;
use crate::answer::{is_redirect, of_partner, shorten, unmarked};
use crate::dialect::{Reading, Response, Settings};

/// What a compiled expression may take up.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Reads an answer.
pub(super) fn read(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    let effective = Effective::of(&settings.values);
    let taken = effective.list("success_status");
    let status = response.status;
    if !taken.is_empty() && !is_redirect(status) && taken.iter().any(|range| holds(range, status)) {
        // Whatever others mean by it, here it is a success.
        let response = Response { status: 200, ..response.clone() };
        return of_partner(settings, &response, now, |said| {
            success(settings, &response, &said.replacen("200", &status.to_string(), 1))
        });
    }
    of_partner(settings, response, now, |said| match taken {
        [] => success(settings, response, &said),
        _ => refused("the status is none of `success_status`", &said),
    })
}

/// Whether a range such as `200` or `200-204` holds a status.
pub(super) fn holds(range: &str, status: u16) -> bool {
    bounds(range).is_some_and(|(first, last)| (first..=last).contains(&status))
}

/// The bounds of a range of statuses.
pub(super) fn bounds(range: &str) -> Option<(u16, u16)> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && (200..=599).contains(&first) && last <= 599).then_some((first, last))
}

/// An expression, compiled within bounds.
pub(super) fn regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build()
}

fn success(settings: &Settings, response: &Response, said: &str) -> Reading {
    let body = unmarked(&response.body);
    let unwanted = Effective::of(&settings.values).text("failure_body_contains");
    if let Some(unwanted) = unwanted.filter(|unwanted| contains(body, unwanted.as_bytes())) {
        return refused(&format!("the body contains {unwanted:?}"), said);
    }
    let of = |outcome, why: &str| Reading::whole(outcome, shorten(&format!("{why}; {said}")));
    match judged(settings, body, response.body_cut) {
        Judged::Success => match unwanted.filter(|_| response.body_cut) {
            None => Reading::whole(Outcome::Delivered, said),
            Some(unwanted) => of(Outcome::Unverified, &format!("{CUT}: {unwanted:?} may stand there")),
        },
        Judged::Failure(why) => refused(&why, said),
        // Whoever stands in between may have answered, for as long as the partner is away.
        Judged::Page => {
            of(Outcome::Doubted { reason: Reason::DestRejected }, "the body is a page and not JSON")
        }
        // It was taken, as far as the status says, and would be taken again.
        Judged::Unseen(why) => of(Outcome::Unverified, &why),
    }
}

/// What is told of a body that is longer than what is read of it.
const CUT: &str = "the answer is too long to be read to its end";

/// What a body comes to by the rules of the settings.
enum Judged {
    /// It has all that a success has.
    Success,
    /// It has not, and what.
    Failure(String),
    /// It is a page where JSON should be.
    Page,
    /// What is missing may stand in the part that could not be read.
    Unseen(String),
}

fn first_sign(body: &[u8]) -> Option<u8> {
    body.trim_ascii_start().first().copied()
}

fn refused(why: &str, said: &str) -> Reading {
    let detail = shorten(&format!("{why}; {said}"));
    Reading::whole(Outcome::Refused { reason: Reason::DestRejected }, detail)
}

fn judged(settings: &Settings, body: &[u8], cut: bool) -> Judged {
    let is_begun = prefix::is_begun(body);
    if cut && is_begun {
        return judged_by_its_beginning(
            settings,
            body,
            CUT,
            missing_in_text(settings, body).map(Judged::Unseen),
        );
    }
    let text = missing_in_text(settings, body).map(Judged::Failure);
    if Effective::of(&settings.values).map("success_json").next().is_none() {
        return text.unwrap_or(Judged::Success);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => {
            let missing =
                places(settings, &json).into_iter().find(|place| !matches!(place.there, There::Wanted));
            text.or_else(|| missing.map(|place| Judged::Failure(place.why))).unwrap_or(Judged::Success)
        }
        // Made by hand, with a quote of the visitor's in it or half a sign: the call was made and is not made again for that.
        Err(_) if is_begun => judged_by_its_beginning(settings, body, "the answer is no whole JSON", text),
        Err(_) if first_sign(body) == Some(b'<') => Judged::Page,
        Err(_) => Judged::Failure("the body is not JSON".to_owned()),
    }
}

/// The same of JSON that cannot be read to its end: what stands in the part that can be does not change any more.
fn judged_by_its_beginning(settings: &Settings, body: &[u8], what: &str, text: Option<Judged>) -> Judged {
    let json = prefix::read(body);
    let unknown = || Value::String(prefix::OPEN.to_owned());
    let json = json.unwrap_or_else(unknown);
    let told = || places(settings, &json).into_iter();
    if let Some(other) = told().find(|place| matches!(place.there, There::Other)) {
        return Judged::Failure(other.why);
    }
    let unseen = told().find(|place| matches!(place.there, There::Unseen));
    let text = text.map(|judged| match judged {
        Judged::Unseen(why) => Judged::Unseen(format!("{what}: {why}")),
        judged => judged,
    });
    text.or_else(|| unseen.map(|place| Judged::Unseen(format!("{what}: {}", place.why))))
        .unwrap_or(Judged::Success)
}

/// What a text has that stands for a success, and this one has not.
fn missing_in_text(settings: &Settings, body: &[u8]) -> Option<String> {
    let effective = Effective::of(&settings.values);
    if let Some(wanted) = effective.text("success_body_contains")
        && !contains(body, wanted.as_bytes())
    {
        return Some(format!("the body does not contain {wanted:?}"));
    }
    if let Some(wanted) = effective.text("success_body_matches")
        && !regex(wanted).is_ok_and(|regex| regex.is_match(body))
    {
        return Some(format!("the body does not match {wanted:?}"));
    }
    None
}

/// A path of `success_json` in an answer.
struct Place {
    there: There,
    /// What there is and should not be.
    why: String,
}

/// What stands at a path.
enum There {
    /// What a success has.
    Wanted,
    /// Something else, or nothing.
    Other,
    /// Nothing in the part that could be read.
    Unseen,
}

fn places(settings: &Settings, json: &Value) -> Vec<Place> {
    let effective = Effective::of(&settings.values);
    let places = effective.map("success_json").map(|(path, wanted)| {
        let found = at(json, path);
        let plain = match found {
            Some(Value::String(text)) => Some(text.clone()),
            Some(plain @ (Value::Bool(_) | Value::Number(_))) => Some(plain.to_string()),
            _ => None,
        };
        let there = match plain.as_deref() {
            Some(prefix::OPEN) => There::Unseen,
            Some(text) if text == wanted => There::Wanted,
            _ => There::Other,
        };
        let shown = match (plain, found) {
            (None, Some(Value::Array(_))) => "a list".to_owned(),
            (None, Some(Value::Object(_))) => "an object".to_owned(),
            // Masked before it is quoted and cut: half a secret is no longer recognised.
            (Some(text), _) if text != prefix::OPEN => format!("{:?}", settings.masked(&text)),
            _ => "nothing".to_owned(),
        };
        Place { there, why: format!("the body has {shown} at `{path}` and not {wanted:?}") }
    });
    places.collect()
}

/// What stands at a path such as `data.items.0.status`; the mark of what is open where it may stand in the part that could
/// not be read.
fn at<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(json, |here, key| match here {
        Value::Array(items) => {
            let unseen = || items.last().filter(|last| last.as_str() == Some(prefix::OPEN));
            items.get(key.parse::<usize>().ok()?).or_else(unseen)
        }
        Value::Object(fields) => fields.get(key).or_else(|| fields.get(prefix::OPEN)),
        Value::String(text) if text == prefix::OPEN => Some(here),
        _ => None,
    })
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}
