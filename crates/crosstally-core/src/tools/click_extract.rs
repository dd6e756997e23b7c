//! Click ids in a URL, a cookie or a bare value: whose they are, when they were made, and what was done to them on the way.
//!
//! It says no more than the form of an id tells. Where a platform documents no time and no length, none is guessed.

use serde::Serialize;

use self::form::{Form, form_of};
use crate::identity::click_cookies::{COOKIE_BYTES_MAX, ClickCookie};
use crate::ids::{ClickId, ClickIdKey, IdError, TEXT_LEN};
use crate::params::Params;
use crate::time::{DAY_MS, Timestamp};
use crate::tools::link;

mod form;
#[cfg(test)]
mod tests;

/// Bytes of a text that is looked through.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// URLs within values of URLs that are looked into.
const DEPTH_MAX: u8 = 3;
/// Ids that are told of one text.
const FOUND_MAX: usize = 100;
/// 2024-01-01: no id of ours is older, and nothing else that begins with a time is taken for one.
const OURS_SINCE: Timestamp = Timestamp::from_millis(1_704_067_200_000);

/// What became of an id on its way here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// As far as its form can be checked, it is as it was made.
    Valid,
    /// A part of it is missing.
    Truncated,
    /// Its capitals are gone.
    LowerCased,
    /// Its small letters are gone.
    UpperCased,
    /// Something else was done to it.
    Mangled,
    /// The macro's own name: nobody filled it in.
    Macro,
    /// There is no value.
    Empty,
    /// It has the shape of one of ours, and was not made here.
    Forged,
    /// It may be one of ours; the key to tell is not at hand.
    Unchecked,
}

/// One id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The parameter or cookie, as it is written; empty for a bare value.
    pub param: String,
    /// The parameter within whose value the URL with it stands; empty for the outermost.
    pub inside: String,
    /// Whose it is.
    pub platform: String,
    /// The id.
    pub id: String,
    /// What became of it.
    pub condition: Condition,
    /// When it was made, where its form tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// What that is, and what was found, in plain words.
    pub words: String,
    /// What to do, if anything.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Extracted {
    /// The ids, in their order.
    pub found: Vec<Found>,
    /// What is wrong with the text itself.
    pub notes: Vec<String>,
}

impl Extracted {
    /// Whether there is an id, and none of them was harmed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let fine = |found: &Found| matches!(found.condition, Condition::Valid | Condition::Unchecked);
        !self.found.is_empty() && self.found.iter().all(fine)
    }
}

/// What reading needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The installation's key of click ids, if it is at hand.
    pub key: Option<&'a ClickIdKey>,
    /// The present time.
    pub now: Timestamp,
}

/// Looks through a URL, a query, a `Cookie` header or a bare value.
#[must_use]
pub fn extract(text: &str, known: Known<'_>) -> Extracted {
    let mut extracted = Extracted::default();
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        extracted.notes.push(format!("longer than {TEXT_BYTES_MAX} bytes; nothing was looked at"));
        return extracted;
    }
    look(text, "", 0, known, &mut extracted);
    if extracted.found.is_empty() {
        extracted.notes.push("no click id that is known was found".to_owned());
    }
    extracted
}

fn look(text: &str, inside: &str, depth: u8, known: Known<'_>, extracted: &mut Extracted) {
    let parts = link::parts(text);
    if parts.second_mark {
        let note = "a second `?` stands where a `&` belongs: some servers read what follows as a part of the value before";
        extracted.notes.push(note.to_owned());
    }
    let Ok(params) = Params::parse(parts.all().as_bytes()) else {
        extracted.notes.push("too many parameters, or one that is too long".to_owned());
        return;
    };
    if params.is_empty() && depth == 0 {
        if let Some(found) = bare(text, known) {
            extracted.found.push(found);
        }
        return;
    }
    let mut seen: Vec<String> = Vec::new();
    for param in params.iter() {
        if extracted.found.len() == FOUND_MAX {
            extracted.notes.push(format!("only the first {FOUND_MAX} are told"));
            return;
        }
        let Some(mut found) = one(&param.name, &param.value, known) else {
            if depth < DEPTH_MAX && param.value.contains("://") {
                look(&param.value, &param.name, depth + 1, known, extracted);
            }
            continue;
        };
        inside.clone_into(&mut found.inside);
        let lower = param.name.to_ascii_lowercase();
        if seen.contains(&lower) {
            let note = format!("`{}` comes more than once; the first one counts", param.name);
            extracted.notes.push(note);
        }
        seen.push(lower);
        extracted.found.push(found);
    }
}

