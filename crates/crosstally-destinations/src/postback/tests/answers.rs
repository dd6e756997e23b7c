//! What counts as a success, by status and body.

use super::*;

fn outcome(rule: &[(&str, Setting)], status: u16, body: &str) -> Outcome {
    whole(&answer(rule, status, &[], body))
}

fn refused() -> Outcome {
    Outcome::Refused { reason: Reason::DestRejected }
}

fn doubted() -> Outcome {
    Outcome::Doubted { reason: Reason::DestRejected }
}

#[test]
fn a_body_may_have_to_match() {
    let rule = [("success_body_matches", text(r"^(OK|duplicate):\d+$"))];
    for (body, taken) in
        [("OK:12", true), ("duplicate:1", true), ("ok:12", false), ("x OK:12", false), ("", false)]
    {
        assert_eq!(outcome(&rule, 200, body) == Outcome::Delivered, taken, "{body}");
    }
    assert_eq!(outcome(&rule, 200, "error"), refused());
}

#[test]
fn a_body_may_say_that_nothing_was_taken() {
    let rule = [("failure_body_contains", text("\"status\":\"error\""))];
    assert_eq!(outcome(&rule, 200, ""), Outcome::Delivered);
    assert_eq!(outcome(&rule, 200, "{\"status\":\"error\"}"), refused());
}

