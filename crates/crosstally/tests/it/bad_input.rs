//! Bad input gets a clear answer with a code and a receipt, and nothing is lost.

use std::time::Duration;

use anyhow::Result;
use crosstally_testkit::client;
use crosstally_testkit::database::Kind;
use crosstally_testkit::on_both;
use crosstally_testkit::server::{CONFIG, TestServer};
use serde_json::Value;

use crate::guarded::metric;

on_both! {
    /// Every breach has its status, code and receipt.
    every_breach_has_its_status_code_and_receipt => breaches;
    /// A wrong token is 401 and never kept.
    a_wrong_token_is_refused_and_never_kept => tokens;
    /// Line D4: requests that state their length twice, or badly.
    d4_ambiguous_lengths_are_refused => ambiguous;
    /// Line D4: a request with a length and with chunks is read by its chunks, is the last one of its connection, and
    /// hides no other.
    d4_a_length_beside_chunks_smuggles_nothing => smuggled;
    /// Line D2/D3: large and compressed bodies.
    d3_large_and_compressed_bodies_are_refused => large;
    /// However a call is written, its token and its contacts are not kept.
    no_receipt_keeps_a_token_or_a_contact => kept_receipts;
    /// A question that the lists do not know is not answered as if it had not been asked.
    a_list_refuses_a_parameter_that_it_does_not_know => unknown_parameters;
    /// Line D7: methods that are not taken.
    d7_other_methods_are_refused => methods;
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

async fn breaches(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let many = "a=1&".repeat(10_000);
    let long = format!("tid=1&x={}", "x".repeat(9_000));
    for (query, status, code) in [
        ("payout=1", 400, "identity_missing"),
        ("tid=1&payout=1,50", 400, "amount_not_a_number"),
        ("tid=1&payout=1&payout=9", 400, "repeated_field"),
        ("tid=1&payout=1&commission=9", 400, "repeated_field"),
        ("tid=1&currency=XX", 400, "currency_unknown"),
        ("tid=a%00b", 400, "control_character"),
        ("tid=%ED%A0%80", 400, "bad_encoding"),
        ("tid=1&payout=1e999", 400, "amount_not_a_number"),
        ("tid=1&payout=NaN", 400, "amount_not_a_number"),
        (many.as_str(), 400, "too_many_params"),
        (long.as_str(), 400, "param_too_long"),
    ] {
        let reply = server.postback(query).await?;
        let shown = query.get(..40.min(query.len())).unwrap_or("");
        assert_eq!(reply.status, status, "{shown}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{shown}");
        let problem = reply.json()?;
        assert_eq!((word(&problem, "code"), word(&problem, "result")), (code, "refused"), "{shown}");
        let receipt = server.api(&format!("/api/v1/receipts/{}", word(&problem, "receipt"))).await?;
        assert_eq!((word(&receipt, "result"), word(&receipt, "code")), ("refused", code), "{shown}");
    }
    let reply = client::get(server.tracking, "/postback/nobody?tid=1").await?;
    assert_eq!((reply.status, word(&reply.json()?, "code")), (404, "unknown_partner"));
    assert!(word(&reply.json()?, "receipt").starts_with("rcp_"));
    let reply = client::get(server.tracking, "/c/nobody?fbclid=1").await?;
    assert_eq!((reply.status, word(&reply.json()?, "code")), (404, "unknown_campaign"));
    let reply = client::get(server.tracking, &format!("/c/summer?{many}")).await?;
    assert_eq!((reply.status, word(&reply.json()?, "code")), (400, "too_many_params"));
    // Bad words in the path and the query are answered, never a crash.
    for path in ["/c/", "/c/%00", "/postback/", "/postback/a/b", "/c/../x", "/%", "/postback/%ff?%ff=%ff"] {
        let reply = client::raw(
            server.tracking,
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
            Duration::from_secs(2),
        )
        .await?;
        assert!(reply.starts_with("HTTP/1.1 4"), "{path}: {reply}");
    }
    server.stop().await;
    Ok(())
}

async fn tokens(kind: Kind) -> Result<()> {
    let server = TestServer::start(kind).await?;
    let guarded = CONFIG.replace(
        "currency = \"USD\"\n\n[[destination]]",
        "currency = \"USD\"\nauth = { token = { env = \"ACME_TOKEN\" } }\n\n[[destination]]",
    );
    server.apply(&guarded).await?;
    let click = server.click("fbclid=1").await?;
    for (extra, status, code) in [
        ("", 401, "token_missing"),
        ("&token=wrong-guess", 401, "token_wrong"),
        ("&token=acme-secret", 200, ""),
    ] {
        let reply = server.postback(&format!("click_id={click}&payout=1{extra}")).await?;
        assert_eq!(reply.status, status, "{extra}: {}", reply.text());
        assert_eq!(word(&reply.json()?, "code"), code);
    }
    let all = server.api("/api/v1/receipts").await?.to_string();
    assert!(!all.contains("acme-secret") && !all.contains("wrong-guess"), "a token was kept");
    assert!(all.contains("token=***"));
    server.stop().await;
    Ok(())
}

async fn ambiguous(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for head in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: five",
        "transfer-encoding: chunked, identity",
        "content-length: 5\r\ntransfer-encoding: xchunked",
        "x: a\r\n b",
    ] {
        let request = format!(
            "POST /postback/acme HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let reply = client::raw(server.tracking, request.as_bytes(), Duration::from_secs(2)).await?;
        // The server closes with bytes unread, so that the network may drop its answer on the way; what must not come is an
        // answer to the second request, hidden in the first.
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{head}: {reply}");
        assert!(reply.matches("HTTP/1.1").count() <= 1, "the connection goes on after {head}: {reply}");
    }
    // Nobody had a call in hand to write a receipt of; it is counted, with the reason.
    let counted = || {
        metric(&server, "crosstally_http_connections_broken_total{door=\"tracking\",reason=\"unreadable\"}")
    };
    for _ in 0..200 {
        if counted()? >= 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counted()?, 5);
    server.stop().await;
    Ok(())
}

async fn smuggled(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let hidden = "GET /postback/acme?tid=hidden&payout=9 HTTP/1.1\r\nhost: a\r\n\r\n";
    let chunks = |number: usize| format!("10\r\ntid=D4{number}&payout=1\r\n0\r\n\r\n{hidden}");
    let length = chunks(0).len();
    let stated = [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        "content-length: 0\r\ntransfer-encoding: chunked".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 4\r\ncontent-length: 4".to_owned(),
    ];
    for (number, lengths) in stated.iter().enumerate() {
        let request = format!(
            "POST /postback/acme HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n{lengths}\r\n\r\n{}",
            chunks(number)
        );
        let reply = client::raw(server.tracking, request.as_bytes(), Duration::from_secs(2)).await?;
        assert!(reply.matches("HTTP/1.1").count() <= 1, "the connection goes on after {lengths}: {reply}");
        let closes = reply.to_ascii_lowercase().contains("connection: close");
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 200") && closes, "{lengths}: {reply}");
    }
    // Each has its receipt, with what its chunks say.
    let receipts = server.api("/api/v1/receipts").await?;
    let mut bodies: Vec<&str> = receipts["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["request"]["body"].as_str().unwrap())
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["tid=D40&payout=1", "tid=D41&payout=1", "tid=D42&payout=1", "tid=D43&payout=1"]);
    server.stop().await;
    Ok(())
}

async fn large(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let body = format!("tid=1&payout=1&x={}", "x".repeat(300 * 1024));
    let reply =
        client::post(server.tracking, "/postback/acme", "application/x-www-form-urlencoded", body).await?;
    assert_eq!((reply.status, word(&reply.json()?, "code")), (413, "body_too_large"));
    assert!(word(&reply.json()?, "receipt").starts_with("rcp_"));
    let request = http::Request::post("/postback/acme")
        .header("content-encoding", "gzip")
        .body(http_body_util::Full::new(bytes::Bytes::from_static(b"\x1f\x8b")))?;
    let reply = client::send(server.tracking, request).await?;
    assert_eq!((reply.status, word(&reply.json()?, "code")), (415, "unsupported_media_type"));
    let reply = client::post(
        server.tracking,
        "/postback/acme",
        "application/x-www-form-urlencoded",
        "tid=F1&payout=2.50",
    )
    .await?;
    assert_eq!(word(&reply.json()?, "result"), "recorded");
    let found = server.api("/api/v1/trace/F1").await?;
    assert_eq!(found.pointer("/receipts/0/request/body").and_then(Value::as_str), Some("tid=F1&payout=2.50"));
    server.stop().await;
    Ok(())
}

async fn methods(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (method, path) in [
        ("PUT", "/postback/acme"),
        ("DELETE", "/postback/acme"),
        ("TRACE", "/c/summer"),
        ("POST", "/c/summer"),
        ("BREW", "/c/summer"),
        ("OPTIONS", "/healthz"),
    ] {
        let request = format!("{method} {path}?tid=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let reply = client::raw(server.tracking, request.as_bytes(), Duration::from_secs(2)).await?;
        assert!(reply.starts_with("HTTP/1.1 405"), "{method} {path}: {reply}");
    }
    server.stop().await;
    Ok(())
}

async fn kept_receipts(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let document =
        r#"{"token":"s3cret","tid":"t7","user":{"email":"a@leak.example"},"status":"b@leak.example"}"#;
    for content_type in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let reply =
            client::post(server.tracking, "/postback/acme?mail=c@leak.example", content_type, document)
                .await?;
        // JSON is read, under whatever type, and its odd status waits; what is no form is refused.
        let expected = if content_type.starts_with("multipart") { 400 } else { 200 };
        assert_eq!(reply.status, expected, "{content_type}: {}", reply.text());
        assert!(!reply.text().contains("leak.example"), "{}", reply.text());
    }
    for query in [
        "x=1;token=s3cret&tid=t8",
        "tid=t9&status=d@leak.example",
        "tid=t9&payout=d@leak.example",
        "tid=t9&sig=s3cret&email[]=e@leak.example",
    ] {
        let reply = server.postback(query).await?;
        assert!(!reply.text().contains("leak.example"), "{}", reply.text());
    }
    let list = server.api("/api/v1/receipts").await?;
    let rows = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let whole = server.api(&format!("/api/v1/receipts/{}", word(&row, "id"))).await?.to_string();
        let trace = server.api(&format!("/api/v1/trace/{}", word(&row, "id"))).await?.to_string();
        for secret in ["s3cret", "a@leak", "c@leak", "e@leak"] {
            assert!(!whole.contains(secret) && !trace.contains(secret), "{secret}: {whole}");
        }
        assert!(!word(&row, "detail").contains('@'), "{row}");
    }
    server.stop().await;
    Ok(())
}

async fn unknown_parameters(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for path in [
        "conversions",
        "receipts",
        "receipts/statuses",
        "receipts/balance",
        "ledger",
        "fx",
        "deliveries",
        "deliveries/errors",
        "deliveries/days",
        "deliveries/jobs",
        "postback/conversions",
    ] {
        let path = format!("/api/v1/{path}");
        let known = client::get_as(server.admin, &path, &server.token).await?;
        assert_eq!(known.status, 200, "{path}: {}", known.text());
        let unknown = client::get_as(server.admin, &format!("{path}?nobody=x"), &server.token).await?;
        assert_eq!(unknown.status, 400, "{path}: {}", unknown.text());
        assert!(unknown.text().contains("nobody"), "{path}: {}", unknown.text());
    }
    // Conversions are listed for all partners at once.
    let one = client::get_as(server.admin, "/api/v1/conversions?partner=acme", &server.token).await?;
    assert_eq!(one.status, 400, "{}", one.text());
    server.stop().await;
    Ok(())
}
