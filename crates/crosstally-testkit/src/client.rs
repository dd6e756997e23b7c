//! A small HTTP client for tests: one connection per call, nothing hidden.
#![expect(
    clippy::disallowed_methods,
    reason = "a test talks to real sockets, without the guards of the one door"
)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Sends a GET.
///
/// # Errors
/// The network failed.
pub async fn get(address: SocketAddr, path: &str) -> Result<Reply> {
    send(address, Request::get(path).body(Full::default())?).await
}

/// Sends a GET with a bearer token.
///
/// # Errors
/// The network failed.
pub async fn get_as(address: SocketAddr, path: &str, token: &str) -> Result<Reply> {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    send(address, request.body(Full::default())?).await
}

/// A POST of JSON, or of a configuration, with an API token.
///
/// # Errors
/// Nobody answers.
pub async fn post_as(address: SocketAddr, path: &str, token: &str, body: &str) -> Result<Reply> {
    let kind =
        if body.starts_with('{') || body.starts_with('[') { "application/json" } else { "application/toml" };
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", kind)
        .body(Full::new(Bytes::from(body.to_owned())))?;
    send(address, request).await
}

/// Sends a POST.
///
/// # Errors
/// The network failed.
pub async fn post(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<Reply> {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
    send(address, request.body(Full::new(body.into()))?).await
}

/// Sends any request over a connection of its own.
///
/// # Errors
/// The network failed.
pub async fn send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Reply> {
    request.headers_mut().entry(header::HOST).or_insert(address.to_string().parse()?);
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::task::spawn(connection);
    let answer = tokio::time::timeout(Duration::from_secs(60), sender.send_request(request)).await??;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// A bare connection.
///
/// # Errors
/// Nobody listens.
pub async fn connect(address: SocketAddr) -> Result<TcpStream> {
    Ok(TcpStream::connect(address).await?)
}

/// Sends raw bytes and reads until the server closes or falls silent for a while.
///
/// # Errors
/// The network failed.
pub async fn raw(address: SocketAddr, bytes: &[u8], silence: Duration) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(silence, stream.read(&mut piece)).await {
        if read == 0 {
            break;
        }
        all.extend_from_slice(&piece[..read]);
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}