#[test]
fn json_is_compared_at_its_path() {
    let rule = [("success_json", map(&[("status", "ok"), ("data.0.code", "0"), ("data.0.new", "true")]))];
    for (body, taken) in [
        (r#"{"status":"ok","data":[{"code":0,"new":true}]}"#, true),
        (r#"{"status":"ok","data":[{"code":"0","new":"true"}]}"#, true),
        (r#"{"status":"error","data":[{"code":0,"new":true}]}"#, false),
        (r#"{"status":"ok","data":[{"code":0.0,"new":true}]}"#, false),
        (r#"{"status":"ok","data":[]}"#, false),
        (r#"{"status":{"ok":1},"data":[{"code":0,"new":true}]}"#, false),
        ("ok", false),
        ("", false),
    ] {
        assert_eq!(outcome(&rule, 200, body) == Outcome::Delivered, taken, "{body}");
    }
    let told = answer(&rule, 200, &[], r#"{"status":"error"}"#).detail;
    assert!(told.contains("status") && told.contains("error"), "{told}");
}

#[test]
fn the_statuses_of_a_success_can_be_told() {
    let rule = [("success_status", list(&["200", "208-209", "409"]))];
    for (status, expected) in [
        (200, Outcome::Delivered),
        (208, Outcome::Delivered),
        (409, Outcome::Delivered),
        (201, refused()),
        (204, refused()),
        (400, doubted()),
        (301, Outcome::Retry { reason: Reason::DestRedirected, after_ms: None }),
        (503, Outcome::Retry { reason: Reason::DestServerError, after_ms: None }),
    ] {
        assert_eq!(outcome(&rule, status, "x"), expected, "{status}");
    }
    assert!(answer(&rule, 409, &[], "seen").detail.starts_with("409: seen"));
    // All rules hold together.
    let both = [rule[0].clone(), ("success_body_contains", text("fine"))];
    assert_eq!(outcome(&both, 409, "seen"), refused());
    assert_eq!(outcome(&both, 409, "fine"), Outcome::Delivered);
}

#[test]
fn an_answer_that_is_too_long_to_be_judged_is_no_refusal() {
    let rule = [("success_json", map(&[("status", "ok")]))];
    let cut = Response { status: 200, body: b"{\"rows\":[".to_vec(), body_cut: true, ..Response::default() };
    let reading = Postback.read(&settings(&rule), &cut, 1, NOW);
    assert_eq!(whole(&reading), Outcome::Unverified);
    assert!(reading.detail.contains("too long"), "{}", reading.detail);
    let said_no = [rule[0].clone(), ("failure_body_contains", text("rows"))];
    assert_eq!(whole(&Postback.read(&settings(&said_no), &cut, 1, NOW)), refused());
    // A page in the answer's place proves nothing of what the settings want to see.
    let page = Response { body: b"<html>".to_vec(), ..cut.clone() };
    assert_eq!(whole(&Postback.read(&settings(&rule), &page, 1, NOW)), doubted());
    for words in ["success_body_contains", "success_body_matches"] {
        let words = [(words, text("\"OK\""))];
        assert_eq!(whole(&Postback.read(&settings(&words), &cut, 1, NOW)), Outcome::Unverified);
        assert_eq!(whole(&Postback.read(&settings(&words), &page, 1, NOW)), refused());
    }
}

#[test]
fn what_was_read_of_a_long_answer_counts() {
    let rule = [("success_json", map(&[("status", "ok"), ("data.0.code", "0")]))];
    for (begun, expected) in [
        (r#"{"status":"error","rows":["#, refused()),
        (r#"{"status":"error"#, Outcome::Unverified),
        (r#"{"data":[{"code":7,"#, refused()),
        ("\u{feff}{\"data\":[{\"code\":7,", refused()),
        (r#"{"data":[{"code":0,"rows":["#, Outcome::Unverified),
        (r#"{"data":[{"code":0,"x":1}],"status":"ok","rows":["#, Outcome::Delivered),
        ("{status", Outcome::Unverified),
        // Whatever follows, these paths are taken.
        (r#"{"status":null,"error":"unknown click","rows":["#, refused()),
        (r#"{"status":{"ok":false},"rows":["#, refused()),
        (r#"{"data":"error","rows":["#, refused()),
        (r#"{"data":[],"rows":["#, refused()),
        (r#"{"data":[{"error":"x"}],"rows":["#, refused()),
        (r#"{"data":[{"error":"x","rows":["#, Outcome::Unverified),
    ] {
        let body = begun.as_bytes().to_vec();
        let cut = Response { status: 200, body, body_cut: true, ..Response::default() };
        assert_eq!(whole(&Postback.read(&settings(&rule), &cut, 1, NOW)), expected, "{begun}");
    }
}

#[test]
fn a_page_where_json_is_wanted_is_asked_for_again() {
    let rule = [("success_json", map(&[("status", "ok")])), ("success_body_contains", text("status"))];
    for page in ["<html>We will be back soon</html>", "\u{feff}\n<!DOCTYPE html>"] {
        assert_eq!(outcome(&rule, 200, page), doubted(), "{page}");
    }
    // The partner's own words, which the same call would get again.
    for words in ["", "status ok"] {
        assert_eq!(outcome(&rule, 200, words), refused(), "{words}");
    }
    assert_eq!(outcome(&rule, 200, "\"status\""), refused());
    assert_eq!(outcome(&rule, 200, "\u{feff}{\"status\":\"ok\"}"), Outcome::Delivered);
    let unwanted = [rule[0].clone(), ("failure_body_contains", text("unknown click"))];
    assert_eq!(outcome(&unwanted, 200, "unknown click"), refused());
}

/// JSON that was put together by hand, with whatever a visitor sent in it: the partner has taken the event or not, and is
/// not asked again.
#[test]
fn broken_json_is_judged_by_its_beginning() {
    let rule = [("success_json", map(&[("status", "ok")]))];
    for (body, expected) in [
        (&b"{\"status\":\"ok\",\"sub\":\"a\"b\"}"[..], Outcome::Delivered),
        (b"{\"status\":\"ok\",\"sub\":\"a\tb\"}", Outcome::Delivered),
        (b"{\"status\":\"ok\",\"sub\":\"\xe9\"}", Outcome::Delivered),
        (b"{\"status\":\"ok\",\"sub\":\"\\ud83d\"}", Outcome::Delivered),
        (b"{\"status\":\"ok\",\"rate\":NaN}", Outcome::Delivered),
        (b"\xef\xbb\xbf\xef\xbb\xbf{\"status\":\"ok\"}", Outcome::Delivered),
        (b"{\"status\":\"unknown click\",\"sub\":\"a\"b\"}", refused()),
        (b"{\"sub\":\"a\"b\",\"status\":\"ok\"}", Outcome::Unverified),
        (b"{\"status\":\"ok\"} <!-- -->", Outcome::Delivered),
        (b"{\"status\":\"ok\"}\n{\"time\":3}", Outcome::Delivered),
        (b"{\"status\":\"error\"}\n<br />PHP notice, line 3", refused()),
        (b"{\"status\":\"error\",\"message\":\"unknown click \"abc\" here\",\"code\":1}", refused()),
        (b"{\"status\":\"ok\",\"message\":\"click \"abc\" taken\",\"code\":1}", Outcome::Delivered),
        (b"{\"status\":\"error\",\"rate\":NaN,\"x\":1}", refused()),
        (b"{\"status\":\"error\",\"sub\":\"\xe9\",\"code\":3}", refused()),
        (b"{\"status\":\"error\",\"sub\":\"a\tb\",\"code\":3}", refused()),
        (b"{\"sub\":\"a\"b\",\"code\":3,\"status\":\"error\"}", Outcome::Unverified),
        (b"[ERROR] unknown click, see below", refused()),
    ] {
        let answer = Response { status: 200, body: body.to_vec(), ..Response::default() };
        let reading = Postback.read(&settings(&rule), &answer, 1, NOW);
        assert_eq!(whole(&reading), expected, "{}", String::from_utf8_lossy(body));
    }
    let both = [rule[0].clone(), ("success_body_contains", text("taken"))];
    assert_eq!(outcome(&both, 200, "{\"status\":\"ok\",\"sub\":\"a\"b\"}"), refused(), "that was read whole");
}

#[test]
fn a_mark_before_words_is_none_of_them() {
    let rule = [("success_body_matches", text(r"^(OK|duplicate):\d+$"))];
    assert_eq!(outcome(&rule, 200, "\u{feff}OK:7"), Outcome::Delivered);
}

/// What would be a refusal may stand behind what was read.
#[test]
fn a_long_answer_is_not_proven_by_what_it_does_not_say_at_first() {
    let rule = [("failure_body_contains", text("unknown click"))];
    let cut = |rule: &[(&str, _)], body: &[u8]| {
        let answer = Response { status: 200, body: body.to_vec(), body_cut: true, ..Response::default() };
        whole(&Postback.read(&settings(rule), &answer, 1, NOW))
    };
    for body in [&b"{\"rows\":[1,"[..], b"rows"] {
        assert_eq!(cut(&rule, body), Outcome::Unverified);
    }
    let told = [rule[0].clone(), ("success_json", map(&[("status", "ok")]))];
    assert_eq!(cut(&told, b"{\"status\":\"ok\",\"rows\":["), Outcome::Unverified);
    assert_eq!(cut(&told, b"{\"status\":\"no\",\"rows\":["), refused());
    assert_eq!(cut(&told[1..], b"{\"status\":\"ok\",\"rows\":["), Outcome::Delivered);
}

#[test]
fn what_stands_at_a_path_is_told_without_the_secret() {
    let rule = [("success_json", map(&[("key", "taken")]))];
    // Also where the secret would be cut in two.
    for before in [0, 270, 280, 285] {
        let said = format!("{}{SECRET}", "x".repeat(before));
        let told = answer(&rule, 200, &[], &json!({ "key": said }).to_string()).detail;
        assert!(!told.contains("s3c"), "{before}: {told}");
    }
}
