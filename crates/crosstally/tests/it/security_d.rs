//! The lines D3 to D9 of the security checklist: hostile bodies and connections. D1, D2 and the silent connections of D9
//! are in `connections`, D4 in `bad_input`.

use std::time::Duration;

use anyhow::Result;
use crosstally_http::DoorOptions;
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::TestServer;
use crosstally_testkit::{client, on_both};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guarded::{Call, conversions, fine, refused, told};

on_both! {
    /// Line D3: nothing is unpacked, so nothing can burst; what is too large is cut off at the cap, also without a length.
    d3_compressed_bodies_are_never_unpacked => compressed;
    /// Line D5: HTTP/2 is not spoken, so none of its floods is.
    d5_floods_of_http2_are_closed_at_the_first_byte => http2;
    /// Line D6: deep, wide and broken JSON, numbers that are none, lone surrogates, NUL.
    d6_hostile_json_is_answered_and_books_nothing_odd => json;
    /// Line D7: a header or a parameter makes no other method of a call.
    d7_method_overrides_are_ignored => overrides;
    /// Line D8: machines are never redirected to another scheme.
    d8_plain_http_is_never_redirected => plain;
    /// Line D9: one address has its share of connections, and the admin door has its own.
    d9_one_address_cannot_take_every_connection => share;
}

async fn compressed(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    // 1000 bytes that would be a megabyte: the head of a gzip stream and one long run, over and over.
    let bomb =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a"
            .repeat(40);
    for encoding in ["gzip", "zstd", "br", "deflate", "gzip, gzip", "identity, gzip", "x-unknown", "GZIP"] {
        let call = Call::post("application/json", bomb.clone()).header("content-encoding", encoding);
        assert_eq!(call.told(&server).await?, refused(415, "unsupported_media_type"), "{encoding}");
    }
    let plain = Call::post("application/x-www-form-urlencoded", "tid=D3&payout=1")
        .header("content-encoding", "identity");
    assert_eq!(plain.told(&server).await?, fine("recorded", "no_click_id"));
    // Without a length: cut off at the cap, long before the end.
    let mut stream = client::connect(server.tracking).await?;
    stream
        .write_all(b"POST /postback/acme HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let mut sent = 0;
    while sent < 1_000 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1_000, "64 MB were taken");
    assert_eq!(client::get(server.tracking, "/healthz").await?.status, 200);
    server.stop().await;
    Ok(())
}

/// Sends until the server closes; what it said.
async fn flood(mut stream: TcpStream, begin: &[u8], frame: &[u8]) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    if stream.write_all(begin).await.is_ok() {
        for _ in 0..100_000 {
            if stream.write_all(frame).await.is_err() {
                break;
            }
        }
    }
    // A reset is an end as well.
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await?.ok();
    Ok(said)
}

async fn http2(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00".as_slice();
    let reset = b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08".as_slice();
    let continuation = b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x00".as_slice();
    for door in [server.tracking, server.admin] {
        for frame in [settings, reset, continuation] {
            let said = flood(client::connect(door).await?, preface, frame).await?;
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(
                said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"),
                "{said}"
            );
        }
        assert_eq!(client::get(door, "/healthz").await?.status, 200);
    }
    // An upgrade is not taken either: the call is answered as what it is.
    let upgrade = Call::get("tid=D5&payout=1")
        .header("connection", "Upgrade, HTTP2-Settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQAAP__");
    assert_eq!(upgrade.told(&server).await?, fine("recorded", "no_click_id"));
    server.stop().await;
    Ok(())
}

