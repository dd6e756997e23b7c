//! A running sandbox with a clock of its own, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use crosstally_sandbox::{Limits, Sandbox, ServeError, serve};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The time at which the sample requests are fresh.
pub(crate) const NOW_SECONDS: i64 = 1_764_205_200;
pub(crate) const HASH: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";
pub(crate) const JSON: &str = "application/json";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    now_ms: Arc<AtomicI64>,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn json_or_none(&self) -> Option<Value> {
        serde_json::from_str(&self.text).ok()
    }

    /// code and error_subcode of a Graph error.
    pub(crate) fn codes(&self) -> (i64, Option<u64>) {
        let error = &self.json()["error"];
        (error["code"].as_i64().unwrap(), error["error_subcode"].as_u64())
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let now_ms = Arc::new(AtomicI64::new(NOW_SECONDS * 1000));
        let clock = Arc::clone(&now_ms);
        let sandbox = Sandbox::with_limits(Arc::new(move || clock.load(Ordering::Relaxed)), limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, sandbox, async move {
            drop(stopped.await);
        }));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { address, now_ms, client, stop, task }
    }

    pub(crate) fn set_now_seconds(&self, seconds: i64) {
        self.now_ms.store(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper_util::client::legacy::Error> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await?;
        let (head, body) = response.into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, text })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, &[("content-type", kind)], body).await.unwrap()
    }

    /// Sends events as JSON with a good token.
    pub(crate) async fn events(&self, dataset: &str, events: &[Value]) -> Answer {
        let body = json!({ "data": events }).to_string();
        self.post(&format!("/v26.0/{dataset}/events?access_token=T"), JSON, body).await
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let answer = self.post("/_sandbox/faults", JSON, fault.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    /// The rows of `/_sandbox/{list}`.
    pub(crate) async fn list(&self, list: &str) -> Vec<Value> {
        let answer = self.get(&format!("/_sandbox/{list}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["data"].as_array().unwrap().clone()
    }

    /// The event ids of `/_sandbox/events`.
    pub(crate) async fn accepted_ids(&self) -> Vec<String> {
        let rows = self.list("events").await;
        rows.iter().map(|row| row["event"]["event_id"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The counts of dataset 1.
    pub(crate) async fn counts(&self) -> Value {
        let report = self.get("/_sandbox/stats").await.json();
        report["datasets"].as_array().unwrap().iter().find(|row| row["dataset"] == "1").unwrap().clone()
    }

    /// Opens a connection and sends one event with this id to dataset 1.
    pub(crate) async fn open(&self, event_id: &str) -> TcpStream {
        let body = json!({ "data": [purchase(event_id)] }).to_string();
        let head = format!(
            "POST /v26.0/1/events?access_token=T HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // In one piece: a fault may end the connection before a second one could leave.
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        stream
    }
}

/// All that comes until the end, and how it ended.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> (String, std::io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).await.map(drop);
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

/// A website Purchase that Meta takes.
pub(crate) fn purchase(event_id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": NOW_SECONDS,
        "event_id": event_id,
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": { "em": [HASH], "client_user_agent": "UA/1.0" },
        "custom_data": { "value": 12.34, "currency": "USD" },
    })
}
