//! A wire between the store and the server that can be cut at a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the driver says commit: a simple query, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Where a wire is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never hears of the commit.
    BeforeCommit,
    /// The server commits, and nobody hears of it.
    AfterCommit,
}

/// Stands between the store and the server. Its connections end with it.
pub(crate) struct Proxy {
    url: String,
    cuts: Arc<Cuts>,
    _tasks: JoinSet<()>,
}

/// How many commits are still to be cut off.
#[derive(Default)]
struct Cuts {
    before: AtomicU32,
    after: AtomicU32,
}

impl Cuts {
    fn next(&self) -> Option<Cut> {
        let take = |count: &AtomicU32| {
            count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
        };
        if take(&self.before) {
            return Some(Cut::BeforeCommit);
        }
        take(&self.after).then_some(Cut::AfterCommit)
    }
}

impl Proxy {
    /// Listens in front of the server of this URL.
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (head, rest) = url.split_once('@').unwrap();
        let (place, database) = rest.split_once('/').unwrap();
        let (server, cuts) = (place.to_owned(), Arc::new(Cuts::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&cuts)));
        Self { url: format!("{head}@127.0.0.1:{port}/{database}"), cuts, _tasks: tasks }
    }

    /// The same database, through the proxy.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Cuts the wires of the next commits.
    pub(crate) fn cut(&self, cut: Cut, times: u32) {
        let count = match cut {
            Cut::BeforeCommit => &self.cuts.before,
            Cut::AfterCommit => &self.cuts.after,
        };
        count.store(times, Ordering::SeqCst);
    }

    /// How many cuts are still to come.
    pub(crate) fn left(&self) -> u32 {
        self.cuts.before.load(Ordering::SeqCst) + self.cuts.after.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, server: String, cuts: Arc<Cuts>) {
    let mut wires = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = connect(&server).await;
        wires.spawn(carry(client, server, Arc::clone(&cuts)));
    }
}

#[expect(clippy::disallowed_methods, reason = "the wire between the store and its server")]
async fn connect(server: &str) -> TcpStream {
    TcpStream::connect(server).await.unwrap()
}

/// Carries both ways until one side ends or the wire is cut.
async fn carry(client: TcpStream, server: TcpStream, cuts: Arc<Cuts>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = requests(from_client, to_server, &cuts) => {}
        () = answers(from_server, to_client) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cuts: &Cuts) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        let piece = &buffer[..length];
        // Nothing follows a commit before its answer, so it is at the end of a piece.
        let cut = if piece.ends_with(COMMIT) { cuts.next() } else { None };
        if cut == Some(Cut::BeforeCommit) {
            return;
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
        if cut == Some(Cut::AfterCommit) {
            // What was written reaches the server although nobody listens any more.
            to.shutdown().await.ok();
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    tokio::io::copy(&mut from, &mut to).await.ok();
}