async fn json(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let deep = format!("{{\"tid\":\"d\",\"payout\":1,\"x\":{}}}", "[".repeat(100_000));
    let wide =
        format!("{{{}\"tid\":\"w\"}}", (0..20_000).map(|n| format!("\"k{n}\":1,")).collect::<String>());
    let same = format!("{{{}\"tid\":\"s\"}}", "\"k\":1,".repeat(40_000));
    for body in [
        deep.as_bytes(),
        wide.as_bytes(),
        same.as_bytes(),
        br#"{"tid":"n","payout":NaN}"#,
        br#"{"tid":"n","payout":Infinity}"#,
        br#"{"tid":"n","payout":1e999}"#,
        br#"{"tid":"n","payout":-1e-999999999}"#,
        br#"{"tid":"\ud800","payout":1}"#,
        br#"{"tid":"a\u0000b","payout":1}"#,
        b"{\"tid\":\"\xed\xa0\x80\",\"payout\":1}",
        br#"{"tid":"n","payout":99999999999999999999999999}"#,
        br#"{"tid":"n","payout":1"#,
    ] {
        let told = told(&Call::post("application/json", body).send(&server).await?)?;
        let shown = String::from_utf8_lossy(body.get(..60.min(body.len())).unwrap_or_default()).into_owned();
        assert!(told.0 < 500 && (told.1 == "refused" || told.1 == "quarantined"), "{shown}: {told:?}");
        assert!(!told.2.is_empty(), "{shown}: with a code");
    }
    assert_eq!(conversions(&server).await?, 0);
    server.stop().await;
    Ok(())
}

async fn overrides(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (number, name) in ["x-http-method-override", "x-method-override", "x-http-method"].iter().enumerate()
    {
        let call = Call::get(&format!("tid=D7{number}&payout=1&_method=DELETE")).header(name, "DELETE");
        assert_eq!(call.told(&server).await?, fine("recorded", "no_click_id"), "{name}");
    }
    let request = http::Request::get("/api/v1/tokens")
        .header("authorization", format!("Bearer {}", server.token))
        .header("x-http-method-override", "POST");
    let before = client::send(server.admin, request.body(http_body_util::Full::default())?).await?;
    assert_eq!(before.status, 200, "a list, as asked for");
    server.stop().await;
    Ok(())
}

async fn plain(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    for (door, path) in [
        (server.admin, "/"),
        (server.admin, "/api/v1/receipts"),
        (server.admin, "/api/v1"),
        (server.admin, "/metrics"),
        (server.tracking, "/postback/acme?tid=D8&payout=1"),
        (server.tracking, "/healthz"),
        (server.tracking, "/postback/acme/"),
    ] {
        let request = http::Request::get(path)
            .header("x-forwarded-proto", "http")
            .header("upgrade-insecure-requests", "1")
            .header("host", "evil.example");
        let reply = client::send(door, request.body(http_body_util::Full::default())?).await?;
        assert!(
            !(300..400).contains(&reply.status) && reply.header("location").is_none(),
            "{path}: {}",
            reply.status
        );
    }
    // The first bytes of TLS on a port that speaks plain HTTP.
    let said =
        client::raw(server.admin, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", Duration::from_secs(3))
            .await?;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    server.stop().await;
    Ok(())
}

/// Whether a connection is served.
async fn is_served(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.is_ok()
        && stream.read_exact(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

async fn share(kind: Kind) -> Result<()> {
    let server =
        TestServer::behind(kind, DoorOptions { connections_of_one: 20, ..DoorOptions::default() }).await?;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = client::connect(server.tracking).await?;
        assert!(is_served(&mut stream).await);
        held.push(stream);
    }
    for _ in 0..10 {
        assert!(!is_served(&mut client::connect(server.tracking).await?).await, "one more than its share");
    }
    assert_eq!(client::get(server.admin, "/healthz").await?.status, 200, "the admin door has its own");
    drop(held);
    let mut again = false;
    for _ in 0..200 {
        again = is_served(&mut client::connect(server.tracking).await?).await;
        if again {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(again, "what is given back can be taken");
    server.stop().await;
    let trusted_proxies = vec!["127.0.0.0/8".parse()?];
    let doors = DoorOptions { connections_of_one: 5, trusted_proxies, ..DoorOptions::default() };
    let server = TestServer::behind(kind, doors).await?;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = client::connect(server.tracking).await?;
        assert!(is_served(&mut stream).await, "a trusted proxy speaks for many");
        held.push(stream);
    }
    server.stop().await;
    Ok(())
}
