//! A partner with guards, and calls that satisfy them or do not: what the security tests share.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use crosstally_core::postback::Inbound;
use crosstally_core::postback::signature::{Key, Scheme};
use crosstally_core::secret::Secret;
use crosstally_testkit::client::{self, Reply};
use crosstally_testkit::server::{CONFIG, TestServer};
use http_body_util::Full;
use serde_json::Value;

/// The journeys' configuration with these further keys for `acme`.
pub(crate) fn with_keys(keys: &str) -> String {
    CONFIG.replace("preset = \"generic\"\n", &format!("preset = \"generic\"\n{keys}\n"))
}

/// A call on its way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn get(query: &str) -> Self {
        Self { method: "GET", query: query.into(), body: Vec::new(), content_type: "", headers: Vec::new() }
    }

    pub(crate) fn post(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST", body: body.into(), content_type, ..Self::get("") }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds the scheme's headers, made with this secret at this time.
    pub(crate) fn signed(mut self, scheme: Scheme, secret: &str, at_s: i64, nonce: &str) -> Self {
        let inbound = Inbound {
            method: self.method.into(),
            query: self.query.clone().into_bytes(),
            body: self.body.clone(),
            ..Inbound::default()
        };
        let key = Key::new(scheme, &Secret::new(secret)).unwrap();
        let headers = key.headers(&inbound, &at_s.to_string(), nonce);
        self.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Sends it to a partner's route.
    pub(crate) async fn send_to(&self, address: SocketAddr, partner: &str) -> Result<Reply> {
        let question = if self.query.is_empty() { "" } else { "?" };
        let path = format!("/postback/{partner}{question}{}", self.query);
        let mut request = http::Request::builder().method(self.method).uri(path);
        if !self.content_type.is_empty() {
            request = request.header("content-type", self.content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        client::send(address, request.body(Full::new(Bytes::from(self.body.clone())))?).await
    }

    pub(crate) async fn send(&self, server: &TestServer) -> Result<Reply> {
        self.send_to(server.tracking, "acme").await
    }

    /// Sends it; status, result and code of the answer.
    pub(crate) async fn told(&self, server: &TestServer) -> Result<(u16, String, String)> {
        told(&self.send(server).await?)
    }
}

/// Status, result and code of an answer.
pub(crate) fn told(reply: &Reply) -> Result<(u16, String, String)> {
    let body = reply.json()?;
    Ok((reply.status, word(&body, "result").to_owned(), word(&body, "code").to_owned()))
}

pub(crate) fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or("")
}

pub(crate) fn refused(status: u16, code: &str) -> (u16, String, String) {
    (status, "refused".to_owned(), code.to_owned())
}

pub(crate) fn fine(result: &str, code: &str) -> (u16, String, String) {
    (200, result.to_owned(), code.to_owned())
}

/// The clock's present time in seconds.
pub(crate) fn now_s(server: &TestServer) -> i64 {
    use crosstally_engine::clock::Clock as _;
    server.clock.now().as_seconds()
}

/// How many conversions there are.
pub(crate) async fn conversions(server: &TestServer) -> Result<usize> {
    let list = server.api("/api/v1/conversions").await?;
    Ok(list.get("data").and_then(Value::as_array).map_or(0, Vec::len))
}

/// The value of a metric's line, 0 if it is not there.
pub(crate) fn metric(server: &TestServer, line: &str) -> Result<u64> {
    let all = server.engine.metrics.render();
    let Some(found) = all.lines().find(|one| one.starts_with(line)) else { return Ok(0) };
    let (_, value) = found.rsplit_once(' ').context("a metric without a value")?;
    Ok(value.parse()?)
}
