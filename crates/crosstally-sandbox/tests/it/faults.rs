//! Each fault as the sender meets it, and what the sandbox holds afterwards.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::server::{Server, purchase, read_to_end};

async fn with_fault(fault: Value) -> Server {
    let server = Server::start().await;
    server.fault(fault).await;
    server
}

#[tokio::test]
async fn status_faults_answer_as_told() {
    let server = with_fault(json!({ "kind": "status", "status": 429, "retry_after": 2, "times": 1 })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!((answer.status, answer.codes().0), (429, 4));
    assert_eq!(answer.headers["retry-after"], "2");
    assert!(server.accepted_ids().await.is_empty());
    assert_eq!(server.events("1", &[purchase("a")]).await.status, 200, "once was asked for");

    server
        .fault(json!([
            { "kind": "status", "status": 400, "code": 368, "subcode": 7, "message": "M", "is_transient": true, "times": 1 },
            { "kind": "status", "status": 502, "body": "<html>", "content_type": "text/html", "times": 1 },
            { "kind": "status", "status": 200, "body": { "events_received": 7 }, "times": 1 },
            { "kind": "status", "status": 204, "times": 1 },
            { "kind": "status", "status": 500, "accept": true, "times": 1 },
        ]))
        .await;
    let answer = server.events("1", &[purchase("b")]).await;
    assert_eq!((answer.status, answer.codes()), (400, (368, Some(7))));
    assert_eq!(
        (&answer.json()["error"]["message"], &answer.json()["error"]["is_transient"]),
        (&json!("M"), &json!(true))
    );
    let answer = server.events("1", &[purchase("b")]).await;
    assert_eq!((answer.status, answer.text.as_str()), (502, "<html>"));
    assert_eq!(answer.headers["content-type"], "text/html");
    assert_eq!(server.events("1", &[purchase("b")]).await.json()["events_received"], 7);
    assert_eq!(server.events("1", &[purchase("b")]).await.status, 204);
    assert_eq!(server.accepted_ids().await, ["a"]);
    assert_eq!(server.events("1", &[purchase("b")]).await.codes().0, 2);
    assert_eq!(server.accepted_ids().await, ["a", "b"], "accept says so");
    let counts = server.counts().await;
    assert_eq!(counts["faulted_requests"], 6);
    assert_eq!(counts["by_status"]["429"], 1);
}

#[tokio::test]
async fn throttling_carries_its_usage_headers() {
    let server = with_fault(json!({ "kind": "throttle", "minutes": 5, "times": 1 })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!((answer.status, answer.codes()), (400, (80_004, Some(2_446_079))));
    let usage =
        serde_json::from_slice::<Value>(answer.headers["x-business-use-case-usage"].as_bytes()).unwrap();
    assert_eq!(usage["1"][0]["estimated_time_to_regain_access"], 5);
    assert_eq!(usage["1"][0]["call_count"], 100);
    server.fault(json!({ "kind": "throttle", "code": 4, "status": 429, "retry_after": 9 })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!((answer.status, answer.codes().0), (429, 4));
    assert!(answer.headers.contains_key("x-app-usage") && answer.headers["retry-after"] == "9");
}

#[tokio::test]
async fn metas_own_words_for_servers_tokens_and_permissions() {
    for (fault, status, code) in [
        (json!({ "kind": "server_error" }), 500, (2, None)),
        (json!({ "kind": "server_error", "status": 503 }), 503, (2, None)),
        (json!({ "kind": "expired_token" }), 401, (190, Some(463))),
        (json!({ "kind": "permission" }), 403, (10, None)),
        (json!({ "kind": "wrong_version" }), 400, (2635, None)),
    ] {
        let server = with_fault(fault.clone()).await;
        let answer = server.events("1", &[purchase("a")]).await;
        assert_eq!((answer.status, answer.codes()), (status, code), "{fault}");
        assert!(server.accepted_ids().await.is_empty());
    }
    let server = with_fault(json!({ "kind": "server_error", "html": true })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert!(answer.status == 500 && answer.text.starts_with("<!DOCTYPE html>"), "{}", answer.text);
}

#[tokio::test]
async fn a_rejected_event_sinks_its_batch_until_it_is_left_out() {
    let server = with_fault(json!([
        { "kind": "reject_event_id", "event_id": "bad" },
        { "kind": "reject_event_name", "event_name": "Odd", "subcode": 2_804_048 },
    ]))
    .await;
    let answer = server.events("1", &[purchase("a"), purchase("bad"), purchase("b")]).await;
    assert_eq!((answer.status, answer.codes()), (400, (100, Some(2_804_017))));
    let refused = server.list("refused").await;
    assert_eq!((&refused[0]["fault"], &refused[0]["events"]), (&json!("f1"), &json!(3)));
    assert_eq!(server.events("1", &[purchase("a"), purchase("b")]).await.status, 200);
    let mut odd = purchase("c");
    odd["event_name"] = json!("Odd");
    assert_eq!(server.events("1", &[odd]).await.codes(), (100, Some(2_804_048)));
    assert_eq!(server.accepted_ids().await, ["a", "b"]);
}

#[tokio::test]
async fn faults_keep_to_their_dataset() {
    let server = with_fault(json!({ "kind": "permission", "dataset": "2" })).await;
    assert_eq!(server.events("1", &[purchase("a")]).await.status, 200);
    assert_eq!(server.events("2", &[purchase("a")]).await.status, 403);
}

#[tokio::test]
async fn a_partial_count_loses_the_last_events() {
    let server = with_fault(json!({ "kind": "partial_count", "missing": 2 })).await;
    let answer = server.events("1", &[purchase("a"), purchase("b"), purchase("c")]).await;
    assert_eq!(answer.json()["events_received"], 1);
    assert_eq!(server.accepted_ids().await, ["a"]);
}

#[tokio::test]
async fn a_redirect_points_into_the_sandbox() {
    let server = with_fault(json!({ "kind": "redirect" })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (302, "/_sandbox/redirected"));
    assert_eq!(server.get("/_sandbox/redirected").await.status, 404);
    assert!(server.accepted_ids().await.is_empty());
}

#[tokio::test]
async fn garbage_is_not_json() {
    let server = with_fault(json!({ "kind": "garbage_json", "accept": true })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<Value>(&answer.text).is_err(), "{}", answer.text);
    assert_eq!(server.accepted_ids().await, ["a"]);
}

#[tokio::test]
async fn resets_leave_no_answer_and_only_one_takes_the_events() {
    for (kind, taken) in [("reset_before", 0), ("reset_after_accept", 1)] {
        let server = with_fault(json!({ "kind": kind, "times": 1 })).await;
        let mut stream = server.open("a").await;
        let (said, ended) = read_to_end(&mut stream).await;
        assert_eq!(said, "", "{kind}");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset, "{kind}");
        assert_eq!(server.accepted_ids().await.len(), taken, "{kind}");
        assert_eq!(server.counts().await["unanswered"], 1, "{kind}");

        let answer = server.events("1", &[purchase("a")]).await;
        assert_eq!(answer.status, 200, "a retry is answered");
        assert_eq!(server.accepted_ids().await, ["a"], "and the event counts once");
    }
}

#[tokio::test]
async fn a_hang_lasts_until_its_end_or_until_the_sender_leaves() {
    let server = with_fault(json!({ "kind": "hang", "ms": 50, "times": 1 })).await;
    let (said, ended) = read_to_end(&mut server.open("a").await).await;
    assert!(said.is_empty() && ended.is_ok(), "closed without a word: {said} {ended:?}");
    assert!(server.accepted_ids().await.is_empty());

    server.fault(json!({ "kind": "hang", "accept": true })).await;
    let mut stream = server.open("b").await;
    let waited = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(waited.is_err(), "no byte comes");
    assert_eq!(server.accepted_ids().await, ["b"]);
    server.stop().await;
    let (said, _) = read_to_end(&mut stream).await;
    assert_eq!(said, "", "stopping the sandbox ends a hang, within its deadline");

    let server = with_fault(json!({ "kind": "hang", "accept": true })).await;
    drop(server.open("c").await);
    let gone = async {
        // One is the connection that asks.
        while server.accepted_ids().await.is_empty()
            || server.get("/_sandbox/stats").await.json()["open_connections"] != 1
        {}
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok(),
        "it ends when the sender goes"
    );
}

#[tokio::test]
async fn a_slow_answer_comes_after_the_events_are_taken() {
    let server = with_fault(json!({ "kind": "slow", "ms": 100_000 })).await;
    let mut stream = server.open("a").await;
    let waited = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(waited.is_err(), "no byte comes");
    assert_eq!(server.accepted_ids().await, ["a"], "but the event is in");
    server.delete("/_sandbox/faults").await;
    server.fault(json!({ "kind": "slow", "ms": 20 })).await;
    assert_eq!(server.events("1", &[purchase("b")]).await.status, 200);
}

#[tokio::test]
async fn a_drip_sends_the_whole_answer_byte_by_byte() {
    let server = with_fault(json!({ "kind": "drip", "ms_per_byte": 1 })).await;
    let answer = server.events("1", &[purchase("a")]).await;
    assert_eq!(answer.json()["events_received"], 1);
    assert_eq!(answer.headers["content-length"], answer.text.len().to_string());

    server.delete("/_sandbox/faults").await;
    server.fault(json!({ "kind": "drip" })).await;
    let mut stream = server.open("b").await;
    let mut head = [0; 1024];
    let mut read = 0;
    while !head[..read].windows(4).any(|end| end == b"\r\n\r\n") {
        read += stream.read(&mut head[read..]).await.unwrap();
    }
    let rest = tokio::time::timeout(Duration::from_millis(300), async {
        let mut bytes = 0;
        while stream.read_u8().await.is_ok() {
            bytes += 1;
        }
        bytes
    });
    assert!(rest.await.is_err(), "a byte a second is no answer yet");
}

#[tokio::test]
async fn an_endless_body_does_not_end() {
    let server = with_fault(json!({ "kind": "endless_body" })).await;
    let mut stream = server.open("a").await;
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    while read < 50 << 20 {
        let more = stream.read(&mut buffer).await.unwrap();
        assert!(more > 0, "it ended after {read} bytes");
        read += more;
    }
    drop(stream);
    assert_eq!(server.get("/_sandbox").await.status, 200, "and others are served");
}

#[tokio::test]
async fn raw_bytes_make_any_answer() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let server = with_fault(json!([
        { "kind": "raw", "text": short, "times": 1 },
        { "kind": "raw", "text": short, "end": "reset", "accept": true, "times": 1 },
        { "kind": "raw", "text": "HTTP/1.1 103 Early Hints\r\n\r\n", "repeat": 3, "times": 1 },
        { "kind": "raw", "text": "HTTP", "ms_per_byte": 1, "times": 1 },
        { "kind": "raw", "text": "X".repeat(10_000), "repeat": 0 },
    ]))
    .await;
    let (said, ended) = read_to_end(&mut server.open("a").await).await;
    assert!(said == short && ended.is_ok(), "{said} {ended:?}");
    let (_, ended) = read_to_end(&mut server.open("b").await).await;
    assert!(ended.is_err(), "reset");
    assert_eq!(server.accepted_ids().await, ["b"]);
    let (said, _) = read_to_end(&mut server.open("c").await).await;
    assert_eq!(said, "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3));
    assert_eq!(read_to_end(&mut server.open("d").await).await.0, "HTTP");
    let mut stream = server.open("e").await;
    let mut endless = vec![0; 1 << 20];
    stream.read_exact(&mut endless).await.unwrap();
    assert!(endless.iter().all(|byte| *byte == b'X'));
}
