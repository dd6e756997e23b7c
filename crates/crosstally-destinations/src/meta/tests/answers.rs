//! Answers: success, every error code of the table, headers, and what is no answer of Meta's at all.

use crosstally_core::delivery::Outcome;
use crosstally_core::reason::Reason;
use crosstally_core::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use serde_json::{Value, json};

use super::{Meta, NOW, TOKEN, settings};
use crate::dialect::{BatchOutcome, Dialect, Reading, Response};

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reading {
    answer_to(2, status, headers, body)
}

fn answer_to(sent: usize, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reading {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = Response { status, headers, body: body.to_vec(), body_cut: false };
    Meta.read(&settings(&[]), &response, sent, NOW)
}

fn error(status: u16, code: i64, more: &Value) -> Reading {
    let mut error = json!({"message": "words", "type": "OAuthException", "code": code, "fbtrace_id": "T1"});
    error.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer(status, &[], json!({ "error": error }).to_string().as_bytes())
}

fn whole(reading: &Reading) -> Outcome {
    match &reading.outcome {
        BatchOutcome::Whole(outcome) => outcome.clone(),
        BatchOutcome::Each(_) => panic!("Meta answers for the batch as a whole"),
    }
}

const fn retry(reason: Reason) -> Outcome {
    Outcome::Retry { reason, after_ms: None }
}

const fn pause(reason: Reason) -> Outcome {
    Outcome::Pause { reason }
}

const fn split(reason: Reason) -> Outcome {
    Outcome::Split { reason }
}

#[test]
fn a_success_confirms_every_event_or_it_is_none() {
    for (body, sent, outcome, words) in [
        (
            json!({"events_received": 2, "messages": [], "fbtrace_id": "T1"}),
            2,
            Outcome::Delivered,
            "events_received 2 of 2 (fbtrace_id T1)",
        ),
        (
            json!({"events_received": 1, "messages": ["a key is unknown", {"x": 1}]}),
            1,
            Outcome::Delivered,
            "a key is unknown; {\"x\":1}",
        ),
        (json!({"events_received": 1}), 2, retry(Reason::DestPartial), "events_received 1 of 2"),
        (json!({"events_received": 0}), 1, retry(Reason::DestPartial), "events_received 0 of 1"),
        (json!({"events_received": 3}), 2, retry(Reason::DestUnreadable), "no believable events_received"),
        (json!({"events_received": "2"}), 2, retry(Reason::DestUnreadable), "no believable"),
        (json!({"events_received": -1}), 2, retry(Reason::DestUnreadable), "no believable"),
        (json!({}), 2, retry(Reason::DestUnreadable), "no believable"),
        (json!([]), 2, retry(Reason::DestUnreadable), "200: []"),
    ] {
        let reading = answer_to(sent, 200, &[], body.to_string().as_bytes());
        assert_eq!(whole(&reading), outcome, "{body}");
        assert!(reading.detail.contains(words), "{}", reading.detail);
    }
}

const PASSING: Outcome = retry(Reason::DestServerError);
const THROTTLED: Outcome = retry(Reason::DestRateLimited);
const BLOCKED: Outcome = Outcome::Retry { reason: Reason::DestRateLimited, after_ms: Some(HOUR_MS) };
const AUTH: Outcome = pause(Reason::DestAuth);
const PERMISSION: Outcome = pause(Reason::DestPermission);
const MISCONFIGURED: Outcome = pause(Reason::DestMisconfigured);
const REJECTED: Outcome = split(Reason::DestRejected);

/// Status, code, the error's further keys, and what follows.
const CODES: &[(u16, i64, &str, Outcome)] = &[
    (400, 1, "{}", PASSING),
    (400, 2, "{}", PASSING),
    (400, 341, "{}", PASSING),
    (400, 5000, "{}", PASSING),
    (400, 21_009, "{}", PASSING),
    (400, -1, "{}", PASSING),
    (400, -3, "{}", PASSING),
    (400, 100, r#"{"is_transient":true}"#, PASSING),
    (400, 99_999, r#"{"is_transient":true}"#, PASSING),
    (500, 100, "{}", PASSING),
    (503, 12_345, "{}", PASSING),
    (425, 100, "{}", PASSING),
    (408, 100, "{}", retry(Reason::DestTimeout)),
    (400, 368, "{}", BLOCKED),
    (400, 4, "{}", THROTTLED),
    (400, 4, r#"{"error_subcode":1504022}"#, THROTTLED),
    (403, 4, r#"{"error_subcode":1504039,"is_transient":true}"#, THROTTLED),
    (400, 17, r#"{"error_subcode":2446079}"#, THROTTLED),
    (400, 32, "{}", THROTTLED),
    (400, 613, r#"{"error_subcode":1487742}"#, THROTTLED),
    (400, 613, r#"{"error_subcode":5044001}"#, THROTTLED),
    (400, 80_000, "{}", THROTTLED),
    (400, 80_003, "{}", THROTTLED),
    (400, 80_004, r#"{"error_subcode":2446079}"#, THROTTLED),
    (400, 80_014, "{}", THROTTLED),
    (429, 100, "{}", THROTTLED),
    (401, 190, r#"{"error_subcode":460}"#, AUTH),
    (401, 190, r#"{"error_subcode":463}"#, AUTH),
    (400, 190, r#"{"error_subcode":467}"#, AUTH),
    (500, 190, "{}", AUTH),
    (400, 102, "{}", AUTH),
    (400, 104, "{}", AUTH),
    (401, 99_999, "{}", AUTH),
    (400, 3, "{}", PERMISSION),
    (403, 10, "{}", PERMISSION),
    (403, 200, "{}", PERMISSION),
    (403, 294, "{}", PERMISSION),
    (403, 299, "{}", PERMISSION),
    (400, 100, r#"{"error_subcode":33}"#, PERMISSION),
    (404, 100, r#"{"error_subcode":33}"#, PERMISSION),
    (403, 99_999, "{}", PERMISSION),
    (400, 2635, "{}", MISCONFIGURED),
    (404, 2500, "{}", MISCONFIGURED),
    (405, 99_999, "{}", MISCONFIGURED),
    (410, 99_999, "{}", pause(Reason::DestGone)),
    (400, 100, "{}", REJECTED),
    (400, 100, r#"{"error_subcode":2804001}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804003}"#, split(Reason::EventTooOld)),
    (400, 100, r#"{"error_subcode":2804007}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804009}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804016}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804017}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804019}"#, REJECTED),
    (400, 100, r#"{"error_subcode":2804048}"#, REJECTED),
    (400, 105, "{}", REJECTED),
    (400, 2655, "{}", REJECTED),
    (413, 100, "{}", REJECTED),
    (400, 99_999, "{}", REJECTED),
    (422, 99_999, "{}", REJECTED),
    (200, 100, "{}", REJECTED),
];

#[test]
fn each_code_has_its_class() {
    for (status, code, more, outcome) in CODES {
        let reading = error(*status, *code, &serde_json::from_str(more).unwrap());
        assert_eq!(whole(&reading), *outcome, "{status} {code} {more}");
        assert!(reading.detail.starts_with(&format!("error {code}")), "{}", reading.detail);
        assert!(reading.detail.ends_with("(fbtrace_id T1)"), "{}", reading.detail);
    }
}

#[test]
fn words_never_decide() {
    let words = json!({"message": "invalid access token, rate limit, try again", "error_user_title": "Expired", "error_user_msg": "Event 3"});
    let reading = error(400, 100, &words);
    assert_eq!(whole(&reading), split(Reason::DestRejected));
    assert_eq!(
        reading.detail,
        "error 100: invalid access token, rate limit, try again; Expired; Event 3 (fbtrace_id T1)"
    );
}

#[test]
fn what_is_no_answer_of_metas_is_told_by_its_status() {
    use Reason::{
        DestGone, DestMisconfigured, DestRateLimited, DestRejected, DestServerError, DestTimeout,
        DestUnreadable,
    };
    for (status, outcome) in [
        (100, retry(DestUnreadable)),
        (200, retry(DestUnreadable)),
        (204, retry(DestUnreadable)),
        (400, retry(DestUnreadable)),
        (401, retry(DestUnreadable)),
        (403, retry(DestUnreadable)),
        (404, pause(DestMisconfigured)),
        (408, retry(DestTimeout)),
        (410, pause(DestGone)),
        (413, split(DestRejected)),
        (429, retry(DestRateLimited)),
        (500, retry(DestServerError)),
        (502, retry(DestServerError)),
        (599, retry(DestServerError)),
    ] {
        let bodies: [&[u8]; 7] = [
            b"<html>oops</html>",
            b"",
            b"\xff\xfe",
            b"[1,",
            b"{\"error\":\"invalid\"}",
            b"{\"error\":{\"message\":\"no code\"}}",
            b"null",
        ];
        for body in bodies {
            let reading = answer(status, &[], body);
            assert_eq!(whole(&reading), outcome, "{status} {}", String::from_utf8_lossy(body));
        }
    }
    assert_eq!(answer(502, &[], b"<html>oops</html>").detail, "502: <html>oops</html>");
}

#[test]
fn an_answer_that_was_cut_off_confirms_nothing() {
    let body = br#"{"events_received":2}"#.to_vec();
    let response = Response { status: 200, headers: Vec::new(), body, body_cut: true };
    assert_eq!(whole(&Meta.read(&settings(&[]), &response, 2, NOW)), retry(Reason::DestUnreadable));
}

#[test]
fn a_bomb_of_brackets_is_no_answer() {
    let body = [b"{\"error\":".as_slice(), "[".repeat(60_000).as_bytes()].concat();
    assert_eq!(whole(&answer(400, &[], &body)), retry(Reason::DestUnreadable));
}

#[test]
fn a_redirect_is_not_followed_but_shown() {
    let to = format!("https://evil.example/?t={}", TOKEN.replace('/', "%2F").replace('+', "%2B"));
    let reading = answer(307, &[("location", &to)], br#"{"events_received":2}"#);
    assert_eq!(whole(&reading), retry(Reason::DestRedirected));
    assert_eq!(reading.detail, "307: redirect to https://evil.example/?t=***");
}

fn throttled(headers: &[(&str, &str)]) -> (Option<i64>, Option<i64>) {
    let reading = answer(400, headers, br#"{"error":{"code":80004}}"#);
    match whole(&reading) {
        Outcome::Retry { reason: Reason::DestRateLimited, after_ms } => (after_ms, reading.slow_down_ms),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_throttle_waits_as_long_as_it_says() {
    const CASES: &str = "x-business-use-case-usage";
    assert_eq!(throttled(&[]), (None, Some(MINUTE_MS)));
    assert_eq!(throttled(&[("retry-after", "120")]), (Some(2 * MINUTE_MS), Some(2 * MINUTE_MS)));
    let usage = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":7},{"estimated_time_to_regain_access":5}],"2":[{}]}"#;
    assert_eq!(throttled(&[(CASES, usage)]), (Some(7 * MINUTE_MS), Some(7 * MINUTE_MS)));
    // The answer's own word goes before the quota's estimate; everybody waits for the longer of the two.
    assert_eq!(throttled(&[(CASES, usage), ("retry-after", "60")]), (Some(MINUTE_MS), Some(7 * MINUTE_MS)));
    let account = r#"{"acc_id_util_pct":100.5,"reset_time_duration":90,"ads_api_access_tier":"full"}"#;
    assert_eq!(throttled(&[("x-ad-account-usage", account)]), (Some(90 * SECOND_MS), Some(90 * SECOND_MS)));
    let absurd = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":99999999999999}]}"#;
    assert_eq!(throttled(&[(CASES, absurd)]), (Some(7 * DAY_MS), Some(7 * DAY_MS)));
    for broken in ["", "x", "[]", "{\"1\":{}}", "{\"1\":[1]}", "{\"1\":[{\"call_count\":\"100\"}]}"] {
        assert_eq!(throttled(&[(CASES, broken)]), (None, Some(MINUTE_MS)), "{broken}");
    }
}

#[test]
fn a_quota_that_is_nearly_used_up_spaces_calls_out() {
    let slow = |percent: &str| {
        let usage = format!(r#"{{"call_count":3,"total_cputime":{percent},"total_time":0}}"#);
        let reading = answer(200, &[("x-app-usage", &usage)], br#"{"events_received":2}"#);
        assert_eq!(whole(&reading), Outcome::Delivered);
        reading.slow_down_ms
    };
    assert_eq!(slow("79"), None);
    assert_eq!(slow("79.9"), None);
    assert_eq!(slow("80"), Some(SECOND_MS));
    assert_eq!(slow("99.99"), Some(20 * SECOND_MS));
    assert_eq!(slow("100"), Some(MINUTE_MS));
    assert_eq!(slow("1e9"), None);
    // A reset that is named while there is quota left is no reason to wait.
    let account = r#"{"acc_id_util_pct":9.67,"reset_time_duration":3600}"#;
    let reading = answer(200, &[("x-ad-account-usage", account)], br#"{"events_received":2}"#);
    assert_eq!(reading.slow_down_ms, None);
}

#[test]
fn a_server_error_may_name_its_wait() {
    let reading = answer(503, &[("retry-after", "30")], b"busy");
    assert_eq!(whole(&reading), Outcome::Retry { reason: Reason::DestServerError, after_ms: Some(30_000) });
    assert_eq!(reading.slow_down_ms, Some(30_000));
}

#[test]
fn an_ending_version_is_told_with_every_answer() {
    let warning = [("x-ad-api-version-warning", "The call has been auto-upgraded to v25.0.")];
    let reading = answer(200, &warning, br#"{"events_received":2}"#);
    assert_eq!(whole(&reading), Outcome::Delivered);
    assert_eq!(reading.detail, "The call has been auto-upgraded to v25.0.; events_received 2 of 2");
}

#[test]
fn details_are_short_and_without_secrets() {
    for body in [
        json!({"error": {"code": 100, "message": format!("{} {TOKEN}", "x".repeat(250))}}).to_string(),
        json!({"error": {"code": 190, "message": format!("bad token {TOKEN}\u{1b}[2J\r\n")}}).to_string(),
        json!({"events_received": 2, "messages": [TOKEN]}).to_string(),
        json!({"events_received": TOKEN}).to_string(),
        format!("<html>{TOKEN}"),
    ] {
        for status in [200, 400, 502] {
            let reading = answer(status, &[("x-ad-api-version-warning", TOKEN)], body.as_bytes());
            assert!(
                !reading.detail.contains(TOKEN) && !reading.detail.contains("EAAB"),
                "{}",
                reading.detail
            );
            assert!(reading.detail.chars().count() <= 301 && !reading.detail.contains(char::is_control));
        }
    }
}
