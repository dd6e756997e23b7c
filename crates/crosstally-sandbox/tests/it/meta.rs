//! The events edge: wire forms, tokens, versions, refusals, deduplication.

use http::Method;
use serde_json::{Value, json};

use crate::server::{Answer, FORM, HASH, JSON, NOW_SECONDS, Server, purchase};
use crosstally_sandbox::Limits;

const SAMPLES: &str = include_str!("../../fixtures/meta_sdk_samples.json");
const EDGE: &str = "/v26.0/1/events?access_token=T";

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn the_requests_of_both_sdks_are_taken_and_listed_as_sent() {
    let samples = serde_json::from_str::<Value>(SAMPLES).unwrap();
    let mut forms = 0;
    for sample in samples["samples"].as_array().unwrap() {
        let path = sample["wire"]["path"].as_str().unwrap();
        let mut bodies = Vec::new();
        if let Some(form) = sample["raw_form_body"].as_str() {
            bodies.push((FORM, form.to_owned(), &sample["canonical_json_body"]));
            bodies.push((JSON, sample["canonical_json_body"].to_string(), &sample["canonical_json_body"]));
        }
        if sample["json_body"].is_object() {
            bodies.push((JSON, sample["json_body"].to_string(), &sample["json_body"]));
        }
        for (kind, body, decoded) in bodies {
            forms += 1;
            let server = Server::start().await;
            let answer = server.post(path, kind, body).await;
            let sent = decoded["data"].as_array().unwrap();
            assert_eq!(answer.status, 200, "{} as {kind}: {}", sample["name"], answer.text);
            let said = answer.json();
            assert_eq!(said["events_received"], sent.len());
            assert_eq!(said["messages"], json!([]));
            assert!(said["fbtrace_id"].is_string());
            let rows = server.list("events").await;
            let events = rows.iter().map(|row| row["event"].clone()).collect::<Vec<_>>();
            assert_eq!(&events, sent, "{} as {kind}", sample["name"]);
            assert_eq!(rows[0]["dataset"], "PIXEL123");
            assert_eq!(rows[0]["platform"], "meta");
            assert_eq!(rows[0]["received_at"], "2025-11-27T01:00:00Z");
            assert_eq!(rows[0].get("test_event_code"), decoded.get("test_event_code"));
            server.stop().await;
        }
    }
    assert_eq!(forms, 9, "four samples of the one SDK in two forms, one of the other");
}