/// A value without a name: what its form says.
fn bare(value: &str, known: Known<'_>) -> Option<Found> {
    if value.is_empty() {
        return None;
    }
    if let Some(found) = ours("", value, known) {
        return Some(found);
    }
    let form = form::guess(value)?;
    Some(of_form("", value, form, known.now))
}

/// A named value: an ad platform's, or one of ours.
fn one(name: &str, value: &str, known: Known<'_>) -> Option<Found> {
    if let Some(form) = form_of(name) {
        return Some(of_form(name, value, form, known.now));
    }
    ours(name, value, known).or_else(|| is_our_name(name).then(|| foreign(name, value)))
}

/// The names under which our own click id travels.
fn is_our_name(name: &str) -> bool {
    crate::fields::field_named("click_id")
        .is_some_and(|field| field.accepted.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

fn told(param: &str, platform: &str, id: &str, condition: Condition, words: String) -> Found {
    Found {
        param: param.to_owned(),
        inside: String::new(),
        platform: platform.to_owned(),
        id: id.to_owned(),
        condition,
        made_at: None,
        words,
        fix: String::new(),
    }
}

/// Something under one of the names of our own id that is none of ours.
fn foreign(name: &str, value: &str) -> Found {
    if let Some((condition, words, fix)) = form::harm_of_any(value) {
        return Found { fix, ..told(name, "unknown", value, condition, words) };
    }
    let words = "a click id, not one of ours: of another tracker or network".to_owned();
    told(name, "unknown", value, Condition::Valid, words)
}

/// One of our own click ids, whole or cut off.
fn ours(name: &str, value: &str, known: Known<'_>) -> Option<Found> {
    let text = value.trim();
    let until = known.now.plus_millis(DAY_MS);
    let could_be = |id: ClickId| (OURS_SINCE..=until).contains(&id.time());
    if text.len() == TEXT_LEN {
        let id = ClickId::parse_unchecked(text).ok().filter(|id| could_be(*id))?;
        let made_at = Some(id.time().to_string());
        let (condition, words, fix) = match known.key.map(|key| ClickId::parse(key, text)) {
            None => (
                Condition::Unchecked,
                "has the shape of one of ours; whether it was made here needs the data directory or a server",
                "name it with --data, or ask the server with --url",
            ),
            Some(Ok(_)) => (Condition::Valid, "one of ours: its integrity tag fits", ""),
            Some(Err(IdError::Forged | IdError::Malformed)) => (
                Condition::Forged,
                "has the shape of one of ours, but its integrity tag does not fit: altered, invented, or of another installation",
                "compare it with the one in the redirect, character by character",
            ),
        };
        return Some(Found {
            made_at,
            fix: fix.to_owned(),
            ..told(name, "crosstally", value, condition, words.to_owned())
        });
    }
    // The time stands at the beginning, so that a part of an id still tells it.
    let padded =
        (12..TEXT_LEN).contains(&text.len()).then(|| format!("{text:0<width$}", width = TEXT_LEN))?;
    let id = ClickId::parse_unchecked(&padded).ok().filter(|id| could_be(*id))?;
    let words = format!(
        "begins like one of ours and has {} of {TEXT_LEN} characters: the rest was cut off",
        text.len()
    );
    let fix = "find the field or column on the way that is too short".to_owned();
    let made_at = Some(id.time().to_string());
    Some(Found { made_at, fix, ..told(name, "crosstally", value, Condition::Truncated, words) })
}

fn of_form(name: &str, value: &str, form: &Form, now: Timestamp) -> Found {
    if let Some((condition, words, fix)) = form::harm_of_any(value) {
        return Found { fix, ..told(name, form.platform, value, condition, words) };
    }
    if value.len() > COOKIE_BYTES_MAX {
        let words = format!("longer than {COOKIE_BYTES_MAX} bytes: no platform makes such");
        return told(name, form.platform, value, Condition::Mangled, words);
    }
    match form.kind {
        form::Kind::Cookie => cookie(name, value, form, now),
        form::Kind::GoogleCookie => google_cookie(name, value, form, now),
        _ => plain(name, value, form),
    }
}

fn plain(name: &str, value: &str, form: &Form) -> Found {
    let (condition, words, fix) = form.judge(value);
    let made_at = form.made_at(value).map(|at| at.to_string());
    Found { made_at, fix, ..told(name, form.platform, value, condition, words) }
}

/// `fb.1.1700000000000.payload`.
fn cookie(name: &str, value: &str, form: &Form, now: Timestamp) -> Found {
    let is_click = form.name == "fbc";
    let Some(read) = ClickCookie::parse(value) else {
        let words =
            format!("not of the form fb.INDEX.MILLISECONDS.{}", if is_click { "FBCLID" } else { "NUMBER" });
        let fix = "send what stands in the cookie, byte for byte".to_owned();
        return Found { fix, ..told(name, form.platform, value, Condition::Mangled, words) };
    };
    let at = Timestamp::from_millis(read.created_ms);
    let wrong_time = if read.created_ms < 100_000_000_000 {
        Some("its time is in seconds; Meta wants milliseconds")
    } else if at > now.plus_millis(DAY_MS) {
        Some("its time lies in the future")
    } else {
        None
    };
    if let Some(words) = wrong_time {
        let fix = "state the milliseconds at which the click id was first seen".to_owned();
        return Found { fix, ..told(name, form.platform, value, Condition::Mangled, words.to_owned()) };
    }
    let made_at = Some(at.to_string());
    if !is_click {
        let digits = read.payload.bytes().all(|byte| byte.is_ascii_digit());
        let (condition, words) = if digits {
            (Condition::Valid, "Meta's browser id; the time is when the cookie was made")
        } else {
            (Condition::Mangled, "Meta's browser id ends in a number; this one does not")
        };
        return Found { made_at, ..told(name, form.platform, value, condition, words.to_owned()) };
    }
    let inner = form::named("fbclid");
    let (condition, words, fix) = inner.judge(read.payload);
    let words =
        format!("Meta's click cookie; the time is when the click was first seen. Its fbclid: {words}");
    Found { made_at, fix, ..told(name, form.platform, value, condition, words) }
}

/// `GCL.1700000000.gclid`.
fn google_cookie(name: &str, value: &str, form: &Form, now: Timestamp) -> Found {
    let read = value.strip_prefix("GCL.").and_then(|rest| rest.split_once('.'));
    let at = read.and_then(|(seconds, _)| seconds.parse::<i64>().ok()?.checked_mul(1_000));
    let (Some((_, inner)), Some(ms)) = (read, at) else {
        let words = "not of the form GCL.SECONDS.GCLID".to_owned();
        return told(name, form.platform, value, Condition::Mangled, words);
    };
    let at = Timestamp::from_millis(ms);
    if at > now.plus_millis(DAY_MS) {
        let words = "its time lies in the future".to_owned();
        return told(name, form.platform, value, Condition::Mangled, words);
    }
    let (condition, words, fix) = form::named("gclid").judge(inner);
    let words = format!("Google's click cookie; the time is when it was set. Its gclid: {words}");
    let made_at = Some(at.to_string());
    Found { made_at, fix, ..told(name, form.platform, value, condition, words) }
}
