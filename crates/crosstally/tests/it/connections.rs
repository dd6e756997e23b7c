//! Slow and idle connections: closed at their deadlines, while everybody else is served.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use crosstally_testkit::database::Kind;
use crosstally_testkit::server::TestServer;
use crosstally_testkit::{client, on_both};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than every deadline of a connection.
const PATIENCE: Duration = Duration::from_secs(40);

on_both! {
    /// Line D1: a head that never ends, a connection without a byte, an idle kept connection: all closed at the deadline.
    d1_slow_heads_and_idle_connections_are_closed => slow_heads;
    /// Line D2: a body that drips is answered 408 and books nothing.
    d2_a_dripping_body_is_answered_408 => dripping_body;
    /// A request that cannot be read is told so before its connection is closed.
    what_is_no_request_is_answered => no_request;
    /// Line D9: hundreds of silent connections keep nobody from clicking.
    d9_silent_connections_keep_nobody_out => crowded;
}

/// Reads until the server closes; what it said.
async fn until_closed(mut stream: TcpStream) -> Result<String> {
    let mut said = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .context("the connection was never closed")?
        .ok();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn drip(address: SocketAddr, begin: &str) -> Result<String> {
    let mut stream = client::connect(address).await?;
    stream.write_all(begin.as_bytes()).await?;
    let (mut from, mut to) = stream.into_split();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if to.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut said = Vec::new();
    tokio::select! {
        read = tokio::time::timeout(PATIENCE, from.read_to_end(&mut said)) => {
            // A reset is an end as well.
            read.context("the connection was never closed")?.ok();
        }
        () = dripping => {}
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn slow_heads(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let silent = until_closed(client::connect(server.tracking).await?);
    let slow = drip(server.tracking, "GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ");
    let mut idle = client::connect(server.tracking).await?;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let idle = until_closed(idle);
    let (silent, slow, idle) = tokio::join!(silent, slow, idle);
    silent?;
    slow?;
    let idle = idle?;
    assert!(idle.starts_with("HTTP/1.1 200"), "the idle one had asked and was answered first: {idle}");
    assert_eq!(client::get(server.tracking, "/healthz").await?.status, 200, "others are served");
    server.stop().await;
    Ok(())
}

async fn dripping_body(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let head = "POST /postback/acme HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
        content-length: 1000\r\n\r\ntid=D2&payout=1&x=";
    let said = drip(server.tracking, head).await?;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    let conversions = server.api("/api/v1/conversions").await?;
    assert_eq!(conversions.pointer("/data/0"), None, "nothing was booked");
    server.stop().await;
    Ok(())
}

async fn crowded(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(client::connect(server.tracking).await?);
    }
    for number in 0..20 {
        server.click(&format!("fbclid=crowd{number}")).await?;
    }
    assert_eq!(client::get(server.admin, "/healthz").await?.status, 200, "the admin door answers");
    drop(silent);
    server.stop().await;
    Ok(())
}

async fn no_request(kind: Kind) -> Result<()> {
    let server = TestServer::ready(kind).await?;
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "h: x\r\n".repeat(200));
    for (request, status) in [
        ("GARBAGE\r\n\r\n", "400"),
        ("GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n", "400"),
        (long.as_str(), "414"),
        (many.as_str(), "431"),
    ] {
        for door in [server.tracking, server.admin] {
            let said = client::raw(door, request.as_bytes(), Duration::from_secs(5)).await?;
            let begins = format!("HTTP/1.1 {status}");
            assert!(said.starts_with(&begins), "{:?}: {said}", request.get(..20));
        }
    }
    server.stop().await;
    Ok(())
}
