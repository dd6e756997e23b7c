//! What the answers of all destinations have in common: a wait that they ask for, a redirect, an excerpt for people.

use std::collections::BTreeSet;

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp};
use serde_json::{Map, Value};

use crate::dialect::{BatchOutcome, Reading, Response, Settings};

/// The longest wait that a destination can ask for. A longer one is a mistake, and nothing is lost by asking again.
pub(crate) const WAIT_MAX_MS: i64 = 7 * DAY_MS;
/// The wait after a throttle that names none.
pub(crate) const THROTTLE_WAIT_MS: i64 = MINUTE_MS;
/// Characters of an answer that are shown.
pub(crate) const EXCERPT_CHARS_MAX: usize = 300;

/// The wait that `Retry-After` asks for, given in seconds or as a date.
pub(crate) fn retry_after_ms(response: &Response, now: Timestamp) -> Option<i64> {
    let text = response.header("retry-after")?.trim();
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        // More digits than a number has room for ask for longer than the limit anyway.
        text.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(SECOND_MS)
    } else {
        let at = jiff::fmt::rfc2822::parse(text).ok()?;
        Timestamp::from_millis(at.timestamp().as_millisecond()).millis_since(now)
    };
    Some(wait.clamp(0, WAIT_MAX_MS))
}

/// Whether a status is a redirect. None is ever followed: it could lead a token anywhere.
pub(crate) const fn is_redirect(status: u16) -> bool {
    status >= 300 && status < 400
}

/// Whether a status says that the call was taken.
pub(crate) const fn is_success(status: u16) -> bool {
    status >= 200 && status < 300
}

/// The reading of a redirect.
pub(crate) fn redirected(settings: &Settings, response: &Response) -> Reading {
    // Masked first: a secret with blanks is another text once they are folded.
    let to = response.header("location").map(|to| line(&settings.masked(to)));
    let to = to.unwrap_or_else(|| "an unnamed place".to_owned());
    let detail = format!("{}: redirect to {to}", response.status);
    Reading::whole(retry(Reason::DestRedirected, None), shorten(&detail))
}

/// An outcome that may be better later.
pub(crate) const fn retry(reason: Reason, after_ms: Option<i64>) -> Outcome {
    Outcome::Retry { reason, after_ms }
}

/// A detail for people: one line, short, without secrets.
pub(crate) fn shown(settings: &Settings, detail: &str) -> String {
    shorten(&line(&settings.masked(detail)))
}

/// A body without the mark that some servers write before their text, for each file that they put together.
pub(crate) fn unmarked(mut body: &[u8]) -> &[u8] {
    while let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        body = rest;
    }
    body
}

