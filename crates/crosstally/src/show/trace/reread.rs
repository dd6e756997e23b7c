//! What is noteworthy about a receipt, and each time that it was read again.

use crosstally_core::postback::STRANGER;
use crosstally_core::reason::Reason;
use crosstally_http::api::receipts::ReceiptOut;
use crosstally_http::api::revisions::{RevisionOut, SaidOut};
use serde_json::Value;

use super::{Page, clean, verdict};

/// Letters of a line behind its name, so that a whole line has no more than a hundred.
const WIDTH: usize = 77;
/// Times that are told one by one; of more, the first and the last ones.
const TOLD_MAX: usize = 6;

/// The labels, each with its sentence.
pub(super) fn labels(page: &mut Page<'_>, receipt: &ReceiptOut) {
    for (number, label) in receipt.labels.iter().enumerate() {
        let sentence = match Reason::from_code(label) {
            Some(reason) => reason.about().sentence,
            None if label == STRANGER => {
                "The sender had not shown to be the partner: whatever is repaired, this call is never booked."
            }
            None => "",
        };
        let name = if number == 0 { "labels" } else { "" };
        let shown = format!("{}: {sentence}", clean(label));
        lines(page, name, shown.trim_end_matches([':', ' ']));
    }
}

/// Each time that it was read again, in order.
pub(super) fn revisions(page: &mut Page<'_>, receipt: &ReceiptOut) {
    let all = &receipt.revisions;
    let left_out = all.len().saturating_sub(TOLD_MAX);
    for (number, revision) in all.iter().enumerate() {
        if left_out > 0 && number > 0 && number <= left_out {
            if number == 1 {
                lines(page, "", &format!("and {left_out} more times"));
            }
            continue;
        }
        self::revision(page, revision);
    }
}

fn revision(page: &mut Page<'_>, revision: &RevisionOut) {
    let what = match revision.cause.as_str() {
        "matched" => "what it waited for appeared".to_owned(),
        "repair" => format!("repair by {}{}", clean(&revision.author), repair(&revision.repair)),
        other => format!("{} by {}", clean(other), clean(&revision.author)),
    };
    lines(page, "again", &format!("{}  {what}", clean(&revision.at)));
    let (was, is) = (&revision.was, &revision.is);
    let outcome = if (&was.result, &was.code) == (&is.result, &is.code) {
        format!("{}, as before", said(page, is))
    } else {
        format!("{} → {}", said(page, was), said(page, is))
    };
    // Painted words are not measured: these two never fill a line.
    page.painted("", &outcome);
    if was.detail != is.detail && !was.detail.is_empty() {
        lines(page, "", &format!("it had said: {}", clean(&was.detail)));
    }
    if let (Some(from), Some(to)) = (&was.conversion, &is.conversion)
        && from != to
    {
        lines(page, "", &format!("moved from {} to {}", clean(from), clean(to)));
    }
}

fn said(page: &Page<'_>, said: &SaidOut) -> String {
    let code = said.code.as_deref().map(|code| format!(" ({})", clean(code))).unwrap_or_default();
    format!("{}{code}", verdict(page.paint, &clean(&said.result)))
}

/// What a repair set.
fn repair(repair: &Value) -> String {
    let set = repair.get("set").and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<String> = set
        .map(|(field, value)| match value.as_str() {
            Some("") => format!("{} taken away", clean(field)),
            Some(value) => format!("{}={}", clean(field), clean(value)),
            None => format!("{}={}", clean(field), clean(&value.to_string())),
        })
        .collect();
    if repair.get("real").and_then(Value::as_bool) == Some(true) {
        parts.push("the call was real".into());
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// A text under a name, broken between words into lines that fit.
fn lines(page: &mut Page<'_>, name: &str, text: &str) {
    fill(page, name, text.split(' '), " ");
}

/// Pieces under a name, in lines that fit: none is broken.
pub(super) fn fill<'a>(
    page: &mut Page<'_>,
    name: &str,
    pieces: impl Iterator<Item = &'a str>,
    between: &str,
) {
    let (mut line, mut name) = (String::new(), name);
    for piece in pieces {
        let more = between.chars().count() + piece.chars().count();
        if !line.is_empty() && line.chars().count() + more > WIDTH {
            page.painted(name, &line);
            (line, name) = (String::new(), "");
        } else if !line.is_empty() {
            line.push_str(between);
        }
        line.push_str(piece);
    }
    if !line.is_empty() {
        page.painted(name, &line);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;
    use crate::show::{Paint, trace::receipt_page};

    fn said(result: &str, code: Value) -> Value {
        json!({ "result": result, "code": code, "detail": "`Confirmed` is in no map", "conversion": null })
    }

    fn page_of(labels: &Value, revisions: &Value) -> String {
        let receipt: ReceiptOut = serde_json::from_value(json!({
            "id": "rcp_01", "received_at": "2026-11-21T10:00:00.000Z", "partner": "acme",
            "request": { "method": "GET", "query": "status=Confirmed", "body": "", "content_type": "", "peer": "192.0.2.1", "user_agent": "" },
            "result": "recorded", "code": null, "reason": null, "fix": null, "detail": "",
            "conversion": "cnv_01", "sequence": 1, "click": null, "read": {}, "goals": [],
            "labels": labels, "revision": revisions.as_array().unwrap().len(), "revisions": revisions
        }))
        .unwrap();
        receipt_page(&receipt, &Paint { on: false })
    }

    #[test]
    fn labels_and_repairs_are_told_within_a_hundred_letters() {
        let labels = json!(["late_approval", "stranger", "not_known_here"]);
        let revisions = json!([{
            "number": 1, "at": "2026-11-21T10:00:05.000Z", "cause": "repair", "author": "an author with a rather long name",
            "repair": { "set": { "status": "approved", "payout": "" }, "real": true },
            "was": said("quarantined", json!("status_unmapped")),
            "is": { "result": "recorded", "code": null, "detail": "", "conversion": "cnv_01" }
        }]);
        let page = page_of(&labels, &revisions);
        for words in [
            "late_approval: The conversion was rejected before it was approved.",
            "stranger: The sender had not shown",
            "not_known_here\n",
            "2026-11-21T10:00:05.000Z  repair by an author with a rather long name",
            "payout taken away",
            "status=approved",
            "quarantined (status_unmapped) → recorded",
            "it had said: `Confirmed` is in no map",
        ] {
            assert!(page.contains(words), "`{words}` is missing:\n{page}");
        }
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    }

    #[test]
    fn of_many_times_the_first_and_the_last_are_told() {
        let one = |number: u32| {
            json!({
                "number": number, "at": format!("time {number}."), "cause": "replay", "author": "ann", "repair": null,
                "was": said("recorded", Value::Null), "is": said("recorded", Value::Null)
            })
        };
        let page = page_of(&json!([]), &json!((1..=20).map(one).collect::<Vec<_>>()));
        assert!(page.contains("recorded, as before"), "{page}");
        assert!(page.contains("time 1.") && page.contains("time 16.") && page.contains("time 20."), "{page}");
        assert!(
            !page.contains("time 2.") && !page.contains("time 15.") && page.contains("and 14 more times"),
            "{page}"
        );
        assert!(!page_of(&json!([]), &json!([])).contains("again"));
    }
}
