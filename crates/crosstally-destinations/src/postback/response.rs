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
    if let Some(unwanted) = Effective::of(&settings.values).text("failure_body_contains")
        && contains(&response.body, unwanted.as_bytes())
    {
        return refused(&format!("the body contains {unwanted:?}"), said);
    }
    let judged = if response.body_cut && is_json_begun(&response.body) {
        judged_by_its_beginning(settings, response)
    } else {
        judged(settings, &response.body)
    };
    let of = |outcome, why: &str| Reading::whole(outcome, shorten(&format!("{why}; {said}")));
    match judged {
        Judged::Success => Reading::whole(Outcome::Delivered, said),
        Judged::Failure(why) => refused(&why, said),
        // Whoever stands in between may have answered, for as long as the partner is away.
        Judged::Foreign => of(Outcome::Doubted { reason: Reason::DestRejected }, "the body is not JSON"),
        // It was taken, as far as the status says, and would be taken again.
        Judged::Unseen(why) => {
            of(Outcome::Unverified, &format!("the answer is too long to be read to its end: {why}"))
        }
    }
}

/// What a body comes to by the rules of the settings.
enum Judged {
    /// It has all that a success has.
    Success,
    /// It has not, and what.
    Failure(String),
    /// It is no JSON, and should be.
    Foreign,
    /// What is missing may stand in the part that was not read.
    Unseen(String),
}

fn is_json_begun(body: &[u8]) -> bool {
    matches!(unmarked(body).trim_ascii_start().first(), Some(b'{' | b'['))
}

fn refused(why: &str, said: &str) -> Reading {
    let detail = shorten(&format!("{why}; {said}"));
    Reading::whole(Outcome::Refused { reason: Reason::DestRejected }, detail)
}

fn judged(settings: &Settings, body: &[u8]) -> Judged {
    let is_wanted = Effective::of(&settings.values).map("success_json").next().is_some();
    let json = if is_wanted { serde_json::from_slice(unmarked(body)).ok() } else { None };
    if is_wanted && json.is_none() {
        return Judged::Foreign;
    }
    let missing = missing_in_text(settings, body);
    match missing.or_else(|| missing_in_json(settings, &json?, |_| true)) {
        None => Judged::Success,
        Some(why) => Judged::Failure(why),
    }
}

/// The same of JSON that was cut off: what stands in the part that was read does not change any more.
fn judged_by_its_beginning(settings: &Settings, response: &Response) -> Judged {
    let json = prefix::read(unmarked(&response.body)).unwrap_or_default();
    if let Some(why) = missing_in_json(settings, &json, |there| there.is_some()) {
        return Judged::Failure(why);
    }
    let unseen = missing_in_text(settings, &response.body);
    match unseen.or_else(|| missing_in_json(settings, &json, |there| there.is_none())) {
        None => Judged::Success,
        Some(why) => Judged::Unseen(why),
    }
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

/// Where something else stands than in a success, of the places that `counts` wants to know of.
fn missing_in_json(settings: &Settings, json: &Value, counts: fn(Option<&str>) -> bool) -> Option<String> {
    let effective = Effective::of(&settings.values);
    let mut places = effective.map("success_json").map(|(path, wanted)| (path, wanted, at(json, path)));
    let differs = |there: Option<&str>, wanted: &str| there != Some(wanted) && counts(there);
    let found = places.find(|(_, wanted, there)| differs(there.as_deref(), wanted));
    found.map(|(path, wanted, there)| {
        // Masked before it is quoted and cut: half a secret is no longer recognised.
        let there = there.map(|text| format!("{:?}", settings.masked(&text)));
        let there = there.unwrap_or_else(|| "nothing".to_owned());
        format!("the body has {there} at `{path}` and not {wanted:?}")
    })
}

/// What stands at a path such as `data.items.0.status`, as text.
fn at(json: &Value, path: &str) -> Option<String> {
    let found = path.split('.').try_fold(json, |here, key| match here {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}
