//! What single platforms ask for beyond what all of them share.

use http::Method;
use serde_json::json;

use super::{GA4, LINKEDIN, LINKEDIN_HEADERS, X, call, changed};
use crate::server::{NOW_SECONDS, Server};

#[tokio::test]
async fn a_refresh_token_becomes_an_access_token() {
    let server = Server::start().await;
    let form = |body: &'static str| {
        server.send(
            Method::POST,
            "/token",
            &[("content-type", "application/x-www-form-urlencoded")],
            body.to_owned(),
        )
    };
    let good = "grant_type=refresh_token&client_id=a&client_secret=b&refresh_token=c";
    let answer = form(good).await.unwrap();
    assert_eq!((answer.status, &answer.json()["expires_in"]), (200, &json!(3599)));
    assert!(answer.json()["access_token"].as_str().unwrap().starts_with("ya29."));
    for (body, status, error) in [
        ("grant_type=refresh_token&client_id=a&client_secret=b&refresh_token=expired", 400, "invalid_grant"),
        ("grant_type=refresh_token&client_id=a&refresh_token=c", 401, "invalid_client"),
        ("grant_type=password&client_id=a&client_secret=b", 400, "unsupported_grant_type"),
    ] {
        let answer = form(body).await.unwrap();
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_validation_server_says_what_is_wrong_and_keeps_nothing() {
    let server = Server::start().await;
    let bad = changed((GA4.event)("b"), "/name", "\"session_start\"");
    for (events, messages) in [(vec![(GA4.event)("a")], 0), (vec![(GA4.event)("a"), bad], 1)] {
        let path = "/debug/mp/collect?measurement_id=G-1&api_secret=s";
        let answer = call(&server, path, None, &(GA4.around)(&events)).await;
        assert_eq!(
            answer.json()["validationMessages"].as_array().unwrap().len(),
            messages,
            "{}",
            answer.text
        );
    }
    assert_eq!(server.list("events").await.len() + server.list("refused").await.len(), 0);
    server.stop().await;
}

#[tokio::test]
async fn linkedin_wants_its_headers_and_x_a_whole_signature() {
    let server = Server::start().await;
    for missing in 0..3 {
        let mut headers = vec![("authorization", "Bearer AQ")];
        headers.extend(
            LINKEDIN_HEADERS.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, header)| *header),
        );
        let body = (LINKEDIN.around)(&[(LINKEDIN.event)("a")]).to_string();
        let answer = server.send(Method::POST, LINKEDIN.path, &headers, body).await.unwrap();
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    let oauth = |stamp: i64| {
        format!(
            "OAuth oauth_consumer_key=\"a\", oauth_nonce=\"b\", oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"{stamp}\", oauth_token=\"c\", oauth_version=\"1.0\", oauth_signature=\"d\""
        )
    };
    for (header, status) in [
        (oauth(NOW_SECONDS), 200),
        (oauth(NOW_SECONDS - 301), 401),
        (oauth(NOW_SECONDS).replace("oauth_nonce=\"b\", ", ""), 401),
        (oauth(NOW_SECONDS).replace("oauth_token=\"c\"", "oauth_token=\"expired\""), 401),
        ("Bearer a".to_owned(), 401),
    ] {
        let body = (X.around)(&[(X.event)("a")]).to_string();
        let answer = server.send(Method::POST, X.path, &[("authorization", &header)], body).await.unwrap();
        assert_eq!(answer.status, status, "{header} {}", answer.text);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unsigned_webhook_is_refused() {
    let server = Server::start().await;
    let message = json!({"type": "Purchase", "timestamp": "2025-11-27T01:00:00Z", "data": {"event_id": "a"}});
    let answer = call(&server, "/webhook/crm", None, &message).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert_eq!(server.list("refused").await[0]["dataset"], "crm");
    server.stop().await;
}
