//! Config as code: applied in one transaction, taken up by nodes that run.

use anyhow::Result;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::{CONFIG, TestServer};
use crosstally_testkit::{client, on_both};

on_both! {
    /// A document is applied over the API, exported without its secrets, and applied again without a change.
    a_document_goes_round_without_its_secrets => round;
    /// Mistakes are told with their line; nothing changes.
    mistakes_change_nothing => mistakes;
    /// The API asks for a token and its scope.
    the_api_asks_for_a_token => scopes;
}

async fn post(server: &TestServer, path: &str, token: &str, document: &str) -> Result<client::Reply> {
    let request = http::Request::post(path).header("authorization", format!("Bearer {token}")).body(
        http_body_util::Full::new(bytes::Bytes::from(
            document.replace("SANDBOX", &server.sandbox.to_string()),
        )),
    )?;
    client::send(server.admin, request).await
}

async fn round(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let document = CONFIG.replace("{ env = \"META_TOKEN\" }", "\"literal-secret-1\"");
    let reply = post(&server, "/api/v1/config/plan?file=c.toml", &server.token, &document).await?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("acme") && !reply.text().contains("literal-secret-1"), "{}", reply.text());
    let reply = post(&server, "/api/v1/config/apply", &server.token, &document).await?;
    assert_eq!(reply.json()?.get("version").unwrap().to_string(), "1", "{}", reply.text());
    let export = client::get_as(server.admin, "/api/v1/config", &server.token).await?.text();
    assert!(!export.contains("literal-secret-1"), "{export}");
    assert!(export.contains("sealed"), "{export}");
    for again in [document.as_str(), export.as_str()] {
        let reply = post(&server, "/api/v1/config/apply", &server.token, again).await?;
        assert_eq!(reply.json()?.get("version").unwrap().to_string(), "1", "{}", reply.text());
    }
    let click = server.click("fbclid=1").await?;
    server.postback(&format!("click_id={click}&payout=1")).await?;
    server.deliver().await?;
    assert_eq!(server.accepted().await?.len(), 1, "the sealed token still opens");
    server.stop().await;
    Ok(())
}

async fn mistakes(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let document = CONFIG
        .replace("value > 0", "valu > 0")
        .replace("currency = \"USD\"\n\n[[dest", "curency = \"USD\"\n\n[[dest");
    let reply = post(&server, "/api/v1/config/apply?file=c.toml", &server.token, &document).await?;
    assert_eq!(reply.status, 400);
    let problem = reply.json()?;
    let errors = problem.get("errors").and_then(serde_json::Value::as_array).unwrap();
    assert!(errors.len() >= 2, "{problem}");
    let all = problem.to_string();
    assert!(all.contains("c.toml:") && all.contains("curency") && all.contains("valu"), "{all}");
    assert_eq!(server.engine.store.config_version().await?, 1);
    server.stop().await;
    Ok(())
}

async fn scopes(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let reader = server.engine.create_token("reader", &["read".to_owned()]).await?;
    assert_eq!(client::get(server.admin, "/api/v1/receipts").await?.status, 401);
    assert_eq!(client::get_as(server.admin, "/api/v1/receipts", "ct_wrong").await?.status, 401);
    assert_eq!(client::get_as(server.admin, "/api/v1/receipts", &reader.token).await?.status, 200);
    assert_eq!(post(&server, "/api/v1/config/apply", &reader.token, CONFIG).await?.status, 403);
    assert_eq!(client::get_as(server.admin, "/api/v1/tokens", &reader.token).await?.status, 403);
    // Who shows no token learns nothing about parameters and bodies; who does gets a problem document.
    for path in ["/api/v1/tokens", "/api/v1/deliveries/retry"] {
        let reply = client::post(server.admin, path, "application/json", "{\"zz\":1}").await?;
        assert_eq!((reply.status, reply.header("content-type")), (401, Some("application/problem+json")));
    }
    assert_eq!(client::get(server.admin, "/api/v1/receipts?limit=x").await?.status, 401);
    let reply = client::get_as(server.admin, "/api/v1/receipts?limit=x", &reader.token).await?;
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/problem+json")));
    assert!(reply.text().contains("limit"), "{}", reply.text());
    server.engine.store.revoke_token(reader.record.id, crosstally_testkit::server::START).await?;
    assert_eq!(client::get_as(server.admin, "/api/v1/receipts", &reader.token).await?.status, 401);
    server.stop().await;
    Ok(())
}