#[tokio::test]
async fn events_are_kept_byte_for_byte() {
    let server = Server::start().await;
    let event = purchase("exact").to_string().replace("12.34", "0.10000000000000000555");
    let event = event.replace(",\"custom_data\"", " ,\n \"custom_data\"");
    let answer = server.post(EDGE, JSON, format!("{{\"data\":[{event}]}}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let listed = server.get("/_sandbox/events").await.text;
    assert!(listed.contains(&event), "{listed}");
}

#[tokio::test]
async fn all_wire_forms_are_read() {
    let server = Server::start().await;
    let event = |id: &str| purchase(id).to_string();
    let quoted = |text: &str| Value::from(text).to_string();
    let objects = format!("[{}]", event("form objects"));
    let strings = format!("[{}]", quoted(&event("form strings")));
    let in_text = quoted(&format!("[{}]", event("json text")));
    let mixed = format!("[{},{}]", event("mixed 1"), quoted(&event("mixed 2")));
    let multipart = format!(
        "--b\r\ncontent-disposition: form-data; name=\"access_token\"\r\n\r\nT\r\n--b\r\ncontent-disposition: form-data; name=\"data\"\r\n\r\n[{}]\r\n--b--\r\n",
        event("multipart")
    );
    let query = format!("/v26.0/1/events?access_token=T&data={}", encoded(&format!("[{}]", event("query"))));
    for (path, kind, body) in [
        (EDGE, FORM, format!("data={}", encoded(&objects))),
        (EDGE, FORM, format!("data={}", encoded(&strings))),
        (EDGE, JSON, format!("{{\"data\":{in_text}}}")),
        (EDGE, "application/json; charset=utf-8", format!("{{\"data\":{mixed}}}")),
        ("/v26.0/1/events", "multipart/form-data; boundary=b", multipart),
        (query.as_str(), FORM, String::new()),
    ] {
        let answer = server.post(path, kind, body).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.text);
    }
    let ids = server.accepted_ids().await;
    assert_eq!(
        ids,
        ["form objects", "form strings", "json text", "mixed 1", "mixed 2", "multipart", "query"]
    );
}

#[tokio::test]
async fn a_token_is_found_in_three_places_and_never_listed() {
    let server = Server::start().await;
    let with_token = json!({ "data": [purchase("body")], "access_token": "secret-b" }).to_string();
    let without = |id: &str| json!({ "data": [purchase(id)] }).to_string();
    let plain = "/v26.0/1/events";
    let bearer = [("content-type", JSON), ("authorization", "bearer secret-h")];

    let answer = server.post(plain, JSON, with_token).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = server.post("/v26.0/1/events?access_token=secret-q", JSON, without("query")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = server.send(Method::POST, plain, &bearer, without("header")).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);

    for path in [plain, "/v26.0/1/events?access_token="] {
        let answer = server.post(path, JSON, without("none")).await;
        assert_eq!((answer.status, answer.codes()), (400, (104, None)));
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    for token in ["EXPIRED", "expired-2025"] {
        let path = format!("/v26.0/1/events?access_token={token}");
        let answer = server.post(&path, JSON, without("expired")).await;
        assert_eq!((answer.status, answer.codes()), (401, (190, Some(463))));
        assert_eq!(answer.json()["error"]["type"], "OAuthException");
    }
    let broken = "{\"access_token\":\"secret-x\",\"data\":[}";
    assert_eq!(server.post("/v26.0/1/events?access_token=secret-q", JSON, broken).await.status, 400);

    assert_eq!(server.accepted_ids().await, ["body", "query", "header"]);
    let refused = server.get("/_sandbox/refused").await.text;
    assert!(refused.contains("[token]") && !refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn one_bad_event_refuses_the_whole_batch_in_metas_words() {
    let server = Server::start().await;
    let mut events = (0..500).map(|id| purchase(&id.to_string())).collect::<Vec<_>>();
    events[317]["custom_data"] = json!({ "value": 1 });
    let answer = server.events("1", &events).await;
    assert_eq!((answer.status, answer.codes()), (400, (100, Some(2_804_009))));
    let said = answer.json();
    let keys = said["error"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(
        keys,
        [
            "message",
            "type",
            "code",
            "error_subcode",
            "is_transient",
            "error_user_title",
            "error_user_msg",
            "fbtrace_id"
        ]
    );
    assert_eq!(said["error"]["message"], "Invalid parameter");
    assert_eq!(said["error"]["is_transient"], false);
    assert!(said["error"]["error_user_msg"].as_str().unwrap().starts_with("Event 317 (Purchase)"));
    assert!(server.accepted_ids().await.is_empty(), "none of them is recorded");

    let refused = server.list("refused").await;
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["index"], &refused[0]["events"]), (&json!(317), &json!(500)));
    assert_eq!(refused[0]["event"], events[317]);
    assert_eq!(refused[0]["error"], said["error"]);
    assert_eq!(refused[0]["reason"], said["error"]["error_user_msg"]);

    events.remove(317);
    assert_eq!(server.events("1", &events).await.json()["events_received"], 499);
    assert_eq!(server.accepted_ids().await.len(), 499);
    let counts = server.counts().await;
    assert_eq!((&counts["requests"], &counts["accepted"]), (&json!(2), &json!(499)));
    assert_eq!((&counts["refused_requests"], &counts["refused_events"]), (&json!(1), &json!(500)));
    assert_eq!(counts["by_status"], json!({ "200": 1, "400": 1 }));
}

#[tokio::test]
async fn ages_follow_the_clock_that_was_passed_in() {
    let server = Server::start().await;
    server.set_now_seconds(NOW_SECONDS + 7 * 86_400);
    assert_eq!(server.events("1", &[purchase("a")]).await.status, 200);
    server.set_now_seconds(NOW_SECONDS + 7 * 86_400 + 1);
    let answer = server.events("1", &[purchase("b")]).await;
    assert_eq!((answer.status, answer.codes()), (400, (100, Some(2_804_003))));
    server.set_now_seconds(NOW_SECONDS - 61);
    assert_eq!(server.events("1", &[purchase("c")]).await.codes(), (100, Some(2_804_004)));
}

#[tokio::test]
async fn batches_have_one_to_a_thousand_events() {
    let server = Server::start().await;
    let many = |count: usize| (0..count).map(|id| purchase(&id.to_string())).collect::<Vec<_>>();
    assert_eq!(server.events("1", &[]).await.codes().0, 100);
    assert_eq!(server.events("1", &many(1001)).await.codes().0, 100);
    assert!(server.accepted_ids().await.is_empty());
    assert_eq!(server.events("1", &many(1000)).await.json()["events_received"], 1000);
}

#[tokio::test]
async fn hostile_bodies_get_a_clear_answer() {
    let server = Server::with_limits(Limits { body_bytes_max: 300_000, ..Limits::default() }).await;
    let event = purchase("x").to_string();
    let data = |items: &str| format!("{{\"data\":[{items}]}}");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (kind, body) in [
        (JSON, String::new()),
        (JSON, "{".to_owned()),
        (JSON, "[]".to_owned()),
        (JSON, "null".to_owned()),
        (JSON, "{\"data\":{}}".to_owned()),
        (JSON, "{\"data\":\"\"}".to_owned()),
        (JSON, "{\"data\":[],\"data\":[]}".to_owned()),
        (JSON, data("1")),
        (JSON, data("\"1\"")),
        (JSON, data("null")),
        (JSON, data(&deep)),
        (JSON, data(&event.replace("UA/1.0", "\\ud800"))),
        (JSON, data(&event.replace("UA/1.0", "\u{0}"))),
        (JSON, data(&event.replace("12.34", "1e999"))),
        (JSON, data(&event.replace("12.34", "NaN"))),
        (JSON, "{\"data\":[1],\"access_token\":7}".to_owned()),
        (FORM, "data=%5B%5B".to_owned()),
        (FORM, "&&=&=&".repeat(10_000)),
        ("multipart/form-data; boundary=b", "--b\r\nx".to_owned()),
        ("multipart/form-data", "x".to_owned()),
        ("image/png", "x".to_owned()),
    ] {
        let start = body.chars().take(60).collect::<String>();
        let answer = server.post(EDGE, kind, body).await;
        assert_eq!((answer.status, answer.codes().0), (400, 100), "{kind} {start}: {}", answer.text);
    }
    let wide = format!("{{{}}}", (0..20_000).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(server.post(EDGE, JSON, wide).await.codes().0, 100, "no data among 20,000 keys");

    let answer = server.post(EDGE, JSON, data(&event) + &" ".repeat(300_000)).await;
    assert_eq!((answer.status, answer.codes().0), (413, 100), "over the cap, never cut");
    let gzip = [("content-type", JSON), ("content-encoding", "gzip")];
    let answer = server.send(Method::POST, EDGE, &gzip, data(&event)).await.unwrap();
    assert_eq!(answer.status, 415);
    assert!(server.accepted_ids().await.is_empty());
    assert_eq!(server.post(EDGE, JSON, data(&event)).await.status, 200, "and it still works");
}

#[tokio::test]
async fn an_error_repeats_no_contact_value() {
    let server = Server::start().await;
    let mut event = purchase("x");
    event["user_data"]["em"] = json!("john@example.com");
    let answer = server.events("1", &[event]).await;
    assert_eq!(answer.codes(), (100, Some(2_804_016)));
    assert!(!answer.text.contains("john"), "{}", answer.text);
    let answer = server.events("1", &[json!("john@example.com")]).await;
    assert!(!answer.text.contains("john"), "{}", answer.text);
}

#[tokio::test]
async fn unknown_keys_are_named_in_messages() {
    let server = Server::start().await;
    let mut event = purchase("x");
    event["eventid"] = json!("y");
    let said = server.events("1", &[event.clone(), event]).await.json();
    assert_eq!(said["events_received"], 2);
    assert_eq!(said["messages"].as_array().unwrap().len(), 1, "once, however many events have it: {said}");
}

#[tokio::test]
async fn body_fields_beside_the_events_are_checked() {
    let server = Server::start().await;
    let with_agent = |agent: &str| json!({ "data": [purchase("x")], "partner_agent": agent }).to_string();
    assert_eq!(server.post(EDGE, JSON, with_agent("crosstally")).await.status, 200);
    assert_eq!(server.post(EDGE, JSON, with_agent("abcdefghijklmnopqrstuvw")).await.codes().0, 100);
    assert_eq!(server.post(EDGE, JSON, with_agent("1-2-3")).await.codes().0, 100);
}

#[tokio::test]
async fn versions_and_verbs() {
    let server = Server::start().await;
    let body = || json!({ "data": [purchase("x")] }).to_string();
    let post = async |version: &str| -> Answer {
        server.post(&format!("/{version}/1/events?access_token=T"), JSON, body()).await
    };
    for version in ["v24.0", "v25.0", "v26.0"] {
        let answer = post(version).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.contains_key("x-ad-api-version-warning"));
    }
    assert_eq!(post("v23.0").await.codes(), (2635, None));
    assert_eq!(post("v99.0").await.codes(), (2500, None));
    assert_eq!(post("v26").await.codes(), (2500, None));

    let after_v24 = 1_791_300_000;
    server.set_now_seconds(after_v24);
    let mut event = purchase("late");
    event["event_time"] = json!(after_v24);
    let body = json!({ "data": [event] }).to_string();
    let answer = server.post("/v24.0/1/events?access_token=T", JSON, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.headers["x-ad-api-version-warning"].to_str().unwrap().contains("v25.0"));

    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let answer = server.send(method, EDGE, &[], "").await.unwrap();
        assert_eq!((answer.status, answer.codes()), (400, (100, Some(33))));
    }
    assert_eq!(server.get("/v26.0/me").await.codes(), (2500, None));
    let odd = "/v26.0/a%2Fb/events?access_token=T";
    assert_eq!(server.post(odd, JSON, "{}").await.codes().0, 100);
}

#[tokio::test]
async fn a_resend_counts_as_received_but_is_taken_once_in_48_hours() {
    let server = Server::start().await;
    let mut event = purchase("a");
    for (hours, accepted) in [(0, 1), (1, 1), (47, 1), (48, 2), (95, 2)] {
        let now = NOW_SECONDS + hours * 3600;
        server.set_now_seconds(now);
        event["custom_data"]["value"] = json!(hours);
        let answer = server.events("1", &[event.clone()]).await;
        assert_eq!(answer.json()["events_received"], 1);
        assert_eq!(server.accepted_ids().await.len(), accepted, "after {hours} h");
    }
    let duplicates = server.list("duplicates").await;
    let values =
        duplicates.iter().map(|row| row["event"]["custom_data"]["value"].clone()).collect::<Vec<_>>();
    assert_eq!(values, [json!(1), json!(47), json!(95)]);
    assert_eq!(duplicates[2]["duplicate_of"]["cursor"], "2");
    assert_eq!(duplicates[0]["recognised_by"], "event_id");

    let other_name = json!({ "event_name": "Lead", "event_id": "a" });
    let mut other = purchase("a");
    other.as_object_mut().unwrap().extend(other_name.as_object().unwrap().clone());
    server.events("1", &[other]).await;
    server.events("2", &[purchase("a")]).await;
    let mut no_id = purchase("");
    no_id.as_object_mut().unwrap().shift_remove("event_id");
    server.events("1", &[no_id.clone(), no_id]).await;
    assert_eq!(
        server.accepted_ids().await.len(),
        6,
        "another name, dataset, or no id at all is no duplicate"
    );
}

#[tokio::test]
async fn a_hundred_at_once_are_one() {
    let server = std::sync::Arc::new(Server::start().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let server = std::sync::Arc::clone(&server);
        calls.spawn(async move { server.events("1", &[purchase("same"), purchase("same")]).await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(server.accepted_ids().await, ["same"]);
    let counts = server.counts().await;
    assert_eq!((&counts["accepted"], &counts["duplicates"]), (&json!(1), &json!(199)));
}

#[tokio::test]
async fn store_events_are_compared_by_their_order_for_seven_days() {
    let server = Server::start().await;
    let sale = |order: &str, item: &str| {
        json!({
            "event_name": "Purchase",
            "event_time": NOW_SECONDS,
            "action_source": "physical_store",
            "user_data": { "em": HASH },
            "custom_data": { "value": 1, "currency": "EUR", "order_id": order, "item_number": item },
        })
    };
    server.events("1", &[sale("1", "a"), sale("1", "b"), sale("2", "a"), sale("1", "a")]).await;
    assert_eq!(server.list("events").await.len(), 3);
    server.set_now_seconds(NOW_SECONDS + 7 * 86_400 - 1);
    server.events("1", &[sale("1", "a")]).await;
    assert_eq!(server.list("events").await.len(), 3);
    server.set_now_seconds(NOW_SECONDS + 7 * 86_400);
    server.events("1", &[sale("1", "a")]).await;
    assert_eq!(server.list("events").await.len(), 4);
    assert_eq!(server.list("duplicates").await[0]["recognised_by"], "order_id");
}

#[tokio::test]
async fn a_full_sandbox_asks_to_come_again_and_loses_nothing() {
    let server = Server::with_limits(Limits { dedup_keys_max: 2, ..Limits::default() }).await;
    assert_eq!(server.events("1", &[purchase("a"), purchase("b")]).await.status, 200);
    let answer = server.events("1", &[purchase("c")]).await;
    assert_eq!((answer.status, answer.codes().0), (503, 2));
    assert_eq!(answer.json()["error"]["is_transient"], true);
    assert_eq!(server.accepted_ids().await, ["a", "b"]);
}
