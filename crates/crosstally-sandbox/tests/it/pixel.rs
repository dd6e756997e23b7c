//! The browser's side and how it meets the server's.

use http::Method;
use serde_json::json;

use crate::server::{FORM, NOW_SECONDS, Server, purchase};

#[tokio::test]
async fn a_hit_is_a_browser_event_and_answers_an_image() {
    let server = Server::start().await;
    let path = "/tr?id=1&ev=Purchase&eid=order-1&dl=https%3A%2F%2Fshop.example%2Fthanks&ts=1764205199123\
                &cd[value]=12.34&cd[currency]=USD&ud[external_id]=u1&fbp=fb.1.1764190000000.7";
    let answer = server.send(Method::GET, path, &[("user-agent", "Browser/1")], "").await.unwrap();
    assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "image/gif"));
    assert!(answer.text.starts_with("GIF89a"));
    let rows = server.list("events?source=browser").await;
    assert_eq!(rows[0]["source"], "browser");
    assert_eq!(
        rows[0]["event"],
        json!({
            "event_name": "Purchase",
            "event_id": "order-1",
            "event_source_url": "https://shop.example/thanks",
            "event_time": 1_764_205_199,
            "action_source": "website",
            "user_data": {
                "external_id": "u1",
                "fbp": "fb.1.1764190000000.7",
                "client_user_agent": "Browser/1",
            },
            "custom_data": { "value": "12.34", "currency": "USD" },
        })
    );
    server.post("/tr/", FORM, "id=1&ev=Lead").await;
    assert_eq!(server.list("events?event_name=Lead").await.len(), 1, "a form is as good as a query");
    server.get("/tr?id=1").await;
    server.get("/tr?ev=Lead").await;
    let reasons = server.list("refused").await;
    assert_eq!(reasons.len(), 2, "the image hides it, the list shows it");
    assert_eq!(reasons[0]["reason"], "ev must name the event");
    assert_eq!(server.counts().await["browser_hits"], 3);
}

#[tokio::test]
async fn browser_and_server_are_one_event() {
    for (server_first, seconds, kept) in [
        (true, 300, "browser"),
        (true, 301, "server"),
        (false, 300, "browser"),
        (false, 47 * 3600, "browser"),
    ] {
        let server = Server::start().await;
        let hit = "/tr?id=1&ev=Purchase&eid=order-1";
        if server_first {
            server.events("1", &[purchase("order-1")]).await;
            server.set_now_seconds(NOW_SECONDS + seconds);
            server.get(hit).await;
        } else {
            server.get(hit).await;
            server.set_now_seconds(NOW_SECONDS + seconds);
            let answer = server.events("1", &[purchase("order-1")]).await;
            assert_eq!(answer.json()["events_received"], 1);
        }
        let rows = server.list("events").await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["source"], kept, "{server_first} {seconds}");
        let other = if kept == "browser" { "server" } else { "browser" };
        assert_eq!(rows[0]["deduplicated_with"]["source"], other);
        assert_eq!(server.list("duplicates").await[0]["source"], other);
    }
}

#[tokio::test]
async fn without_an_id_only_an_earlier_browser_event_of_the_same_person_counts() {
    let anonymous = |external_id: &str| {
        let mut event = purchase("");
        event.as_object_mut().unwrap().shift_remove("event_id");
        event["user_data"]["external_id"] = json!([external_id]);
        event["user_data"]["fbp"] = json!("fb.1.1764190000000.7");
        event
    };
    let server = Server::start().await;
    server.get("/tr?id=1&ev=Purchase&ud[external_id]=u1&fbp=fb.1.1764190000000.7").await;
    server.events("1", &[anonymous("u1")]).await;
    assert_eq!(server.list("events").await.len(), 1, "the same person");
    assert_eq!(server.list("duplicates").await[0]["recognised_by"], "external_id");
    server.events("1", &[anonymous("u2"), anonymous("u2")]).await;
    assert_eq!(
        server.list("events").await.len(),
        3,
        "external_id goes before fbp; server never meets server"
    );
    server.events("1", &[purchase("with id")]).await;
    assert_eq!(server.list("events").await.len(), 4, "an event with an id is known by it alone");
}
