//! What Google tells later, and what of it is told of each event.

use crosstally_core::config::Setting;
use serde_json::{Value, json};

use super::{GoogleDataManager, purchase, settings};
use crate::dialect::{Became, Dialect, Lookback, Response};

fn response(status: u16, body: &str) -> Response {
    Response { status, body: body.as_bytes().to_vec(), ..Response::default() }
}

fn sent(action: &str) -> String {
    json!({ "destinationReferences": [action] }).to_string()
}

/// The status of one action, with the codes of what does not count.
fn status(action: &str, word: &str, events: u32, codes: &[(&str, u32)]) -> Value {
    let counts: Vec<Value> = codes
        .iter()
        .map(|(code, count)| {
            json!({"reason": format!("PROCESSING_ERROR_REASON_{code}"), "recordCount": count.to_string()})
        })
        .collect();
    json!({
        "destination": {"reference": action, "productDestinationId": action},
        "requestStatus": word,
        "errorInfo": {"errorCounts": counts},
        "eventsIngestionStatus": {"recordCount": events.to_string()},
    })
}

fn read(statuses: &[Value], sent: &[String]) -> Lookback {
    let body = json!({ "requestStatusPerDestination": statuses }).to_string();
    GoogleDataManager.read_lookback(&settings(&[]), &response(200, &body), sent)
}

#[test]
fn only_what_was_taken_to_be_counted_is_asked_about() {
    let taken = response(200, r#"{"requestId":"a/b 1"}"#);
    let receipt = GoogleDataManager.receipt(&settings(&[]), &taken).unwrap();
    let request = GoogleDataManager.lookback(&settings(&[]), &receipt).unwrap();
    let url = "https://datamanager.googleapis.com/v1/requestStatus:retrieve?requestId=a%2Fb+1";
    assert_eq!((request.method, request.url.as_str(), request.body.len()), ("GET", url, 0));
    assert!(request.headers.iter().any(|(_, value)| value == "Bearer ya29.tok"));
    let checked = settings(&[("validate_only", Setting::Flag(true))]);
    assert_eq!(GoogleDataManager.receipt(&checked, &taken), None);
    for nothing in
        [response(400, r#"{"requestId":"r"}"#), response(200, "{}"), response(200, r#"{"jobId":"1"}"#)]
    {
        assert_eq!(GoogleDataManager.receipt(&settings(&[]), &nothing), None);
    }
}

#[test]
fn each_event_is_judged_by_its_own_action() {
    let events = [sent("1"), sent("2"), sent("3"), sent("2"), sent("4")];
    let told = read(
        &[
            status("1", "SUCCESS", 1, &[]),
            status("2", "PARTIAL_SUCCESS", 2, &[("CLICK_NOT_FOUND", 1)]),
            status("3", "FAILED", 1, &[("EVENT_TOO_OLD", 1)]),
        ],
        &events,
    );
    let in_part = || Became::InPart("of 2 events: 1 CLICK_NOT_FOUND".into());
    let refused = Became::Refused("of 1 events: 1 EVENT_TOO_OLD".into());
    let expected = [Became::Counted, in_part(), refused, in_part(), Became::Unsaid];
    assert_eq!(told, Lookback::Told(expected.to_vec()));
    // An answer with one status is about all of them, whatever it calls the action.
    let told = read(&[json!({"requestStatus": "SUCCESS"})], &events[..1]);
    assert_eq!(told, Lookback::Told(vec![Became::Counted]));
}

#[test]
fn what_google_had_already_counts_and_some_may_count_later() {
    let passing = |detail: &str, in_part| Became::Passing { detail: detail.into(), in_part };
    for (word, codes, expected) in [
        ("FAILED", &[("DUPLICATE_TRANSACTION_ID", 1)][..], Became::Counted),
        ("PARTIAL_SUCCESS", &[("DUPLICATE_GCLID", 1)], Became::Counted),
        ("FAILED", &[], Became::Refused("of 3 events: no reason is given".into())),
        // Whatever stands there, a secret is not repeated.
        ("FAILED", &[("ya29.tok", 3)], Became::Refused("of 3 events: 3 ***".into())),
        ("FAILED", &[("NO_CONSENT", 3)], Became::Refused("of 3 events: 3 NO_CONSENT".into())),
        (
            "FAILED",
            &[("DUPLICATE_GCLID", 1), ("NO_CONSENT", 2)],
            Became::InPart("of 3 events: 1 DUPLICATE_GCLID, 2 NO_CONSENT".into()),
        ),
        ("FAILED", &[("TOO_RECENT_CLICK", 3)], passing("of 3 events: 3 TOO_RECENT_CLICK", false)),
        (
            "FAILED",
            &[("INTERNAL_ERROR", 1), ("TOO_RECENT_CLICK", 2)],
            passing("of 3 events: 1 INTERNAL_ERROR, 2 TOO_RECENT_CLICK", false),
        ),
        (
            "FAILED",
            &[("DUPLICATE_TRANSACTION_ID", 2), ("INTERNAL_ERROR", 1)],
            passing("of 3 events: 2 DUPLICATE_TRANSACTION_ID, 1 INTERNAL_ERROR", true),
        ),
        // One of them never counts, and which is not told.
        (
            "FAILED",
            &[("INTERNAL_ERROR", 2), ("NO_CONSENT", 1)],
            Became::Refused("of 3 events: 2 INTERNAL_ERROR, 1 NO_CONSENT".into()),
        ),
        // Most count, and are not sent once more for the sake of the others.
        ("PARTIAL_SUCCESS", &[("INTERNAL_ERROR", 1)], Became::InPart("of 3 events: 1 INTERNAL_ERROR".into())),
    ] {
        assert_eq!(
            read(&[status("1", word, 3, codes)], &[sent("1")]),
            Lookback::Told(vec![expected]),
            "{word}"
        );
    }
}

#[test]
fn what_is_not_told_is_not_made_up() {
    let working = [status("1", "SUCCESS", 1, &[]), status("2", "PROCESSING", 1, &[])];
    assert_eq!(read(&working, &[sent("1")]), Lookback::NotYet);
    let trouble = |token| Lookback::Trouble { token };
    for (status, body, expected) in [
        (200, "<html>", Lookback::Unclear),
        (200, "{}", Lookback::Unclear),
        (302, "", Lookback::Unclear),
        (401, "{}", trouble(true)),
        (403, "{}", Lookback::Unclear),
        (404, "{}", Lookback::Gone),
        (400, "{}", Lookback::Gone),
        (429, "{}", trouble(false)),
        (503, "<html>", trouble(false)),
    ] {
        let told = GoogleDataManager.read_lookback(&settings(&[]), &response(status, body), &[sent("1")]);
        assert_eq!(told, expected, "{status} {body}");
    }
    // The name of an action is where the request puts it.
    let built = GoogleDataManager.build(&settings(&[]), &[purchase()], super::NOW);
    assert_eq!(
        read(&[status("222", "SUCCESS", 1, &[]), status("9", "FAILED", 1, &[])], &built.payloads),
        Lookback::Told(vec![Became::Counted])
    );
}
