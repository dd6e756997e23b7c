//! Trying each platform: one event as a test, marked as the platform wants it, and nothing of ours touched.

use std::sync::Arc;

use anyhow::{Context, Result};
use crosstally_engine::snapshot::Snapshot;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::TestServer;
use serde_json::{Value, json};

use super::{
    GA4, GOOGLE, LINKEDIN, MICROSOFT, OPENAI, PINTEREST, Platform, REDDIT, SNAPCHAT, TIKTOK, X,
    configuration, word,
};

/// The platform, the code that a test needs, and where the request shows that it is one; nothing where there is no test.
type Row = (&'static Platform, Option<&'static str>, Option<(&'static str, &'static str)>);

const ROWS: &[Row] = &[
    (&TIKTOK, Some("T42"), Some(("/body/test_event_code", "\"T42\""))),
    (&SNAPCHAT, Some("T42"), Some(("/body/test_event_code", "\"T42\""))),
    (&REDDIT, Some("T42"), Some(("/body/data/test_id", "\"T42\""))),
    (&PINTEREST, None, Some(("/url", "?test=true\""))),
    (&OPENAI, None, Some(("/body/validate_only", "true"))),
    (&GA4, None, Some(("/url", "/debug/mp/collect"))),
    (&GOOGLE, None, Some(("/body/validateOnly", "true"))),
    (&LINKEDIN, None, None),
    (&X, None, None),
    (&MICROSOFT, None, None),
];

fn event(platform: &Platform) -> String {
    let (name, value) = platform.click_id;
    json!({
        "event": "Purchase", "event_id": "try-1", "value": "12.34", "currency": "USD",
        "event_source_url": "https://shop.example/thanks",
        "user": {"email": "a@b.example", "client_user_agent": "UA/1.0", "client_ip_address": "192.0.2.7", name: value},
    })
    .to_string()
}

async fn sent(server: &TestServer, query: &str, event: &str) -> Result<Value> {
    let path = format!("/api/v1/capi/send-test?destination=ads{query}");
    let reply = client::post_as(server.admin, &path, &server.token, event).await?;
    anyhow::ensure!(reply.status == 200, "{}", reply.text());
    reply.json()
}

pub(super) async fn each(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    for (platform, code, mark) in ROWS {
        let name = platform.kind;
        server.apply(&configuration(platform, server.sandbox)?).await?;
        let event = event(platform);
        let mut told = sent(&server, "", &event).await?;
        if let Some(code) = code {
            assert_eq!(told["sent"], false, "{name}: {told}");
            assert!(word(&told, "fix").contains("--code"), "{name}: {told}");
            told = sent(&server, &format!("&code={code}"), &event).await?;
        }
        if mark.is_none() {
            assert_eq!(told["sent"], false, "{name}: {told}");
            assert!(word(&told, "problem").contains("no test mode"), "{name}: {told}");
            told = sent(&server, "&really=true", &event).await?;
        }
        assert_eq!((&told["sent"], word(&told, "outcome")), (&json!(true), "delivered"), "{name}: {told}");
        if let Some((place, wanted)) = mark {
            let shown = told["request"].pointer(place).context(name)?.to_string();
            assert!(shown.contains(wanted), "{name}: {shown}");
        }
        assert!(!told.to_string().contains("tok-good"), "{name}: {told}");
    }
    // Nothing of it became a delivery.
    assert_eq!(server.api("/api/v1/deliveries").await?["data"], json!([]));
    refused(&server).await?;
    server.stop().await;
    Ok(())
}

/// What is told where a test cannot go: a wrong token, a forbidden address, a token of ours that may only read, an event
/// that breaks rules.
async fn refused(server: &TestServer) -> Result<()> {
    let good = configuration(&OPENAI, server.sandbox)?;
    server.apply(&good.replace("{ env = \"META_TOKEN\" }", "\"expired-1\"")).await?;
    let told = sent(server, "", &event(&OPENAI)).await?;
    assert_eq!((word(&told, "outcome"), word(&told, "code")), ("paused", "dest_auth"), "{told}");
    assert!(!word(&told, "fix").is_empty() && !told.to_string().contains("expired-1"), "{told}");
    // A configuration like this is not even saved; one that were is still not called.
    let mut config = server.engine.snapshot.load().config.clone();
    config.destinations[0].allow_private = false;
    let engine = &server.engine;
    let snapshot = Snapshot::new(1, config, engine.secret_source.as_ref(), &engine.keys);
    engine.snapshot.store(Arc::new(snapshot));
    let told = sent(server, "", &event(&OPENAI)).await?;
    assert_eq!((word(&told, "code"), &told["status"]), ("address_forbidden", &Value::Null), "{told}");
    server.apply(&good).await?;
    let told = sent(server, "", r#"{"event": "Purchase", "user": {"email": "nobody"}}"#).await?;
    assert_eq!(told["sent"], false, "{told}");
    let places: Vec<&str> =
        told["findings"].as_array().into_iter().flatten().map(|finding| word(finding, "at")).collect();
    assert!(places.contains(&"/event_source_url") && places.contains(&"/event_id"), "{told}");
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?.token;
    let path = "/api/v1/capi/send-test?destination=ads";
    assert_eq!(client::post_as(server.admin, path, &reader, &event(&OPENAI)).await?.status, 403);
    let path = "/api/v1/capi/validate?destination=ads";
    assert_eq!(client::post_as(server.admin, path, &reader, &event(&OPENAI)).await?.status, 200);
    let path = "/api/v1/capi/validate?destination=nobody";
    assert_eq!(client::post_as(server.admin, path, &reader, &event(&OPENAI)).await?.status, 404);
    Ok(())
}
