//! A peer that does with each connection whatever a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crosstally_destinations::dialect::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicU64>,
    open: watch::Receiver<u64>,
    accepting: JoinHandle<()>,
}

/// One connection, from the peer's side.
pub(crate) struct Conversation(pub(crate) TcpStream);

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "a peer lives as long as its test's runtime")]
    pub(crate) async fn start<F, B>(behave: B) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        B: Fn(Conversation) -> F + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(0));
        let (opened, open) = watch::channel(0);
        let (count, behave) = (Arc::clone(&connections), Arc::new(behave));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                opened.send_modify(|open| *open += 1);
                let (behave, opened) = (Arc::clone(&behave), opened.clone());
                tokio::spawn(async move {
                    behave(Conversation(stream)).await;
                    opened.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, connections, open, accepting }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until every connection's behaviour has ended, which for most means that the other side has hung up.
    pub(crate) async fn all_closed(&self) {
        let mut open = self.open.clone();
        let closed = open.wait_for(|open| *open == 0);
        tokio::time::timeout(Duration::from_secs(5), closed).await.expect("the client hangs up").unwrap();
    }

    pub(crate) async fn stop(self) {
        self.accepting.abort();
        drop(self.accepting.await);
    }
}

impl Conversation {
    /// Reads one request with its body; the text as it came.
    pub(crate) async fn read_request(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let read = self.0.read(&mut piece).await.unwrap_or(0);
            text.extend_from_slice(&piece[..read]);
            let so_far = String::from_utf8_lossy(&text);
            if let Some((head, body)) = so_far.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return so_far.into_owned();
                }
            }
            if read == 0 {
                return so_far.into_owned();
            }
        }
    }

    /// Writes; `false` if the client has hung up.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn wait_for_close(&mut self) {
        let mut rest = [0; 4096];
        while matches!(self.0.read(&mut rest).await, Ok(read) if read > 0) {}
    }
}

/// A whole 200 answer with this body.
pub(crate) fn whole(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn get(url: &str) -> Request {
    Request {
        method: "GET",
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        body_shown: Vec::new(),
        secrets: Vec::new(),
    }
}

pub(crate) fn post(url: &str, body: &[u8]) -> Request {
    Request { method: "POST", body: body.to_vec(), ..get(url) }
}
