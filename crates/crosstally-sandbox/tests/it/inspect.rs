//! Lists, counts, clearing.

use http::Method;
use serde_json::{Value, json};

use crate::server::{JSON, Server, purchase};

#[tokio::test]
async fn lists_can_be_filtered_and_paged() {
    let server = Server::start().await;
    let events = (0..950).map(|id| purchase(&id.to_string())).collect::<Vec<_>>();
    server.events("1", &events).await;
    server.events("2", &events[..50]).await;

    let mut ids = Vec::new();
    let mut path = "/_sandbox/events?dataset=1&limit=300".to_owned();
    loop {
        let page = server.get(&path).await.json();
        let rows = page["data"].as_array().unwrap();
        assert!(rows.len() <= 300);
        ids.extend(rows.iter().map(|row| row["event"]["event_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/_sandbox/events?dataset=1&limit=300&after={next}");
    }
    assert_eq!(ids, (0..950).map(|id| id.to_string()).collect::<Vec<_>>(), "oldest first, each once");

    assert_eq!(server.list("events").await.len(), 1000);
    assert_eq!(server.list("events?platform=meta&event_name=Purchase&event_id=7").await.len(), 2);
    assert_eq!(server.list("events?event_id=7&dataset=2&source=server").await.len(), 1);
    for nobody in ["platform=tiktok", "event_name=Lead", "source=browser", "dataset=3", "after=1000"] {
        assert!(server.list(&format!("events?{nobody}")).await.is_empty(), "{nobody}");
    }
    for wrong in ["limit=0", "limit=100001", "after=x", "source=both", "event=7"] {
        let answer = server.get(&format!("/_sandbox/events?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.json()["filters"].is_array());
    }
}

#[tokio::test]
async fn clearing_forgets_everything() {
    let server = Server::start().await;
    server.events("1", &[purchase("a"), purchase("a")]).await;
    server.events("1", &[json!({})]).await;
    server.fault(json!({ "kind": "permission", "dataset": "2" })).await;
    assert_eq!(server.delete("/_sandbox").await.status, 204);
    for list in ["events", "duplicates", "refused", "faults"] {
        assert!(server.list(list).await.is_empty(), "{list}");
    }
    assert_eq!(server.get("/_sandbox/stats").await.json()["datasets"], json!([]));
    server.events("1", &[purchase("a")]).await;
    assert_eq!(server.accepted_ids().await, ["a"], "deduplication starts anew");
}

#[tokio::test]
async fn the_sandbox_explains_itself() {
    let server = Server::start().await;
    for path in ["/_sandbox", "/_sandbox/"] {
        let index = server.get(path).await;
        let index_json = index.json();
        let platforms = index_json["platforms"].as_array().unwrap();
        assert_eq!((index.status, &platforms[0]), (200, &json!("meta")), "{path}");
        for platform in platforms {
            assert!(index_json["send"][platform.as_str().unwrap()][0].is_string(), "{platform}");
        }
    }
    let lost = server.get("/_sandbox/nothing").await;
    assert_eq!(
        (lost.status, &lost.headers["content-type"]),
        (404, &"application/problem+json".parse().unwrap())
    );
    assert_eq!(server.send(Method::POST, "/_sandbox/events", &[], "").await.unwrap().status, 405);
}

#[tokio::test]
async fn faults_are_listed_deleted_and_explained() {
    let server = Server::start().await;
    let posted = json!([{ "kind": "permission", "times": 2, "dataset": "1" }, { "kind": "hang" }]);
    let answer = server.post("/_sandbox/faults", JSON, posted.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(server.events("1", &[purchase("a")]).await.codes(), (10, None));
    let faults = server.list("faults").await;
    assert_eq!(
        faults[0],
        json!({ "id": "f1", "kind": "permission", "times": 2, "dataset": "1", "hits": 1, "remaining": 1 })
    );
    assert_eq!(server.delete("/_sandbox/faults/f2").await.status, 204);
    assert_eq!(server.delete("/_sandbox/faults/f2").await.status, 404);
    assert_eq!(server.list("faults").await.len(), 1);
    assert_eq!(server.delete("/_sandbox/faults").await.status, 204);
    assert!(server.list("faults").await.is_empty());

    for wrong in
        ["{\"kind\":\"nova\"}", "{\"kind\":\"hang\",\"tiems\":1}", "{\"kind\":\"drip\",\"ms\":1}", "["]
    {
        let answer = server.post("/_sandbox/faults", JSON, wrong).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (400, &"application/problem+json".parse().unwrap())
        );
        if wrong != "[" {
            let said = answer.json();
            assert_eq!(said["kinds"]["drip"], json!(["ms_per_byte"]), "{said}");
            assert!(said["common_keys"].as_array().unwrap().contains(&Value::from("times")));
        }
    }
}

#[tokio::test]
async fn stats_say_what_is_kept_and_what_is_dropped() {
    let limits = crosstally_sandbox::Limits { events_max: 10, ..crosstally_sandbox::Limits::default() };
    let server = Server::with_limits(limits).await;
    let events = (0..25).map(|id| purchase(&id.to_string())).collect::<Vec<_>>();
    server.events("1", &events).await;
    server.events("1", &events).await;
    let report = server.get("/_sandbox/stats").await.json();
    assert_eq!(report["kept"]["events"]["rows"], 10);
    assert_eq!(report["kept"]["events"]["dropped"], 15);
    assert_eq!(report["kept"]["dedup_keys"], 25);
    let counts = server.counts().await;
    assert_eq!((&counts["accepted"], &counts["duplicates"]), (&json!(25), &json!(25)));
    assert_eq!(server.accepted_ids().await, (15..25).map(|id| id.to_string()).collect::<Vec<_>>());
}