/// The answer as a JSON object. One that was cut off is not read: what is missing could be the verdict.
pub(crate) fn object(response: &Response) -> Option<Map<String, Value>> {
    if response.body_cut {
        return None;
    }
    match serde_json::from_slice(unmarked(&response.body)) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// An outcome that waits for somebody to change something.
pub(crate) fn pause(reason: Reason, detail: impl Into<String>) -> Reading {
    Reading::whole(Outcome::Pause { reason }, detail)
}

/// An answer to a call that came too early: everybody waits as long as it asks, or a minute.
pub(crate) fn throttled(asked_ms: Option<i64>, detail: impl Into<String>) -> Reading {
    Reading::whole(retry(Reason::DestRateLimited, asked_ms), detail)
        .slow_down(Some(asked_ms.unwrap_or(THROTTLE_WAIT_MS)))
}

/// An answer that is not in the platform's words: of a proxy, a firewall, or another server altogether. Only its status
/// counts.
pub(crate) fn foreign(settings: &Settings, response: &Response, asked_ms: Option<i64>) -> Reading {
    let detail = shown(settings, &format!("{}: {}", response.status, excerpt(settings, response)));
    let passing = |reason| Reading::whole(retry(reason, asked_ms), detail.as_str());
    match response.status {
        408 => passing(Reason::DestTimeout),
        429 => throttled(asked_ms, detail),
        500.. => passing(Reason::DestServerError).slow_down(asked_ms),
        404 => pause(Reason::DestMisconfigured, detail),
        410 => pause(Reason::DestGone, detail),
        413 => Reading::whole(Outcome::Split { reason: Reason::DestRejected }, detail),
        _ => passing(Reason::DestUnreadable),
    }
}

/// An answer of a platform that speaks by its statuses, other than success: `said` are its own words, absent if the
/// answer is not the platform's.
pub(crate) fn by_status(
    settings: &Settings,
    response: &Response,
    asked_ms: Option<i64>,
    said: Option<&str>,
) -> Reading {
    let mut reading = match (response.status, said) {
        (401, _) => pause(Reason::DestAuth, ""),
        (403, _) => pause(Reason::DestPermission, ""),
        (405, _) => pause(Reason::DestMisconfigured, ""),
        (404 | 408 | 410 | 413 | 425 | 429, _) => foreign(settings, response, asked_ms),
        // Bad data, as far as anybody can tell: the batch is halved until the one event is found.
        (400..=499, Some(_)) => Reading::whole(Outcome::Split { reason: Reason::DestRejected }, ""),
        _ => foreign(settings, response, asked_ms),
    };
    let words = said.map_or_else(|| excerpt(settings, response), str::to_owned);
    reading.detail = shown(settings, &format!("{}: {words}", response.status));
    reading
}

/// Reads an answer of a platform whose success is a status and any JSON object.
pub(crate) fn by_status_alone(settings: &Settings, response: &Response, now: Timestamp) -> Reading {
    if is_redirect(response.status) {
        return redirected(settings, response);
    }
    let words = object(response).map(|body| {
        // The message, or the whole answer: what is wrong stands in places that differ.
        let message = body.get("data").and_then(|data| data.get("message")).and_then(Value::as_str);
        message.map_or_else(|| Value::Object(body.clone()).to_string(), str::to_owned)
    });
    match &words {
        Some(words) if is_success(response.status) => {
            Reading::whole(Outcome::Delivered, shown(settings, &format!("{}: {words}", response.status)))
        }
        _ => by_status(settings, response, retry_after_ms(response, now), words.as_deref()),
    }
}

/// Says with an answer that the destination only checks what it is sent, if its settings ask for that.
pub(crate) fn only_checked(mut reading: Reading, asked: bool) -> Reading {
    if asked {
        reading.detail = shorten(&format!("only checked, not recorded; {}", reading.detail));
    }
    reading
}

/// A batch of which nothing was taken because of the events at these places: they are not sent again, their neighbours
/// are. Without any place among those sent, the batch is halved.
pub(crate) fn refused_at(wrong: &BTreeSet<usize>, sent: usize, detail: impl Into<String>) -> Reading {
    let reason = Reason::DestRejected;
    if !wrong.iter().any(|index| *index < sent) {
        return Reading::whole(Outcome::Split { reason }, detail);
    }
    let each = |index| match wrong.contains(&index) {
        true => Outcome::Refused { reason },
        false => retry(Reason::DestPartial, None),
    };
    let outcome = BatchOutcome::Each((0..sent).map(each).collect());
    Reading { outcome, detail: detail.into(), slow_down_ms: None }
}

/// An answer of a partner, of which only the status is understood. `taken` says what a success comes to, given the
/// answer in short.
pub(crate) fn of_partner(
    settings: &Settings,
    response: &Response,
    now: Timestamp,
    taken: impl FnOnce(String) -> Reading,
) -> Reading {
    let status = response.status;
    if is_redirect(status) {
        return redirected(settings, response);
    }
    let said = shorten(&format!("{status}: {}", excerpt(settings, response)));
    // Only an answer that speaks of load may make everybody wait.
    let asked = if matches!(status, 429 | 503) { retry_after_ms(response, now) } else { None };
    let passing = |reason| Reading::whole(retry(reason, asked), said.as_str()).slow_down(asked);
    match status {
        _ if is_success(status) => taken(said),
        401 | 403 => pause(Reason::DestAuth, said),
        407 => pause(Reason::DestMisconfigured, said),
        408 => passing(Reason::DestTimeout),
        410 => pause(Reason::DestGone, said),
        429 => passing(Reason::DestRateLimited),
        425 | 500.. => passing(Reason::DestServerError),
        // Also what a server says while it is being set up anew.
        400..=499 => Reading::whole(Outcome::Doubted { reason: Reason::DestRejected }, said),
        // 1xx is no final answer.
        _ => passing(Reason::DestUnreadable),
    }
}

/// The beginning of an answer's body as one line, secrets masked.
pub(crate) fn excerpt(settings: &Settings, response: &Response) -> String {
    // Masked as a whole before it is cut: half a secret is no longer recognised.
    let text = settings.masked_answer(response);
    let text = shorten(&line(&text));
    if text.is_empty() { "an empty body".to_owned() } else { text }
}

/// A text as one line: control characters, which could move a terminal's cursor, and white space become single spaces.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(4 * EXCERPT_CHARS_MAX));
    for c in text.chars() {
        if !(c.is_control() || c.is_whitespace() || is_invisible(c)) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Marks that change the direction of what follows, or show nothing at all.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// At most [`EXCERPT_CHARS_MAX`] characters.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.split_at(at).0),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

    fn wait(value: &str) -> Option<i64> {
        let headers = vec![("retry-after".to_owned(), value.to_owned())];
        retry_after_ms(&Response { headers, ..Response::default() }, NOW)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120_000)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999", Some(WAIT_MAX_MS)),
            ("Thu, 31 Dec 9998 23:59:59 GMT", Some(WAIT_MAX_MS)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(wait(value), expected, "{value:?}");
        }
        assert_eq!(retry_after_ms(&Response::default(), NOW), None);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        let body = b"  <html>\r\n\t\x1b[2Jno\xff \xe2\x80\xaeyes\0 ".to_vec();
        let response = Response { body, ..Response::default() };
        assert_eq!(excerpt(&Settings::default(), &response), "<html> [2Jno\u{fffd} yes");
        let long = Response { body: "é".repeat(1000).into_bytes(), ..Response::default() };
        assert_eq!(excerpt(&Settings::default(), &long).chars().count(), EXCERPT_CHARS_MAX + 1);
        assert_eq!(excerpt(&Settings::default(), &Response::default()), "an empty body");
    }
}
